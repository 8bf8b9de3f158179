"""Read a table of labels: names of files and columns of text, from CSV or Parquet."""

from dataclasses import dataclass

from kerasae.data.layouts import listed
from kerasae.data.table_file import known, read_table
from kerasae.errors import InputError


@dataclass(frozen=True)
class LabelTable:
    """Names of files, and a text for each of them in every column; "" where there is none."""

    file: str
    header: str
    """Name of the column of names."""
    names: list[str]
    columns: dict[str, list[str]]
    argument: str = "labels_file"
    """What errors name first."""

    def error(self, text: str) -> InputError:
        """An `InputError` about this table."""
        return InputError(f"{self.argument}: {self.file}: {text}")


def read_label_table(file: str, name_column: str | None = None, label_columns=None) -> LabelTable:
    """Read a table of labels with a header: CSV (comma, tab or semicolon; UTF-8), or Parquet with pyarrow.

    Args:
        file: ends in .csv, .tsv, .txt or .parquet.
        name_column: column with the names of files; the first when None.
        label_columns: columns to read, in this order; all others when None.

    Raises:
        InputError: no such file or column, an empty table, lines of other lengths, a column twice, or another format.
    """
    header, rows = read_table(file, "labels_file")
    table = LabelTable(file, header[0], [], {})
    name_column = header[0] if name_column is None else name_column
    wanted = [name for name in header if name != name_column] if label_columns is None else list(label_columns)
    if unknown := [name for name in (name_column, *wanted) if name not in header]:
        raise table.error(f"has no column {unknown[0]!r}; it has {listed(header)}.")
    if not wanted or name_column in wanted or len({*wanted}) < len(wanted):
        raise table.error(f"expected label columns beside {name_column!r}, each once; received {listed(wanted)}.")
    columns = {name: [known(row[header.index(name)]) for row in rows] for name in wanted}
    return LabelTable(file, name_column, [row[header.index(name_column)] for row in rows], columns)
