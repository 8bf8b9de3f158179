"""Where an example is unlike normal ones: points of a recording, columns of a table."""

import numpy as np


def point_scores(starts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the scores of the windows that cover each sample of a recording.

    Args:
        starts: int [N], the first sample of each window.
        scores: [N, T], one for each sample of each window.

    Returns:
        The samples int [S] that some window covers, sorted, and their scores [S].

    Example:
        >>> samples, means = point_scores(np.array([0, 1]), np.array([[1.0, 1.0], [3.0, 3.0]]))
        >>> samples.tolist(), means.tolist()
        ([0, 1, 2], [1.0, 2.0, 3.0])
    """
    places = (np.asarray(starts)[:, None] + np.arange(scores.shape[1])).ravel()
    first = places.min()
    counts = np.bincount(places - first)
    totals = np.bincount(places - first, np.asarray(scores, np.float64).ravel())
    covered = np.flatnonzero(counts)
    return covered + first, totals[covered] / counts[covered]


def contributions(columns, errors: np.ndarray, count: int = 3) -> list[list[str]]:
    """Name the columns of a table with the largest errors, row by row, the largest first.

    Args:
        columns: the `Column`s of the table.
        errors: [N, D], one for each place of an encoded row; the places of a category count together.
        count: columns to name.
    """
    ends = np.cumsum([column.width for column in columns])
    sums = np.stack([part.sum(axis=1) for part in np.split(np.asarray(errors), ends[:-1], axis=1)], axis=1)
    names = [column.name for column in columns]
    return [[names[place] for place in order] for order in np.argsort(-sums, axis=1, kind="stable")[:, :count]]
