"""Predict ratings by a model, and measure the held-out ones: their error, their order, and the best items of users."""

from collections.abc import Iterator

import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.ranking import TOP, ndcg, rank_items, usual_threshold
from kerasae.evaluate.rating_baselines import baselines, means_of, svd

FEW = 5
"""An item or a user with fewer training ratings is cold."""

WAYS = {"popularity_": "the items with most ratings", "means_": "means", "svd_": "a truncated SVD"}
"""Simple ways to rank items, by the first part of the names of their figures."""


def predict_ratings(
    model, known: np.ndarray, rating_range: tuple[float, float] | None = None, batch_size: int = 256
) -> np.ndarray:
    """Predict all entries of a matrix of ratings from those that are known: float32 [R, C].

    A row without any known rating, such as a new item, is predicted by the means of the columns, a column without any
    by those of the rows, and where both have none by the mean of all: the model has learned nothing of them.

    Args:
        model: anything with `reconstruct(x)`, such as `kerasae.models.AutoRec`.
        known: [R, C], NaN where there is no rating.
        rating_range: the least and the greatest rating, to which predictions are cut; None does not, so that the best
            ones keep their order.
        batch_size: rows at a time.
    """
    predicted = np.concatenate([*predicted_rows(model, known, batch_size=batch_size)])
    return predicted if rating_range is None else np.clip(predicted, *rating_range)


def predicted_rows(
    model, known: np.ndarray, rows: np.ndarray | None = None, batch_size: int = 256
) -> Iterator[np.ndarray]:
    """Predict some rows of a matrix of ratings as `predict_ratings` does, batch by batch: float32 [≤ batch_size, C].

    Args:
        model, known, batch_size: as for `predict_ratings`.
        rows: places of the rows; all when None.

    Raises:
        InputError: no rating is known.
    """
    seen = ~np.isnan(known)
    if not seen.any():
        raise InputError("known: expected some ratings, received none; give the ratings to predict from.")
    means, row_seen, column_seen = means_of(known), seen.any(axis=1), seen.any(axis=0)
    rows = np.arange(len(known)) if rows is None else rows
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        predicted = np.asarray(model.reconstruct(known[some], batch_size=batch_size), np.float32)
        warm = row_seen[some, None] & column_seen
        yield np.where(warm, predicted, means.both(some)).astype(np.float32)


def rmse(predicted: np.ndarray, held: np.ndarray) -> float:
    """Root mean squared error of predictions [R, C] where `held` [R, C] is not NaN, in the unit of the ratings.

    Example:
        >>> rmse(np.array([[1.0, 2.0]]), np.array([[3.0, np.nan]]))
        2.0
    """
    return float(np.sqrt(np.nanmean((predicted.astype(np.float64) - held) ** 2)))


def rating_figures(model, source, top: int = TOP, relevant: float | None = None) -> dict[str, float | str]:
    """Measure how a model predicts the held-out ratings of a `ratings:` source, beside means, popularity and an SVD.

    Args:
        model: as for `predict_ratings`; the SVD has as many dimensions as its code.
        source: a `kerasae.data.Source` of ratings.
        top: items of a user that count in the ranking.
        relevant: least rating of a relevant item; three quarters of the way up the range when None.

    Returns:
        A dict:
        `rmse`, and `NAME_rmse` of the `baselines` and the `svd`; `held_out`, the number of ratings that were predicted;
        `cold_items_rmse`, `cold_users_rmse`, with `…_means_rmse` and `…_held_out`: the same of items or users with
        fewer than `FEW` training ratings, where a rating of such is held out;
        `ndcg_at_10`, `svd_ndcg_at_10`, `means_ndcg_at_10`: the order of each user's held-out items;
        `ranking_ndcg_at_10`, `ranking_recall_at_10` and `ranking_precision_at_10`, as `rank_items` measures them among
        all unrated items, and the same after `means_`, `svd_` and `popularity_` (the number of ratings of an item);
        `ranked_users` and `relevant_from`, the number of users and the threshold; `ranking_verdict`, in words whether
        the model ranks better than these.

    Raises:
        InputError: the source is of another kind.
    """
    info = source.info
    if info.kind != "ratings":
        raise InputError(f"data: expected ratings:FILE, received {info.spec}.")
    known, held = (source.split(part).arrays()[0] for part in ("train", "test"))
    relevant = usual_threshold(info.rating_range) if relevant is None else relevant
    predicted = {"": predict_ratings(model, known), **baselines(known), "svd": svd(known, model.code_shape[0])}
    predicted = {f"{name}_" if name else "": values for name, values in predicted.items()}
    cut = {name: np.clip(values, *info.rating_range) for name, values in predicted.items()}
    figures = {f"{name}rmse": rmse(values, held) for name, values in cut.items()}
    figures |= {"held_out": int((~np.isnan(held)).sum()), **_cold_figures(cut, known, held, info.by)}
    turn = np.transpose if info.by == "item" else np.asarray
    scores = {name: turn(predicted[name]) for name in ("", "svd_", "means_")}  # not cut, which would make many equal
    known, held = turn(known), turn(held)
    for name, values in scores.items():
        figures[f"{name}ndcg_at_{top}"] = ndcg(values, held, info.rating_range[0], top)
    return figures | _ranking_figures(scores, known, held, relevant, top)


def _cold_figures(predicted: dict, known: np.ndarray, held: np.ndarray, by: str) -> dict[str, float]:
    """Errors at the held-out ratings of items, and of users, that have few ratings in training."""
    figures = {}
    for name, axis in zip(("items", "users") if by == "item" else ("users", "items"), (1, 0), strict=True):
        cold = (~np.isnan(known)).sum(axis=axis, keepdims=True) < FEW
        some = np.where(cold, held, np.nan)
        count = int((~np.isnan(some)).sum())
        figures[f"cold_{name}_held_out"] = count
        if count:
            figures |= {f"cold_{name}_{which}rmse": rmse(predicted[which], some) for which in ("", "means_")}
    return figures


def _ranking_figures(scores: dict, known: np.ndarray, held: np.ndarray, relevant: float, top: int) -> dict[str, float]:
    """NDCG, recall and precision of the best unrated items, by each way to score them and by popularity."""
    popularity = np.broadcast_to((~np.isnan(known)).sum(axis=0, dtype=np.float64), known.shape)
    figures = {}
    for name, values in {**scores, "popularity_": popularity}.items():
        found = rank_items(values, known, held, relevant, top)
        for measure in ("ndcg", "recall", "precision"):
            figures[f"{name}ranking_{measure}_at_{top}"] = getattr(found, measure)
    figures |= {"ranked_users": found.users, "relevant_from": relevant}
    return figures | ({"ranking_verdict": _verdict(figures, top)} if found.users else {})


def _verdict(figures: dict[str, float], top: int) -> str:
    """Say in words whether the model ranks unrated items better than the best baseline."""
    ours, *others = (figures[f"{name}ranking_ndcg_at_{top}"] for name in ("", *WAYS))
    best = max(others)
    which = "better" if ours > best else "no better"
    found = f"NDCG@{top} {ours:.3f} against {best:.3f} of {[*WAYS.values()][others.index(best)]}"
    return f"The model finds the best unrated items {which} than the simple ways do: {found}."
