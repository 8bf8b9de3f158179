"""What columns of text mean as labels: one class, several classes, or numbers."""

from dataclasses import dataclass

import numpy as np

from kerasae.data.label_table import LabelTable
from kerasae.data.layouts import listed

KINDS = {
    "class": "one class per image",
    "classes": "several classes per image",
    "numbers": "numbers",
}
"""Kind of labels → in words."""

FEW = 20
"""Different whole numbers in a lone column up to which they are classes."""

LARGEST = 3e38
"""Bound of the numbers in single precision."""

SEPARATOR = ";"
"""What stands between the classes of a cell; a cell of it alone names none."""


@dataclass(frozen=True)
class ReadLabels:
    """Labels of the rows of a table."""

    kind: str
    """A key of `KINDS`."""
    names: tuple[str, ...]
    """Names of the classes, or of the numbers."""
    values: np.ndarray
    """Of one class: int64 [N], −1 where there is none; else float32 [N, D], all NaN where there is none."""


def is_labelled(labels: np.ndarray) -> np.ndarray:
    """Which examples have a label: of int64 [N] those from 0 up, of float32 [N, D] those without NaN; bool [N]."""
    return labels >= 0 if labels.ndim == 1 else ~np.isnan(labels).any(axis=1)


def read_labels(table: LabelTable, kind: str | None = None) -> ReadLabels:
    """Find the kind of labels in the columns of a table, unless it is given, and read them.

    A lone column of words, or of at most 20 different whole numbers, is one class. A lone column with `a;b` in a cell,
    or several columns of 0 and 1, are several classes. Other numbers are numbers. A row with an empty cell has no
    label.

    Raises:
        InputError: words and numbers in one column, or columns that cannot be of the kind.
    """
    readers = {"class": _one_class, "classes": _several_classes, "numbers": _numbers}
    return readers[kind or _kind(table)](table)


def _kind(table: LabelTable) -> str:
    found = {name: {cell for cell in cells if cell} for name, cells in table.columns.items()}
    if len(found) > 1:
        return "classes" if all(cells <= set(FLAGS) for cells in found.values()) else "numbers"
    (name, cells), *_ = found.items()
    if any(SEPARATOR in cell for cell in cells):
        return "classes"
    _refuse_mixture(table, name)
    values = {number(cell) for cell in cells}
    whole = None not in values and all(value == int(value) for value in values)
    return "class" if None in values or (whole and len(values) <= FEW) else "numbers"


def _refuse_mixture(table: LabelTable, name: str) -> None:
    """Raise InputError if some cells of a column are numbers and others words."""
    cells = [cell for cell in table.columns[name] if cell]
    words = [cell for cell in cells if number(cell) is None]
    if words and len(words) < len(cells):
        numbers = next(cell for cell in cells if number(cell) is not None)
        raise table.error(
            f"the column {name!r} holds both words ({words[0]!r}) and numbers ({numbers!r}); correct it, or give "
            "label_kind class to take all as names of classes."
        )


def number(cell: str) -> float | None:
    """The number that a cell holds, finite in single precision, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < LARGEST and "_" not in cell else None


# ---- the kinds


def _one_class(table: LabelTable) -> ReadLabels:
    if len(table.columns) > 1:
        raise table.error(f"label_kind class takes one column; received {listed(table.columns)}; give label_columns.")
    (cells,) = table.columns.values()
    values = {number(cell) for cell in cells if cell}
    if None not in values and all(value == int(value) for value in values):
        cells = [str(int(float(cell))) if cell else "" for cell in cells]  # 2 and 2.0 are one
    names = sorted({cell for cell in cells if cell}, key=str if None in values else float)
    if len(names) < 2:
        raise table.error(f"expected at least two classes in {next(iter(table.columns))!r}; found {listed(names)}.")
    if FEW < len(names) == sum(map(bool, cells)):
        raise table.error(f"no two rows of {next(iter(table.columns))!r} are the same: {listed(names)} are no classes.")
    numbers = {name: i for i, name in enumerate(names)} | {"": -1}
    return ReadLabels("class", tuple(names), np.array([numbers[cell] for cell in cells], np.int64))


FLAGS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0, "False": 0.0, "True": 1.0}
"""Cells that say whether an image is of a class."""


def _several_classes(table: LabelTable) -> ReadLabels:
    first = next(iter(table.columns.values()))
    if len(table.columns) == 1 and any(cell and number(cell) is None and cell not in FLAGS for cell in first):
        return _separated(table)
    for name, cells in table.columns.items():
        if odd := [cell for cell in cells if cell and cell not in FLAGS]:
            raise table.error(f"the column {name!r} holds {odd[0]!r}; expected 0 or 1, for several classes per image.")
    return _matrix("classes", table, lambda cell: FLAGS[cell])


def _separated(table: LabelTable) -> ReadLabels:
    """One column of cells such as a;b."""
    (cells,) = table.columns.values()
    found = [[part.strip() for part in cell.split(SEPARATOR) if part.strip()] for cell in cells]
    names = sorted({name for parts in found for name in parts})
    if not names:
        raise table.error("holds no class; expected names with ; between them.")
    numbers = {name: i for i, name in enumerate(names)}
    values = np.zeros((len(cells), len(names)), np.float32)
    for i, (cell, parts) in enumerate(zip(cells, found, strict=True)):
        values[i, [numbers[part] for part in parts]] = 1.0
        if not cell:
            values[i] = np.nan
    return ReadLabels("classes", tuple(names), values)


def _numbers(table: LabelTable) -> ReadLabels:
    for name, cells in table.columns.items():
        if odd := [cell for cell in cells if cell and number(cell) is None]:
            raise table.error(f"the column {name!r} holds {odd[0]!r}, not a finite number; name other label_columns.")
    return _matrix("numbers", table, float)


def _matrix(kind: str, table: LabelTable, value) -> ReadLabels:
    """A column of values for each column of cells; a row with an empty cell is NaN throughout."""
    values = np.array([[value(c) if c else np.nan for c in cells] for cells in table.columns.values()], np.float32).T
    values[np.isnan(values).any(axis=1)] = np.nan
    return ReadLabels(kind, tuple(table.columns), values)
