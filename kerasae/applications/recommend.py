"""Recommend to users the items of highest predicted rating that they have not rated."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kerasae.data.layouts import listed
from kerasae.errors import InputError
from kerasae.evaluate import predicted_rows, top_items

NEW = "new"
"""How a user is called whom the data do not know."""


class Recommendation(NamedTuple):
    """An item for a user."""

    user: str
    rank: int
    """1 is the best."""
    item: str
    rating: float
    """As it is predicted, within the range of the ratings."""


def all_ratings(source) -> np.ndarray:
    """Join the training and the held-out ratings of a `ratings:` source: float32 [R, C], NaN where there is none.

    Raises:
        InputError: the source is of another kind.
    """
    if source.info.kind != "ratings":
        raise InputError(f"data: expected ratings:FILE, received {source.info.spec}; give a run on ratings.")
    train, test = (source.split(part).arrays()[0] for part in ("train", "test"))
    return np.where(np.isnan(train), test, train)


def recommend_items(
    model, source, users: Sequence[str] | None = None, count: int = 10, batch_size: int = 256
) -> Iterator[Recommendation]:
    """Recommend to users the items of highest predicted rating among those that they have not rated, the best first.

    Predictions come from all ratings of the data, those that were held out of training too. An item or a user without
    any rating is predicted by means, as `kerasae.evaluate.predict_ratings` says.

    Args:
        model: trained on these data, such as `kerasae.models.AutoRec`.
        source: a `kerasae.data.Source` of ratings, by item or by user.
        users: names of users as in the file; all when None.
        count: most items for a user; fewer where a user has rated almost all.
        batch_size: users, or items where the model takes items, that are predicted at once.

    Raises:
        InputError: the data are no ratings, or know no such user.

    Example:
        >>> source = kerasae.data.load("ratings:u.data", by="user")
        >>> next(recommend_items(model, source, ["196"]))
        Recommendation(user='196', rank=1, item='318', rating=4.6)
    """
    known, info = all_ratings(source), source.info
    names, items = (info.column_names, info.row_names) if info.by == "item" else (info.row_names, info.column_names)
    places = np.arange(len(names)) if users is None else _places("user", users, names)
    pieces = _of_columns if info.by == "item" else _of_rows
    for some, predicted, rated in pieces(model, known, places, batch_size):
        yield from _best([names[place] for place in some], items, predicted, rated, count, info.rating_range)


def recommend_to_new(model, source, rated: Mapping[str, float], count: int = 10) -> list[Recommendation]:
    """Recommend items to a user whom the data do not know, from a few ratings of items.

    Args:
        model, source, count: as for `recommend_items`; an example must be a user.
        rated: item → rating.

    Raises:
        InputError: examples are items, an item is unknown, a rating is out of range, or there is none.
    """
    known, info = all_ratings(source), source.info
    if info.by == "item":
        raise InputError("rated: expected a run by user, received one by item, whose users are fixed; train --by user.")
    if not rated:
        raise InputError("rated: expected ratings of some items, received none; give at least one.")
    low, high = info.rating_range
    for item, rating in rated.items():
        if not low <= rating <= high:
            raise InputError(f"rated: expected {low:g} to {high:g}, received {item}={rating:g}; correct it.")
    row = np.full((1, known.shape[1]), np.nan, np.float32)
    row[0, _places("rated", [*rated], info.column_names)] = [*rated.values()]
    (_, predicted, _), *_ = _of_rows(model, np.concatenate([known, row]), np.array([len(known)]), 1)
    return [*_best([NEW], info.column_names, predicted, row, count, info.rating_range)]


def _places(argument: str, wanted: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Find names in the data; raise InputError for the first that is not there."""
    places = {name: place for place, name in enumerate(names)}
    for name in wanted:
        if name not in places:
            raise InputError(f"{argument}: expected names as in the data, {listed(names)}; received {name!r}.")
    return np.array([places[name] for name in wanted])


def _of_rows(model, known, places, batch_size) -> Iterator[tuple]:
    """Predict by user: places, predictions and ratings of some users at a time."""
    pieces = predicted_rows(model, known, places, batch_size)
    for start, predicted in zip(range(0, len(places), batch_size), pieces, strict=True):
        some = places[start : start + batch_size]
        yield some, predicted, known[some]


def _of_columns(model, known, places, batch_size) -> Iterator[tuple]:
    """Predict by item: all items first, of which the columns of these users are kept."""
    predicted = np.concatenate([rows[:, places] for rows in predicted_rows(model, known, batch_size=batch_size)])
    for start in range(0, len(places), batch_size):
        some = slice(start, start + batch_size)
        yield places[some], predicted[:, some].T, known[:, places[some]].T


def _best(names, items, predicted, rated, count, rating_range) -> Iterator[Recommendation]:
    """Name the best unrated items of users [B]; order counts before predictions are cut to the range."""
    for name, scores, best in zip(names, predicted, top_items(predicted, rated, count), strict=True):
        for rank, place in enumerate(best, 1):
            yield Recommendation(name, rank, items[place], float(np.clip(scores[place], *rating_range)))
