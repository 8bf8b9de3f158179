"""Print errors and the library's warnings on stderr, one line each."""

import logging
import sys
from contextlib import contextmanager


def complain(text: str, status: int) -> int:
    """Print one line on stderr, free of control characters, and return the exit status."""
    line = " ".join(line.strip() for line in text.splitlines() if line.strip())
    print("kerasae:", printable(line), file=sys.stderr)
    return status


def printable(line: str) -> str:
    """Escape control characters, which could steer the terminal, and undecodable bytes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


class LineHandler(logging.Handler):
    """Log handler that prints each record on stderr in one line."""

    def emit(self, record):
        complain(record.getMessage(), 0)


@contextmanager
def warnings_on_stderr():
    """Print the library's warnings on stderr."""
    logger, handler = logging.getLogger("kerasae"), LineHandler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
