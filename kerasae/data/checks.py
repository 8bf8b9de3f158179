"""Argument checks that the modules of this room share; each raises `InputError` that names the argument."""

import os

import numpy as np

from kerasae.errors import InputError

SEED_LIMIT = 2**31


def whole(name: str, value, low: int, high: int | None = None) -> int:
    """Return `value` as an int between `low` and `high` (both included), or raise `InputError`."""
    ok = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if ok and low <= value and (high is None or value <= high):
        return int(value)
    wanted = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
    raise InputError(f"{name}: expected {wanted}; received {value!r}.")


def seed_number(value) -> int:
    """Return a seed that both NumPy and TensorFlow's int32 seeds can hold, or raise `InputError`."""
    return whole("seed", value, 0, SEED_LIMIT - 1)


def number(name: str, value, low: float, high: float = float("inf")) -> float:
    """Return `value` as a finite float between `low` and `high` (both included), or raise `InputError`."""
    ok = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if ok and np.isfinite(value) and low <= value <= high:
        return float(value)
    raise InputError(f"{name}: expected a finite number from {low:g} to {high:g}; received {value!r}.")


def fits_in_memory(nbytes: int, what: str, advice: str) -> None:
    """Raise `InputError` when an array of `nbytes` would take more than half of this machine's memory."""
    if not memory_for(nbytes):
        raise InputError(
            f"{what} needs {nbytes / 2**30:.3g} GiB in memory; expected at most {_physical_memory() / 2**31:.3g} GiB, "
            f"half of this machine's memory; {advice}."
        )


def memory_for(nbytes: int) -> bool:
    """Whether an array of `nbytes` takes at most half of this machine's memory."""
    return nbytes <= _physical_memory() // 2


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no sysconf on Windows: assume a small laptop
        return 8 * 2**30


def bounds(name: str, value: tuple[float, float], most: float) -> None:
    """Raise InputError unless `value` is (least, largest), both from 0.001 to `most`."""
    low, high = value
    number(name, low, 1e-3, most)
    number(name, high, 1e-3, most)
    if low > high:
        raise InputError(f"{name}: expected (least, largest); received ({low}, {high}).")


def shares(name: str, value, least: float = 0.0) -> None:
    """Raise InputError unless `value` is a number from `least` to 1, or several of them."""
    for share in value if isinstance(value, tuple) else (value,):
        number(name, share, least, 1.0)
