"""Read a table as text, from CSV or Parquet: a header, and a text for each cell."""

import csv
from pathlib import Path

from kerasae.data.checks import fits_in_memory
from kerasae.errors import InputError

SEPARATORS = ",\t;"
"""What may stand between the cells; the first that is in the header does."""

MISSING = ("", "nan")
"""Cells without a value, in any case of letters."""


def read_table(file: str, argument: str) -> tuple[list[str], list[list[str]]]:
    """Read a table with a header: CSV (comma, tab or semicolon; UTF-8), or Parquet with pyarrow.

    Args:
        file: ends in .csv, .tsv, .txt or .parquet.
        argument: what errors name first, such as "labels_file".

    Returns:
        The names of the columns, and the rows of cells, without spaces around them.

    Raises:
        InputError: no such file, another format, an empty table, a column twice, or lines of other lengths.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"{argument}: {file} is not a file (looked for {path.absolute()}); check the path.")
    readers = {".parquet": _read_parquet, **dict.fromkeys((".csv", ".tsv", ".txt"), _read_csv)}
    if path.suffix.lower() not in readers:
        raise InputError(f"{argument}: expected a file that ends in {', '.join(readers)}; received {file!r}.")
    fits_in_memory(20 * path.stat().st_size, f"{argument}: {file}", "give fewer columns")
    header, rows = readers[path.suffix.lower()](path, f"{argument}: {file}")
    header = [name.strip() for name in header]
    _check(header, rows, f"{argument}: {file}")
    return header, [[text.strip() for text in row] for row in rows]


def _read_csv(path: Path, name: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of cells."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            separator = next((mark for mark in SEPARATORS if mark in first), ",")
            stream.seek(0)
            rows = [row for row in csv.reader(stream, delimiter=separator) if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{name} cannot be read as CSV in UTF-8 ({error}); write it again.") from None
    return (rows[0] if rows else []), rows[1:]


def _read_parquet(path: Path, name: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of cells, spelled as text; true and false are 1 and 0."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        argument = name.partition(":")[0]
        raise InputError(f"{argument}: .parquet needs pyarrow; pip install pyarrow, or give .csv.") from None
    try:
        table = pyarrow.parquet.read_table(path)
        columns = [column.to_pylist() for column in table.columns]
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"{name} cannot be read as Parquet ({reason}); write it again.") from None
    return table.column_names, [[*map(_spelled, row)] for row in zip(*columns, strict=True)]


def _spelled(value) -> str:
    return "" if value is None else str(int(value) if isinstance(value, bool) else value)


def _check(header: list[str], rows: list[list[str]], name: str) -> None:
    """Raise InputError for a table that is empty, has a column twice, or lines of other lengths."""
    if not rows:
        raise InputError(f"{name}: is empty; expected a line of column names, then a line for each row.")
    if twice := [column for column in header if header.count(column) > 1]:
        raise InputError(f"{name}: has two columns {twice[0]!r}; rename one.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(f"{name}: row {number} has {len(row)} cells; expected {len(header)}, as in the header.")


def known(text: str) -> str:
    """The text of a cell, "" for one that says that it has no value."""
    return "" if text.lower() in MISSING else text
