"""Predict ratings without a network: by means, and by a truncated singular value decomposition of what means leave."""

from typing import NamedTuple

import numpy as np


class Means(NamedTuple):
    """Means of the known ratings of a matrix [R, C]."""

    all: float
    rows: np.ndarray
    """float64 [R, 1]; `all` where a row has no rating."""
    columns: np.ndarray
    """float64 [1, C]; `all` where a column has no rating."""

    def both(self, rows=slice(None)) -> np.ndarray:
        """Predict row mean + column mean − mean of all, for all rows or some of them: float64 [r, C].

        A row without ratings is then predicted by the columns' means, a column without by the rows', and what has
        neither by the mean of all.
        """
        return self.rows[rows] + self.columns - self.all


def means_of(known: np.ndarray) -> Means:
    """Average the known ratings of a matrix [R, C], which is NaN where there is none: of all, by row, by column."""
    mean = float(np.nanmean(known, dtype=np.float64))
    return Means(mean, *(_means(known, axis, mean) for axis in (1, 0)))


def _means(known: np.ndarray, axis: int, mean: float) -> np.ndarray:
    """Means along an axis, `mean` where there is no rating."""
    count = (~np.isnan(known)).sum(axis=axis, keepdims=True)
    return np.where(count, np.nansum(known, axis=axis, keepdims=True, dtype=np.float64) / np.maximum(count, 1), mean)


def baselines(known: np.ndarray) -> dict[str, np.ndarray]:
    """Predict by means of the known ratings [R, C] alone: their mean, that of the row, of the column, and of both."""
    means, shape = means_of(known), known.shape
    found = {"mean": np.full(shape, means.all), "row_mean": means.rows, "column_mean": means.columns}
    return {name: np.broadcast_to(values, shape) for name, values in {**found, "means": means.both()}.items()}


def svd(known: np.ndarray, rank: int, seed: int = 0) -> np.ndarray:
    """Predict by a truncated singular value decomposition of what the means leave, with 0 where there is no rating.

    r̂ = b + U_k S_k V_kᵀ, b = row mean + column mean − mean of all, U S Vᵀ = r − b, zero where r is missing: PureSVD of
    Cremonesi, Koren and Turrin, RecSys 2010, section 4.2, with the biases removed.

    Args:
        known: [R, C], NaN where there is no rating.
        rank: k; at most the shorter side counts.
        seed: of the randomised decomposition.

    Returns:
        Predictions [R, C], float64, not cut to any range.

    Example:
        >>> predicted = svd(known, rank=32)
    """
    from sklearn.utils.extmath import randomized_svd

    bias = means_of(known).both()
    left = np.where(np.isnan(known), 0.0, known - bias)
    rows, scales, columns = randomized_svd(left, min(rank, *known.shape), random_state=seed)
    return bias + (rows * scales) @ columns
