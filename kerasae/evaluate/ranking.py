"""Measure the items that are recommended to users: NDCG, recall and precision of the best ones among all unrated."""

from typing import NamedTuple

import numpy as np

TOP = 10
"""Items of a user whose order counts."""


class Ranking(NamedTuple):
    """How well the best items of users are found, each the mean over the users that were ranked."""

    ndcg: float
    recall: float
    precision: float
    users: int
    """How many users have a relevant held-out item; the others are left out."""


def top_items(predicted: np.ndarray, known: np.ndarray, count: int = TOP) -> list[np.ndarray]:
    """List for each user the items with the best predictions among those without a known rating, the best first.

    Args:
        predicted, known: [users, items]; `known` is NaN where there is no rating. Of equal predictions the first item
            is the better one.
        count: most items for a user; fewer where fewer are left.

    Example:
        >>> top_items(np.array([[3.0, 5.0, 4.0]]), np.array([[np.nan, 5.0, np.nan]]), 2)
        [array([2, 0])]
    """
    scores = np.where(np.isnan(known), predicted, -np.inf)
    orders = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [order[np.isfinite(row[order])] for order, row in zip(orders, scores, strict=True)]


def rank_items(predicted: np.ndarray, known: np.ndarray, held: np.ndarray, relevant: float, top: int = TOP) -> Ranking:
    """Rank all items that a user has not rated in training, and measure where the relevant held-out ones stand.

    Relevant is a held-out item with a rating ≥ `relevant`; an item that the user has never rated counts as not
    relevant, although nobody knows. With rel_k = 1 where the k-th best item is relevant, and R relevant items of the
    user: recall = Σ_{k ≤ top} rel_k / R, precision = Σ_{k ≤ top} rel_k / top, and NDCG is Σ_{k ≤ top} rel_k / log₂(k+1)
    over Σ_{k ≤ min(R, top)} 1 / log₂(k+1). The protocol is that of Cremonesi, Koren and Turrin, RecSys 2010, with all
    unrated items in place of 1,000 random ones.

    Args:
        predicted: [users, items], any numbers of which a larger one stands for a better item.
        known, held: [users, items]; ratings in training and those held out, NaN where there is none.
        relevant: least rating of a relevant item.
        top: how many items count.

    Returns:
        A `Ranking`; NaN of 0 users where no user has a relevant held-out item.

    Example:
        >>> nan = np.nan
        >>> rank_items(np.array([[3.0, 5.0, 4.0]]), np.array([[nan, 5.0, nan]]), np.array([[4.0, nan, nan]]), 4.0, 2)
        Ranking(ndcg=0.63..., recall=1.0, precision=0.5, users=1)
    """
    wanted = held >= relevant  # NaN is not
    users = np.flatnonzero(wanted.any(axis=1))
    if not len(users):
        return Ranking(*3 * (float("nan"),), 0)
    best = top_items(predicted[users], known[users], top)
    hits = [wanted[user, items] for user, items in zip(users, best, strict=True)]
    counts = wanted[users].sum(axis=1)
    found = [
        (_dcg(h) / _dcg(np.ones(min(n, top))), h.sum() / n, h.sum() / top) for h, n in zip(hits, counts, strict=True)
    ]
    return Ranking(*np.mean(found, axis=0).tolist(), len(users))


def usual_threshold(rating_range: tuple[float, float]) -> float:
    """Choose the least rating of a relevant item: three quarters of the way up, such as 4 of 1 to 5."""
    low, high = rating_range
    return low + 0.75 * (high - low)


def ndcg(predicted: np.ndarray, held: np.ndarray, low: float, top: int = TOP) -> float:
    """Normalised discounted cumulative gain of each user's held-out items in the predicted order, the mean over users.

    DCG = Σ_{k ≤ top} (r_k − low) / log₂(k + 1), r_k the true rating of the item that is predicted k-th best, over the
    DCG of the true order: Järvelin and Kekäläinen, ACM TOIS 20 (2002). Users with fewer than two held-out items, or
    with none above `low`, have no order and are left out; NaN if that leaves no user.

    Args:
        predicted, held: [users, items]; `held` is NaN where no rating is held out.
        low: the least rating, which gains nothing.
        top: how many items count.

    Example:
        >>> ndcg(np.array([[0.1, 0.9, 0.5]]), np.array([[1.0, 5.0, np.nan]]), low=1.0)
        1.0
    """
    found = []
    for scores, truth in zip(predicted, held, strict=True):
        rows = np.flatnonzero(~np.isnan(truth))
        gains = truth[rows].astype(np.float64) - low
        if len(rows) > 1 and gains.max() > 0:
            order = np.argsort(-scores[rows], kind="stable")
            found.append(_dcg(gains[order][:top]) / _dcg(-np.sort(-gains)[:top]))
    return float(np.mean(found)) if found else float("nan")


def _dcg(gains: np.ndarray) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())
