"""How the command line speaks on stderr: its own mistakes and what the library logs, a line each."""

import logging
import sys
from contextlib import contextmanager


def complain(text: str, status: int) -> int:
    """Print one line on stderr and hand the exit status on; text from files may not steer the terminal."""
    line = " ".join(line.strip() for line in text.splitlines() if line.strip())
    print("kerasae:", printable(line), file=sys.stderr)
    return status


def printable(line: str) -> str:
    """Text in which characters that steer a terminal, and bytes that are no text, are spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


class Spokesman(logging.Handler):
    """Prints what the library logs as the command line prints its own mistakes, a line each."""

    def emit(self, record):
        complain(record.getMessage(), 0)


@contextmanager
def speaking():
    """The library's warnings come to stderr."""
    logger, spokesman = logging.getLogger("kerasae"), Spokesman(logging.WARNING)
    logger.addHandler(spokesman)
    try:
        yield
    finally:
        logger.removeHandler(spokesman)
