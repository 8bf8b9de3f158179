"""Read ratings as triples of user, item and rating: MovieLens's files, or CSV with a header."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasae.data.checks import fits_in_memory
from kerasae.data.label_columns import number
from kerasae.data.layouts import listed
from kerasae.errors import InputError

NAMES = {
    "user": ("user", "userid", "user_id"),
    "item": ("item", "itemid", "item_id", "movie", "movieid", "movie_id"),
    "rating": ("rating",),
}
"""What a column holds → its names in a header, in small letters."""

SEPARATORS = ("::", "\t", ",", ";")
"""What may stand between the parts of a line; the first that is in the first line does."""


class Ratings(NamedTuple):
    """Ratings as they are listed: the names of users and items, and who rated what how."""

    users: list[str]
    items: list[str]
    user: np.ndarray
    """Place in `users` of each rating, int64 [N]."""
    item: np.ndarray
    """Place in `items` of each rating, int64 [N]."""
    value: np.ndarray
    """float64 [N]."""


def read_ratings(file: str, low: float | None = None, high: float | None = None) -> Ratings:
    """Read `u.data` (tabs), `ratings.dat` (::) or CSV with columns user, item and rating; other columns are ignored.

    Without a header the first three parts of a line are user, item and rating. Names are sorted, numbers as numbers.

    Args:
        file: the file, UTF-8.
        low, high: the least and the greatest rating; None for any.

    Raises:
        InputError: with the number of the line, where a line cannot be read, is out of range, or contradicts another.
    """
    lines, error = _lines(file), _errors(file)
    separator = next((mark for mark in SEPARATORS if mark in lines[0][1]), None)
    if separator is None:
        raise error("its first line holds no ::, tab, comma or semicolon; expected user, item and rating.")
    places, rows = _places([part.strip() for part in lines[0][1].split(separator)], error), lines
    if number(lines[0][1].split(separator)[2].strip()) is None or places != [0, 1, 2]:
        rows = lines[1:]
    if not rows:
        raise error("holds no ratings below its header.")
    seen = {}
    for place, line in rows:
        user, item, rating = _triple(line.split(separator), places, place, error)
        _refuse_out_of_range(rating, low, high, place, error)
        if seen.setdefault((user, item), rating) != rating:
            raise error(f"line {place}: user {user} rates item {item} twice: {seen[user, item]:g} and {rating:g}.")
    return _numbered(seen)


def _errors(file: str):
    return lambda text: InputError(f"data: ratings:{file}: {text}")


def _lines(file: str) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"data: ratings:{file} is not a file (looked for {path.absolute()}); check the path.")
    fits_in_memory(20 * path.stat().st_size, f"ratings:{file}", "give fewer ratings")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"data: ratings:{file} cannot be read as UTF-8 ({error}); write it again.") from None
    lines = [(place, line) for place, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(f"data: ratings:{file} is empty; expected a user, an item and a rating in each line.")
    return lines


def _places(first: list[str], error) -> list[int]:
    """Where user, item and rating stand: by the names of a header, else the first three parts."""
    names = [name.lower() for name in first]
    found = [next((names.index(n) for n in known if n in names), None) for known in NAMES.values()]
    if None not in found:
        return found
    if len(first) < 3 or number(first[2]) is None:
        raise error(f"expected user, item and rating in a line, or a header that names them; received {listed(first)}.")
    return [0, 1, 2]


def _triple(parts: list[str], places: list[int], line: int, error) -> tuple[str, str, float]:
    """User, item and rating of a line."""
    if len(parts) <= max(places):
        raise error(f"line {line} has {len(parts)} parts; expected at least {max(places) + 1}.")
    user, item, text = (parts[place].strip().strip('"') for place in places)
    rating = number(text)
    if rating is None or not user or not item:
        raise error(f"line {line}: expected user, item and a finite rating; received {user!r}, {item!r}, {text!r}.")
    return user, item, rating


def _refuse_out_of_range(rating: float, low, high, line: int, error) -> None:
    if (low is not None and rating < low) or (high is not None and rating > high):
        wanted = " to ".join(f"{bound:g}" if bound is not None else "any" for bound in (low, high))
        raise error(f"line {line}: expected ratings from {wanted}; received {rating:g}; correct it, or the range.")


def _numbered(seen: dict[tuple[str, str], float]) -> Ratings:
    users, items = (_sorted({pair[side] for pair in seen}) for side in (0, 1))
    numbers = [{name: place for place, name in enumerate(names)} for names in (users, items)]
    user, item = (np.array([numbers[side][pair[side]] for pair in seen]) for side in (0, 1))
    return Ratings(users, items, user, item, np.array([*seen.values()], np.float64))


def _sorted(names: set[str]) -> list[str]:
    whole = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name), name) if whole else name)
