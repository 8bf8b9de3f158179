"""Numbers of any range: checked, kept as float32, and the statistics by which a model standardises them."""

from collections.abc import Iterator

import numpy as np

from kerasae.errors import InputError

ROUNDING = 0.01
"""Largest error of float32, as a share of a feature's deviation, that is taken for the value itself."""

CHUNK = 2**22
"""Numbers in double precision in memory at a time."""


def refuse_non_finite(x: np.ndarray, name: str) -> None:
    """Raise InputError that counts the NaN and infinite values and names the place of the first."""
    if x.dtype.kind == "f" and not (finite := np.isfinite(x)).all():
        place = ", ".join(map(str, np.unravel_index(np.argmin(finite), x.shape)))
        raise InputError(
            f"data: {name}: expected finite numbers; received {(~finite).sum()} NaN or infinite, the first at "
            f"[{place}]; remove those rows, or fill them in."
        )


def as_float32(x: np.ndarray, name: str) -> np.ndarray:
    """Convert finite or missing (NaN) numbers [N, ...] to float32, along whose last axis features lie.

    Raises:
        InputError: a number is beyond float32, or a feature changes by less than float32 can tell apart.
    """
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(x, np.float32)
    if np.isinf(found).any():
        place = ", ".join(map(str, np.unravel_index(np.argmax(np.isinf(found)), x.shape)))
        raise InputError(f"data: {name}: the number at [{place}] is beyond float32, 3.4e38; divide before storing.")
    if not np.can_cast(x.dtype, np.float32):
        _refuse_rounding(found, x, name)
    return found


def _refuse_rounding(found: np.ndarray, x: np.ndarray, name: str) -> None:
    """Raise InputError for a feature that float32 rounds by more than a share of its deviation."""
    lost = np.zeros(x.shape[-1])
    for rounded, exact in zip(_chunks(found), _chunks(x), strict=True):
        lost = np.maximum(lost, np.nan_to_num(np.abs(rounded - exact)).max(axis=0))
    mean, deviation, changes = _moments(x)
    unclear = (lost > ROUNDING * deviation) & changes
    if unclear.any():
        column = int(np.argmax(unclear))
        change = f"{deviation[column]:.3g} around {mean[column]:.9g}"
        raise InputError(
            f"data: {name}: feature {column} changes by {change}, which float32 cannot tell apart; subtract a constant "
            "before storing."
        )


def statistics(x: np.ndarray, shared: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] along the last axis, over the numbers that are not missing (NaN).

    A feature that never changes, or is always missing, has the deviation 1; the latter has the mean 0. With `shared`
    every deviation is the root of the features' mean variance, so that they keep their sizes beside each other.

    Example:
        >>> mean, deviation = statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> mean.tolist(), deviation.tolist()
        ([2.0, 5.0], [1.0, 1.0])
    """
    mean, deviation, changes = _moments(x)
    if shared and changes.any():
        return mean, np.full_like(deviation, np.sqrt(np.mean((changes * deviation) ** 2)))
    return mean, np.where(changes & (deviation > 0), deviation, 1.0)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and deviation along the last axis, and whether a feature holds two different numbers: [C] each."""
    width = x.shape[-1]
    count, total, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for part in _chunks(x):
        known = ~np.isnan(part)
        count += known.sum(axis=0)
        total += np.where(known, part, 0.0).sum(axis=0)
        low = np.minimum(low, np.where(known, part, np.inf).min(axis=0))
        high = np.maximum(high, np.where(known, part, -np.inf).max(axis=0))
    mean = total / np.maximum(count, 1)
    for part in _chunks(x):
        squares += (np.nan_to_num(part - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(squares / np.maximum(count, 1)), high > low


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Rows [n, C] along the last axis in double precision, some at a time, so that memory holds few of them."""
    rows = x.reshape(-1, x.shape[-1])
    size = max(1, CHUNK // rows.shape[1])
    for start in range(0, len(rows), size):
        yield rows[start : start + size].astype(np.float64)
