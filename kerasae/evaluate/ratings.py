"""Measure predicted ratings: the error of those that are held out, their order, and the best items of each user."""

import numpy as np

from kerasae.errors import InputError

TOP = 10
"""Items of a user whose order counts in `ndcg`."""


def predict_ratings(model, known: np.ndarray, rating_range: tuple[float, float], batch_size: int = 256) -> np.ndarray:
    """Predict all entries of a matrix of ratings from those that are known: float32 [R, C], within the range.

    A row or a column without any known rating, such as a new item, gets the mean of the known ratings.

    Args:
        model: anything with `reconstruct(x)`, such as `kerasae.models.AutoRec`.
        known: [R, C], NaN where there is no rating.
        rating_range: the least and the greatest rating.
        batch_size: rows at a time.
    """
    seen = ~np.isnan(known)
    if not seen.any():
        raise InputError("known: expected some ratings, received none; give the ratings to predict from.")
    predicted = np.asarray(model.reconstruct(known, batch_size=batch_size), np.float32)
    warm = seen.any(axis=1, keepdims=True) & seen.any(axis=0, keepdims=True)
    return np.clip(np.where(warm, predicted, known[seen].mean(dtype=np.float64)), *rating_range).astype(np.float32)


def rmse(predicted: np.ndarray, held: np.ndarray) -> float:
    """Root mean squared error of predictions [R, C] where `held` [R, C] is not NaN, in the unit of the ratings.

    Example:
        >>> rmse(np.array([[1.0, 2.0]]), np.array([[3.0, np.nan]]))
        2.0
    """
    return float(np.sqrt(np.nanmean((predicted.astype(np.float64) - held) ** 2)))


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
            found.append(_dcg(gains[order], top) / _dcg(-np.sort(-gains), top))
    return float(np.mean(found)) if found else float("nan")


def _dcg(gains: np.ndarray, top: int) -> float:
    return float((gains[:top] / np.log2(np.arange(2, len(gains[:top]) + 2))).sum())


def top_items(predicted: np.ndarray, known: np.ndarray, count: int = TOP) -> list[np.ndarray]:
    """List for each user the items with the best predictions among those without a known rating, the best first.

    Args:
        predicted, known: [users, items]; `known` is NaN where there is no rating.
        count: most items for a user; fewer where fewer are left.

    Example:
        >>> top_items(np.array([[3.0, 5.0, 4.0]]), np.array([[np.nan, 5.0, np.nan]]), 2)
        [array([2, 0])]
    """
    scores = np.where(np.isnan(known), predicted, -np.inf)
    orders = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [order[np.isfinite(row[order])] for order, row in zip(orders, scores, strict=True)]


def baselines(known: np.ndarray) -> dict[str, np.ndarray]:
    """Predict by means of the known ratings [R, C] alone: their mean, that of the row, of the column, and of both."""
    mean = np.nanmean(known, dtype=np.float64)
    rows, columns = (_means(known, axis, mean) for axis in (1, 0))
    shape = known.shape
    found = {"mean": np.full(shape, mean), "row_mean": rows, "column_mean": columns, "means": rows + columns - mean}
    return {name: np.broadcast_to(values, shape) for name, values in found.items()}


def _means(known: np.ndarray, axis: int, mean: float) -> np.ndarray:
    """Means along an axis, `mean` where there is no rating."""
    count = (~np.isnan(known)).sum(axis=axis, keepdims=True)
    return np.where(count, np.nansum(known, axis=axis, keepdims=True, dtype=np.float64) / np.maximum(count, 1), mean)


def rating_figures(model, source) -> dict[str, float]:
    """Measure how a model predicts the held-out ratings of a `ratings:` source, beside means of the known ones.

    Returns:
        A dict: `rmse`, and `ndcg_at_10` of each user's held-out items; `NAME_rmse` of the `baselines`, and
        `means_ndcg_at_10`; `held_out`, the number of ratings that were predicted.

    Raises:
        InputError: the source is of another kind.
    """
    info = source.info
    if info.kind != "ratings":
        raise InputError(f"data: expected ratings:FILE, received {info.spec}.")
    known, held = (source.split(part).arrays()[0] for part in ("train", "test"))
    low, high = info.rating_range

    def order(predicted):
        of_users = (predicted.T, held.T) if info.by == "item" else (predicted, held)
        return ndcg(*of_users, low)

    predicted, simple = predict_ratings(model, known, info.rating_range), baselines(known)
    figures = {"rmse": rmse(predicted, held), "ndcg_at_10": order(predicted)}
    figures |= {f"{name}_rmse": rmse(np.clip(values, low, high), held) for name, values in simple.items()}
    return {**figures, "means_ndcg_at_10": order(simple["means"]), "held_out": int((~np.isnan(held)).sum())}
