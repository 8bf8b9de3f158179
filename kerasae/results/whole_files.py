"""Files that stand under their names only when they are whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from kerasae.errors import InputError


@contextmanager
def whole_file(path) -> Iterator[BinaryIO]:
    """Write a file under another name beside `path`, and move it there at the end; nothing is left after an error.

    Raises:
        InputError: `path` is a folder or no plain file, or has no folder to stand in.
        OSError: as the disk says.

    Example:
        >>> with whole_file("codes.bin") as file:
        ...     file.write(b"all of it")
    """
    path = Path(path)
    refuse_place(path)
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_mask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def refuse_place(path: Path) -> None:
    """Raise InputError unless a file can stand at `path`: free, or an earlier file, in a folder that exists."""
    if "\0" in str(path) or not path.name:
        raise InputError(f"to: expected the name of a file. Received: {str(path)!r}")
    if path.exists() and not path.is_file():
        raise InputError(f"to: {path} is no file; give another name")
    if not path.parent.is_dir():
        raise InputError(f"to: there is no folder {path.parent}; make it first")


def _mask() -> int:
    """What the user keeps from others in new files; can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
