"""Find near-duplicates and outliers among examples by the distances of their codes."""

from typing import NamedTuple

import numpy as np

from kerasae.applications.searching import SearchIndex
from kerasae.errors import InputError

NEIGHBOURS = 5
"""Nearest codes of an example that are looked at."""


class Duplicates(NamedTuple):
    """Pairs of near-duplicates, the nearest first."""

    pairs: np.ndarray
    """Numbers of both examples, int64 [P, 2], the smaller first."""
    distances: np.ndarray
    """float64 [P]."""
    limit: float
    """The greatest distance at which two examples were called duplicates."""


def find_duplicates(codes, closeness: float = 0.25, neighbours: int = NEIGHBOURS, nearest=None) -> Duplicates:
    """Pair examples that are each among the other's nearest, and far nearer than examples usually are.

    Two examples are near-duplicates where each is among the k nearest of the other, and their Euclidean distance is at
    most `closeness` times the median, over all examples, of the distance to the nearest other one. Of a set of which
    half has a copy the median is 0; then only equal codes are paired.

    Args:
        codes: float [N, Z], N ≥ 3.
        closeness: factor ≥ 0 of the median.
        neighbours: k.
        nearest: `nearest_others` of the codes, which is computed where None is given.

    Raises:
        InputError: fewer than three codes, or codes that are not finite.

    Example:
        >>> find_duplicates(np.array([[0.0], [0.01], [1.0], [2.0], [3.1]])).pairs
        array([[0, 1]])
    """
    rows, distances = nearest_others(codes, neighbours) if nearest is None else nearest
    limit = closeness * float(np.median(distances[:, 0]))
    first, place = np.nonzero(distances <= limit)
    near = dict(
        zip(zip(first.tolist(), rows[first, place].tolist(), strict=True), distances[first, place], strict=True)
    )
    pairs = [(distance, a, b) for (a, b), distance in near.items() if a < b and (b, a) in near]
    pairs.sort()
    return Duplicates(
        np.array([pair[1:] for pair in pairs], np.int64).reshape(-1, 2), np.array([p[0] for p in pairs]), limit
    )


def find_outliers(codes, count: int = 20, neighbours: int = NEIGHBOURS, nearest=None) -> tuple[np.ndarray, np.ndarray]:
    """Find the examples whose mean distance to their k nearest others is largest: Ramaswamy et al., SIGMOD 2000.

    Args:
        codes: float [N, Z], N ≥ 3.
        count: most outliers.
        neighbours, nearest: as for `find_duplicates`.

    Returns:
        Numbers int64 [n], the farthest first, and their mean distances [n].

    Raises:
        InputError: as for `find_duplicates`.

    Example:
        >>> find_outliers(np.array([[0.0], [0.1], [0.2], [9.0]]), count=1)[0]
        array([3])
    """
    _, distances = nearest_others(codes, neighbours) if nearest is None else nearest
    means = distances.mean(axis=1)
    order = np.argsort(-means, kind="stable")[:count]
    return order, means[order]


def nearest_others(codes, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest other examples of each: numbers int64 [N, k] and Euclidean distances [N, k].

    Raises:
        InputError: as for `find_duplicates`.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or len(codes) < 3:
        raise InputError(f"codes: expected at least 3, [N, Z]. Received: {codes.shape}")
    index = SearchIndex(codes, "euclidean", range(len(codes)))
    rows, distances = index.search(codes, neighbours + 1)
    own = rows == np.arange(len(codes))[:, None]
    own[~own.any(axis=1), -1] = True  # among more than k copies, the example itself may be missing
    kept = ~own
    return rows[kept].reshape(len(codes), -1), distances[kept].reshape(len(codes), -1).astype(np.float64)
