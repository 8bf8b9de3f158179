"""Rows of a table of numbers and categories as examples: table:FILE."""

import numpy as np

from kerasae.data.any_numbers import as_float32
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import TEST_FRACTION, Source, make_source, standardizing
from kerasae.data.label_columns import read_labels
from kerasae.data.label_table import LabelTable
from kerasae.data.layouts import listed
from kerasae.data.splits import ArrayStore, Split
from kerasae.data.subsets import holdout_by_name
from kerasae.data.table_columns import Column, encode, find_columns, same_columns
from kerasae.data.table_file import known, read_table
from kerasae.errors import InputError


def load_table(
    file: str,
    target: str | None = None,
    category_columns: tuple[str, ...] | None = None,
    label_kind: str | None = None,
    columns: tuple[Column, ...] | None = None,
) -> Source:
    """Read a table: vectors float32 [N, D] of numbers as stored, then a place for each category, 1 for the one it has.

    A missing cell, empty or nan, is NaN, of a category in all its places. A model standardises the numbers, takes NaN
    as missing, and centres the categories by their frequencies: what is missing enters as the mean. A tenth of the rows
    is held out, chosen by a hash of their cells but the label: rows that are added later move none, and equal rows stay
    together.

    Args:
        file: CSV or Parquet with a header, as for `table_file.read_table`.
        target: column with the label: words or a few whole numbers are a class, others a number.
        category_columns: columns whose numbers are codes of categories.
        label_kind: a key of `label_columns.KINDS`, where the target is to be read otherwise.
        columns: what a model has learned from, in place of what the file suggests.

    Raises:
        InputError: the file or a column cannot be read as that, or its columns are not `columns`.
    """
    header, rows = read_table(file, "data: table")
    error = _errors(file)
    texts = {name: [known(row[place]) for row in rows] for place, name in enumerate(header)}
    labels = _labels(file, texts, target, label_kind, error)
    cells = {name: column for name, column in texts.items() if name != target}
    columns = _columns(cells, header, target, category_columns, columns, error)
    x = as_float32(encode(cells, columns, error), file)
    splits = _splits(x, labels, cells)
    facts = {"kind": "table", "columns": columns, "notes": _notes(x, columns)}
    facts |= {"fingerprint": fingerprint_data([*map(str, columns), x])} | _answers(labels, target)
    facts |= _standardizing(x[splits["train"].rows], columns)
    return make_source(f"table:{file}", splits, 1, **facts)


def read_rows(file: str, columns: tuple[Column, ...], target: str | None = None) -> np.ndarray:
    """Read the rows of a table as a model has learned from others: float32 [N, D], NaN for what is missing.

    Raises:
        InputError: as for `load_table`; the file may hold the target, and no other column.
    """
    header, rows = read_table(file, "input")
    error = _errors(file, "input: ")
    same_columns(columns, header, target, error)
    cells = {name: [known(row[place]) for row in rows] for place, name in enumerate(header)}
    return encode(cells, columns, error).astype(np.float32)


def _errors(file: str, argument: str = "data: table:"):
    return lambda text: InputError(f"{argument}{file}: {text}")


def _labels(file: str, texts: dict, target: str | None, kind: str | None, error):
    """Read the target as labels; None without one."""
    if target is None:
        return None
    if target not in texts:
        raise error(f"has no column {target!r} for target; it has {listed(texts)}.")
    return read_labels(LabelTable(file, "", [], {target: texts[target]}, "target"), kind)


def _columns(cells, header, target, category_columns, columns, error) -> tuple[Column, ...]:
    """The columns that a model has learned from if the file has them, else what the file suggests."""
    asked = category_columns or ()
    if unknown := [name for name in asked if name not in cells]:
        raise error(f"has no column {unknown[0]!r} for category_columns; it has {listed(cells)}.")
    if not cells:
        raise error(f"has no column beside the target {target!r}; expected some to learn from.")
    if columns is None:
        return find_columns(cells, asked, error)
    same_columns(columns, header, target, error)
    return columns


def _splits(x: np.ndarray, labels, cells: dict[str, list[str]]) -> dict[str, Split]:
    """Hold a tenth of the rows out, by a hash of their cells without the label, whatever the order of the columns."""
    everything = Split(ArrayStore(x), None if labels is None else labels.values)
    if len(x) < 2:
        return {"train": everything}
    keys = ["\x1f".join(row) for row in zip(*(cells[name] for name in sorted(cells)), strict=True)]
    train, test, _ = holdout_by_name(keys, TEST_FRACTION)
    return {"train": everything.subset(train), "test": everything.subset(test)}


def _standardizing(train: np.ndarray, columns: tuple[Column, ...]) -> dict:
    """Mean and deviation of the training rows; categories are centred, and not scaled."""
    facts = standardizing(train)
    coded = np.repeat([c.categories is not None for c in columns], [c.width for c in columns])
    return {**facts, "deviation": tuple(np.where(coded, 1.0, facts["deviation"]).tolist())}


def _notes(x: np.ndarray, columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Say what was read: columns of numbers and of categories, and cells that are missing."""
    coded = [column for column in columns if column.categories is not None]
    missing = int(np.isnan(x[:, np.cumsum([0, *(c.width for c in columns)])[:-1]]).sum())
    words = f" {listed(coded)}" if coded else ""
    note = f"{len(columns) - len(coded)} columns of numbers, {len(coded)} of categories{words}"
    return (f"{note}; {missing} of {len(x) * len(columns)} cells are missing",)


def _answers(labels, target: str | None) -> dict:
    """What the labels are."""
    if labels is None:
        return {}
    facts = {"label_kind": labels.kind, "label_columns": (target,)}
    facts["class_names" if labels.kind == "class" else "label_names"] = labels.names
    return {**facts, "label_fingerprint": fingerprint_data([*labels.names, labels.values])}
