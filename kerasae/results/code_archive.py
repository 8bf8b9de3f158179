"""Codes in an .npz file, written array by array and piece by piece, so that memory stays flat."""

import math
import zipfile
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import numpy as np

PIECE = 4096  # names that are encoded at a time


class CodeArchive:
    """Write an .npz file that `np.load` reads, of arrays that never have to be in memory as a whole.

    Args:
        file: opened for writing bytes.

    Example:
        >>> with open("codes.npz", "wb") as file, CodeArchive(file) as archive:
        ...     archive.texts("names", ["a.png", "b.png"])
        ...     archive.array("codes", (2, 3), "float32", (np.zeros((1, 3)) for _ in range(2)))
    """

    def __init__(self, file: BinaryIO):
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._zip.close()

    def array(self, name: str, shape: Sequence[int], dtype, pieces: Iterable[np.ndarray]) -> None:
        """Write an array of known shape and type from its rows, some [n, ...] at a time.

        Raises ValueError if the pieces are not as many values as the shape has.
        """
        dtype, written = np.dtype(dtype), 0
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as stream:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(stream, header)
            for piece in pieces:
                values = np.ascontiguousarray(piece, dtype)
                written += values.size
                stream.write(values.reshape(-1).view(np.uint8).data)
        if written != math.prod(shape):
            raise ValueError(f"{name}: {written} values do not fill {tuple(shape)}")

    def texts(self, name: str, values: Sequence[str]) -> None:
        """Write texts as an array [N] of the width of the longest."""
        dtype = np.dtype(f"<U{max(1, max(map(len, values), default=1))}")
        pieces = (np.array(values[i : i + PIECE], dtype) for i in range(0, len(values), PIECE))
        self.array(name, (len(values),), dtype, pieces)
