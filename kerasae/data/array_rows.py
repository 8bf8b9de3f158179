"""Rows of the arrays in an .npz file, one after the other, so that memory stays flat however large it is."""

import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from kerasae.errors import InputError

MEMBERS = ("x_train", "x_test", "x")
"""Arrays that are examples; a file with none of these names must hold one array only."""

PIECE = 2**20
"""Bytes that are read at a time, or one row where that is longer."""


def rows(file: str) -> Iterator[tuple[str, np.ndarray]]:
    """Read the examples in an .npz file, one at a time: name, such as FILE/x_test/17, and the values as stored.

    Nothing in the file is unpickled.

    Raises:
        InputError: it is damaged, or holds no array that can be read in rows.

    Example:
        >>> np.savez("digits.npz", x=np.zeros((2, 8, 8), "uint8"))
        >>> [(name, row.shape) for name, row in rows("digits.npz")]
        [('digits.npz/x/0', (8, 8)), ('digits.npz/x/1', (8, 8))]
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for member in _members(archive, file):
                with archive.open(f"{member}.npy") as stream:
                    for i, row in enumerate(_rows_of(stream)):
                        yield f"{file}/{member}/{i}", row
    except InputError:
        raise
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"input: {file} cannot be read ({reason}); expected plain arrays of np.savez") from None


def _members(archive: zipfile.ZipFile, file: str) -> list[str]:
    """Names of the arrays of examples."""
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    found = [name for name in MEMBERS if name in names] or (names if len(names) == 1 else [])
    if not found:
        there = ", ".join(names[:8]) or "no array"
        raise InputError(f"input: {file} holds {there}; expected {', '.join(MEMBERS)}, or one array only")
    return found


def _rows_of(stream) -> Iterator[np.ndarray]:
    """The rows of one .npy stream."""
    shape, dtype = _header(stream)
    size = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
    if not 0 < size <= 2**31 - 1:
        raise ValueError(f"array of shape {shape}; expected rows")
    together = max(1, PIECE // size)
    for start in range(0, shape[0], together):
        count = min(together, shape[0] - start)
        data = stream.read(count * size)
        if len(data) < count * size:
            raise ValueError("an array is cut short")
        yield from np.frombuffer(data, dtype).reshape(count, *shape[1:])


def _header(stream) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an .npy stream; ValueError for one without rows or numbers."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f".npy of version {version}")
    shape, fortran, dtype = read[version](stream)
    if dtype.kind not in "biuf" or fortran or len(shape) < 2:
        order = " in Fortran's order" if fortran else ""
        raise ValueError(f"array of {dtype}, shape {shape}{order}; expected numbers [N, ...] in C's order")
    return shape, dtype
