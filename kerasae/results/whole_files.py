"""Files that stand under their names only when they are whole."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

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


@contextmanager
def whole_text(path) -> Iterator[TextIO]:
    """Write a text file in UTF-8 as `whole_file` does, lines as they are given.

    Example:
        >>> with whole_text("codes.csv") as file:
        ...     csv.writer(file, lineterminator="\\n").writerow(["name", "class"])
    """
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        yield text
        text.detach()


def refuse_other_table(path: Path, header: str, what: str) -> None:
    """Raise InputError where a file at `path` does not begin with `header`, and is therefore no `what`."""
    if path.is_file():
        with open(path, "rb") as file:
            if not file.readline(100).startswith(header.encode()):
                raise InputError(f"to: {path} is no {what}, and would be lost; give another name")


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
