"""A look at every image file once: can it be read, how large is it, which colours has it."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from kerasae.data.index_cache import fingerprint, kept
from kerasae.data.layouts import UNREADABLE, Part
from kerasae.errors import InputError

MAX_PIXELS = 2**26  # about 67 million: a small file can promise an image that would fill the memory
UNUSABLE = (OSError, SyntaxError, ValueError, tf.errors.OpError, Image.DecompressionBombError)
GREY = {"1", "L", "LA", "La", "F", "I", "I;16", "I;16B"}  # Pillow's modes of one channel


def inspect(part: Part, skip_broken: bool) -> tuple[Part, dict[str, np.ndarray]]:
    """Leave out the files of a part that cannot be read, or raise `InputError` that names the first of them.

    Returns:
        The other files, and columns with a row for each: `size`, height and width; `channels`, 1 or 3; `bytes`.
    """
    columns = kept(fingerprint(_facts(part.paths)), lambda: _inspect_all(part.paths))
    whole = columns["reason"] == ""
    if not whole.all() and not skip_broken:
        first = int(np.argmin(whole))
        raise InputError(
            f"data: {part.paths[first]} cannot be read as an image ({columns['reason'][first]}); repair or remove it, "
            "or give skip_broken."
        )
    return part.take(whole), {name: column[whole] for name, column in columns.items() if name != "reason"}


def _facts(paths: list[str]):
    """Name, size and times of change of every file: while they stay, so does what was found in it."""
    for path in paths:
        try:
            facts = os.stat(path)
        except OSError as error:
            yield f"{path} {error.errno}"
        else:
            yield f"{path} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"


def _inspect_all(paths: list[str]) -> dict[str, np.ndarray]:
    """Columns with a row per file; `reason` says why it cannot be read, "" if it can."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is lower and final
        height, width, channels, size, reason = zip(*pool.map(_look, paths), strict=True)
    return {
        "size": np.stack([height, width], axis=1).astype(np.int32),
        "channels": np.array(channels, np.int32),
        "bytes": np.array(size, np.int64),
        "reason": np.array(reason, str),
    }


def _look(path: str) -> tuple[int, int, int, int, str]:
    try:
        return *_inspect(path), os.stat(path).st_size, ""
    except UNUSABLE as error:
        return 0, 0, 0, 0, (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _inspect(path: str) -> tuple[int, int, int]:
    """Height, width and channels: read the header, refuse what is too large, then decode as training does."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in UNREADABLE:
        raise ValueError(f"TensorFlow does not decode {suffix}; convert it to PNG or JPEG")
    with Image.open(path) as header:
        width, height = header.size
        mode = header.mode
        if header.format == "BMP" and mode == "P":
            raise ValueError("BMP with a palette; convert it to PNG")
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS}; scale it down")
    with tf.device("CPU:0"):
        decoded = tf.io.decode_image(Path(path).read_bytes(), channels=3, expand_animations=False)
    grey = mode in GREY or (mode == "P" and _is_grey(decoded.numpy()))  # a palette may hold only greys
    return *decoded.shape[:2], 1 if grey else 3


def _is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels[..., :1] == pixels).all())
