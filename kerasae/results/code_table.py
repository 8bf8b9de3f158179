"""Codes in a Parquet file, a row per example, written in groups of rows so that memory stays flat."""

import math
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from kerasae.errors import InputError


class CodeTable:
    """Write a Parquet file with a column `code`, a list of float32 of fixed length, beside columns about the examples.

    Codes with several axes are flattened; their shape stands in the metadata of the file, as `code_shape`.

    Args:
        file: opened for writing bytes.
        shape: of one code.
        columns: name → NumPy type of the other columns, in order; `str` for texts.

    Raises:
        InputError: pyarrow is not installed.

    Example:
        >>> with open("codes.parquet", "wb") as file, CodeTable(file, (2,), {"name": str}) as table:
        ...     table.rows(np.zeros((1, 2), "float32"), {"name": ["a.png"]})
    """

    def __init__(self, file: BinaryIO, shape: Sequence[int], columns: dict):
        arrow, parquet = need_arrow()
        self._arrow, self._width = arrow, math.prod(shape)
        fields = [
            (name, arrow.string() if kind is str else arrow.from_numpy_dtype(kind)) for name, kind in columns.items()
        ]
        fields.append(("code", arrow.list_(arrow.float32(), self._width)))
        self._schema = arrow.schema(fields, metadata={"code_shape": " ".join(map(str, shape))})
        self._writer = parquet.ParquetWriter(file, self._schema)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def rows(self, codes: np.ndarray, about: dict[str, Sequence]) -> None:
        """Write some examples: codes [n, *shape] and n values of every other column."""
        values = self._arrow.array(np.ascontiguousarray(codes, np.float32).reshape(-1))
        code = self._arrow.FixedSizeListArray.from_arrays(values, self._width)
        arrays = [self._arrow.array(about[name], self._schema.field(name).type) for name in self._schema.names[:-1]]
        self._writer.write_table(self._arrow.Table.from_arrays([*arrays, code], schema=self._schema))


def need_arrow():
    """Import pyarrow and pyarrow.parquet and return both; raises InputError if they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "to: .parquet needs pyarrow, which is not installed; pip install pyarrow, or write .npz"
        ) from None
    return pyarrow, pyarrow.parquet
