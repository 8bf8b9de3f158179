"""A matrix of ratings, most of which are missing: ratings:FILE."""

import hashlib

import numpy as np

from kerasae.data.checks import fits_in_memory
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import TEST_FRACTION, Source, make_source
from kerasae.data.ratings_file import Ratings, read_ratings
from kerasae.data.splits import ArrayStore, Split
from kerasae.errors import InputError

SIDES = ("item", "user")
"""What an example is: all ratings of an item, or all ratings by a user."""


def load_ratings(file: str, by: str | None = None, low: float | None = None, high: float | None = None) -> Source:
    """Read ratings as float32 [R, C], a row for each item (or user), NaN where there is no rating.

    The splits hold the same rows: "train" nine tenths of the ratings, "test" the others, chosen one by one by a hash of
    user and item, so that ratings that are added later move none. A model predicts the ratings of "test" from the rows
    of "train": `kerasae.evaluate.rating_figures`. It subtracts the mean of the training ratings: what is missing enters
    as the mean.

    Args:
        file: as for `ratings_file.read_ratings`.
        by: "item" or "user"; item when None, which is the better one in the paper of AutoRec.
        low, high: the least and the greatest rating, beyond which one is refused; those of the file when None.

    Raises:
        InputError: the file cannot be read, an argument is out of range, or the ratings are too few to hold some out.
    """
    if by not in (None, *SIDES):
        raise InputError(f"by: expected {' or '.join(SIDES)}; received {by!r}.")
    ratings, by = read_ratings(file, low, high), by or "item"
    held = held_out(ratings)
    if held.all() or not held.any():
        raise InputError(f"data: ratings:{file} holds {len(held)} ratings; expected enough to hold a tenth out.")
    splits = {part: Split(ArrayStore(_matrix(ratings, by, rows))) for part, rows in (("train", ~held), ("test", held))}
    rows, columns = (ratings.items, ratings.users) if by == "item" else (ratings.users, ratings.items)
    bounds = tuple(float(v if b is None else b) for b, v in zip((low, high), _ends(ratings.value), strict=True))
    facts = {"kind": "ratings", "by": by, "row_names": tuple(rows), "column_names": tuple(columns)}
    facts["rating_range"] = bounds
    facts |= {"mean": (float(ratings.value[~held].mean()),), "deviation": (1.0,), "notes": (_note(ratings, held),)}
    facts["fingerprint"] = fingerprint_data([by, *rows, *columns, ratings.user, ratings.item, ratings.value])
    return make_source(f"ratings:{file}", splits, 1, **facts)


def held_out(ratings: Ratings) -> np.ndarray:
    """Which ratings are held out, by SHA-256 of the names of user and item: bool [N]."""
    pairs = (f"{ratings.users[u]}\x1f{ratings.items[i]}" for u, i in zip(ratings.user, ratings.item, strict=True))
    digests = (hashlib.sha256(pair.encode()).digest() for pair in pairs)
    return np.array([int.from_bytes(digest[:8], "big") / 2**64 < TEST_FRACTION for digest in digests])


def _matrix(ratings: Ratings, by: str, rows: np.ndarray) -> np.ndarray:
    """Some of the ratings as a matrix, float32 [items, users] or [users, items]."""
    shape = (len(ratings.items), len(ratings.users))
    fits_in_memory(8 * shape[0] * shape[1], f"a matrix of {shape[0]} × {shape[1]} ratings", "give fewer users or items")
    matrix = np.full(shape, np.nan, np.float32)
    matrix[ratings.item[rows], ratings.user[rows]] = ratings.value[rows]
    return matrix if by == "item" else np.ascontiguousarray(matrix.T)


def _ends(values: np.ndarray) -> tuple[float, float]:
    return values.min(), values.max()


def _note(ratings: Ratings, held: np.ndarray) -> str:
    low, high = _ends(ratings.value)
    sizes = f"{len(ratings.items):,} items by {len(ratings.users):,} users"
    return f"{len(held):,} ratings from {low:g} to {high:g} of {sizes}; {held.sum():,} are held out"
