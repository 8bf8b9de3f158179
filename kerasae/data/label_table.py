"""Read a table of labels: names of files and columns of text, from CSV or Parquet."""

import csv
from dataclasses import dataclass
from pathlib import Path

from kerasae.data.checks import fits_in_memory
from kerasae.data.layouts import listed
from kerasae.errors import InputError

SEPARATORS = ",\t;"
"""What may stand between the cells; the first that is in the header does."""

MISSING = ("", "nan")
"""Cells without a label, in any case of letters."""


@dataclass(frozen=True)
class LabelTable:
    """Names of files, and a text for each of them in every column; "" where there is none."""

    file: str
    header: str
    """Name of the column of names."""
    names: list[str]
    columns: dict[str, list[str]]

    def error(self, text: str) -> InputError:
        """An `InputError` about this table."""
        return InputError(f"labels_file: {self.file}: {text}")


def read_label_table(file: str, name_column: str | None = None, label_columns=None) -> LabelTable:
    """Read a table of labels with a header: CSV (comma, tab or semicolon; UTF-8), or Parquet with pyarrow.

    Args:
        file: ends in .csv, .tsv, .txt or .parquet.
        name_column: column with the names of files; the first when None.
        label_columns: columns to read, in this order; all others when None.

    Raises:
        InputError: no such file or column, an empty table, lines of other lengths, a column twice, or another format.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"labels_file: {file} is not a file (looked for {path.absolute()}); check the path.")
    readers = {".parquet": _read_parquet, **dict.fromkeys((".csv", ".tsv", ".txt"), _read_csv)}
    if path.suffix.lower() not in readers:
        raise InputError(f"labels_file: expected a file that ends in {', '.join(readers)}; received {file!r}.")
    fits_in_memory(20 * path.stat().st_size, f"labels_file: {file}", "give fewer columns")
    header, rows = readers[path.suffix.lower()](path, file)
    return _chosen(LabelTable(file, "", [], {}), header, rows, name_column, label_columns)


def _read_csv(path: Path, file: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of cells."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            separator = next((mark for mark in SEPARATORS if mark in first), ",")
            stream.seek(0)
            rows = [row for row in csv.reader(stream, delimiter=separator) if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"labels_file: {file} cannot be read as CSV in UTF-8 ({error}); write it again.") from None
    return (rows[0] if rows else []), rows[1:]


def _read_parquet(path: Path, file: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of cells, spelled as text; true and false are 1 and 0."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("labels_file: .parquet needs pyarrow; pip install pyarrow, or give .csv.") from None
    try:
        table = pyarrow.parquet.read_table(path)
        columns = [column.to_pylist() for column in table.columns]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"labels_file: {file} cannot be read as Parquet ({reason}); write it again.") from None
    return table.column_names, [[*map(_spelled, row)] for row in zip(*columns, strict=True)]


def _spelled(value) -> str:
    return "" if value is None else str(int(value) if isinstance(value, bool) else value)


def _chosen(table: LabelTable, header, rows, name_column, label_columns) -> LabelTable:
    """The table of the columns that were asked for."""
    header = [name.strip() for name in header]
    if not rows:
        raise table.error("is empty; expected a line of column names, then a line for each file.")
    if twice := [name for name in header if header.count(name) > 1]:
        raise table.error(f"has two columns {twice[0]!r}; rename one.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise table.error(f"row {number} has {len(row)} cells; expected {len(header)}, as in the header.")
    name_column = header[0] if name_column is None else name_column
    wanted = [name for name in header if name != name_column] if label_columns is None else list(label_columns)
    if unknown := [name for name in (name_column, *wanted) if name not in header]:
        raise table.error(f"has no column {unknown[0]!r}; it has {listed(header)}.")
    if not wanted or name_column in wanted or len({*wanted}) < len(wanted):
        raise table.error(f"expected label columns beside {name_column!r}, each once; received {listed(wanted)}.")
    columns = {name: [_cell(row[header.index(name)]) for row in rows] for name in wanted}
    return LabelTable(table.file, name_column, [row[header.index(name_column)].strip() for row in rows], columns)


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text.lower() in MISSING else text
