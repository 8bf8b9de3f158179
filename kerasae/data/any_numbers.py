"""Numbers of any range: checked, kept as float32, and the statistics by which a model standardises them."""

import numpy as np

from kerasae.errors import InputError

ROUNDING = 0.01
"""Largest error of float32, as a share of a feature's deviation, that is taken for the value itself."""


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
    rows, exact = (array.reshape(-1, x.shape[-1]).astype(np.float64) for array in (found, x))
    lost, deviation = np.nan_to_num(np.abs(rows - exact)).max(axis=0), statistics(exact)[1]
    if (unclear := (lost > ROUNDING * deviation) & changing(exact)).any():
        column = int(np.argmax(unclear))
        place = f"{deviation[column]:.3g} around {np.nanmean(exact[:, column]):.9g}"
        raise InputError(
            f"data: {name}: feature {column} changes by {place}, "
            "which float32 cannot tell apart; subtract a constant before storing."
        )
    return found


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [C] along the last axis, over the numbers that are not missing (NaN).

    A feature that never changes, or is always missing, has the deviation 1; the latter has the mean 0.

    Example:
        >>> mean, deviation = statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> mean.tolist(), deviation.tolist()
        ([2.0, 5.0], [1.0, 1.0])
    """
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(changing(rows) & (deviation > 0), deviation, 1.0)


def changing(rows: np.ndarray) -> np.ndarray:
    """Tell which columns of [N, C] hold two different numbers, beside missing ones: bool [C]."""
    known = ~np.isnan(rows)
    return np.where(known, rows, -np.inf).max(axis=0) > np.where(known, rows, np.inf).min(axis=0)
