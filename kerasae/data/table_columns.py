"""What the columns of a table hold, numbers or categories, and their rows as float32 with one place per category."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasae.data.checks import fits_in_memory
from kerasae.data.label_columns import number
from kerasae.data.layouts import listed

MOST = 1000
"""Most different words in a column that are taken for categories."""

FEW = 20
"""Different words up to which a column is one of categories even if no two rows share one."""


@dataclass(frozen=True)
class Column:
    """A column of a table: numbers, or one of several categories."""

    name: str
    categories: tuple[str, ...] | None = None
    """Different words in a fixed order; None for numbers."""

    @property
    def width(self) -> int:
        """Places in an encoded row."""
        return 1 if self.categories is None else len(self.categories)

    @property
    def features(self) -> list[str]:
        """Names of these places: NAME, or NAME=CATEGORY."""
        return [self.name] if self.categories is None else [f"{self.name}={word}" for word in self.categories]

    def __str__(self) -> str:
        return self.name if self.categories is None else f"{self.name} ({len(self.categories)} categories)"


def find_columns(cells: dict[str, list[str]], categories: Sequence[str], error) -> tuple[Column, ...]:
    """Find what columns of text hold: numbers come first, then categories, each in the order of the table.

    Args:
        cells: name → texts, "" where one is missing.
        categories: names of columns whose numbers are codes of categories.
        error: function of a text → the exception to raise.
    """
    found = [_column(name, texts, name in categories, error) for name, texts in cells.items()]
    return tuple(sorted(found, key=lambda column: column.categories is not None))


def _column(name: str, texts: list[str], coded: bool, error) -> Column:
    words = {text for text in texts if text}
    if not words:
        raise error(f"the column {name!r} is empty; remove it.")
    odd = sorted(word for word in words if number(word) is None)
    if not coded and not odd:
        return Column(name)
    if not coded and len(odd) < len(words):
        raise error(
            f"the column {name!r} holds {odd[0]!r} beside numbers; leave a cell empty where a number is missing, or "
            "name the column in category_columns."
        )
    unique = len(words) == sum(map(bool, texts)) and len(words) > FEW
    if unique or len(words) > MOST:
        raise error(f"the column {name!r} has {len(words)} different words in {len(texts)} rows; remove it.")
    return Column(name, tuple(sorted(words)))


def encode(cells: dict[str, list[str]], columns: Sequence[Column], error) -> np.ndarray:
    """Encode rows: float64 [N, D], a place for each number and for each category, NaN where a cell is missing.

    Args:
        cells: name → texts, for at least these columns.
        columns: as `find_columns` returns them, perhaps of another table.
        error: function of a text → the exception to raise for a cell that is no number, or an unknown category.
    """
    count, width = len(cells[columns[0].name]), sum(column.width for column in columns)
    fits_in_memory(16 * count * width, f"a table of {count:,} rows with {width:,} places", "leave out categories")
    return np.concatenate([_places(cells[column.name], column, error) for column in columns], axis=1)


def _places(texts: list[str], column: Column, error) -> np.ndarray:
    """The places of one column [N, width]."""
    if column.categories is None:
        if odd := [text for text in texts if text and number(text) is None]:
            raise error(f"the column {column.name!r} holds {odd[0]!r}; expected a finite number, or an empty cell.")
        return np.array([[float(text) if text else np.nan] for text in texts])
    if odd := sorted({*texts} - {*column.categories, ""}):
        raise error(f"the column {column.name!r} holds {odd[0]!r}; known are {listed(column.categories)}.")
    rows = {word: row for word, row in zip(column.categories, np.eye(column.width), strict=True)}
    return np.stack([rows.get(text, np.full(column.width, np.nan)) for text in texts])


def same_columns(known: Sequence[Column], header: Sequence[str], target: str | None, error) -> None:
    """Raise `error`, with both lists, unless a header names these columns, and perhaps the target."""
    there, here = sorted(column.name for column in known), sorted(name for name in header if name != target)
    if there != here:
        lost, new = ([name for name in one if name not in other] for one, other in ((there, here), (here, there)))
        raise error(
            f"its columns have changed: it lacks {listed(lost)} and has {listed(new)} besides; expected "
            f"{listed(there)}, received {listed(here)}; restore them."
        )


def described(columns: Sequence[Column]) -> list[list]:
    """The columns as JSON values."""
    return [[c.name, None if c.categories is None else list(c.categories)] for c in columns]


def from_description(values) -> tuple[Column, ...]:
    """The columns of `described`; raises ValueError or TypeError for anything else."""
    columns = tuple(Column(name, None if words is None else tuple(words)) for name, words in values)
    texts = [text for column in columns for text in (column.name, *(column.categories or ()))]
    if not columns or not all(isinstance(text, str) for text in texts):
        raise ValueError("columns")
    return columns
