"""Keeping what a slow look at many files found, so that the next start need not look again."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

FORMAT = 2  # of the columns; another number makes every kept index void


def folder() -> Path:
    """Where indexes are kept: $KERASAE_CACHE, else kerasae/ in the user's cache folder."""
    if own := os.environ.get("KERASAE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kerasae"


def fingerprint(parts: Iterable[str]) -> str:
    """SHA-256 over strings, in order: what an index was made of."""
    digest = hashlib.sha256(f"{FORMAT}\0".encode())
    for part in parts:
        digest.update(os.fsencode(part) + b"\0")
    return digest.hexdigest()


def kept(key: str, build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The columns that `build` gives, from an earlier time if they were kept under this fingerprint.

    A damaged file is made anew; where nothing can be written, nothing is kept.
    """
    path = folder() / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as columns:
            return dict(columns)
    except Exception:  # NumPy and zipfile raise many types for a damaged file
        columns = build()
    try:
        _write(path, columns)
    except OSError:
        pass  # a read-only home costs time at the next start, no more
    return columns


def _write(path: Path, columns: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **columns)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
