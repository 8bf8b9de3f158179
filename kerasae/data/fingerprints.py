"""Fingerprints of data: SHA-256 over names and values, the same wherever the data lie."""

import hashlib
import os
from collections.abc import Iterable

import numpy as np


def fingerprint_data(parts: Iterable[str | np.ndarray | None]) -> str:
    """Hash texts and arrays, in order, to 64 hexadecimal digits.

    Each part is preceded by its kind and length, so that no two lists of parts read the same.
    """
    digest = hashlib.sha256()
    for part in parts:
        array = isinstance(part, np.ndarray)
        kind = f"{part.dtype.str}{part.shape}" if array else type(part).__name__
        content = np.ascontiguousarray(part).data.cast("B") if array else os.fsencode(part or "")
        digest.update(f"{kind} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
