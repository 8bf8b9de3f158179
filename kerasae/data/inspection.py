"""A look at every image file once: can it be read and by what, its size, channels, depth and range."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from kerasae.data.decoding import (
    decode,
    is_array,
    is_grey,
    is_transparent,
    open_image,
    orientation,
    png_depth,
    turn,
)
from kerasae.data.index_cache import fingerprint, kept
from kerasae.data.layouts import UNREADABLE, Part
from kerasae.errors import InputError

UNUSABLE = (OSError, SyntaxError, ValueError, tf.errors.OpError, Image.DecompressionBombError)
PILLOW = 0
"""Reader of the files that `decoding.decode` reads; 1 to 8: TensorFlow, and the orientation that they are stored in."""


class Look(NamedTuple):
    """What is known of a file."""

    height: int = 0
    width: int = 0
    channels: int = 0
    depth: str = ""
    """"uint8", "uint16" or "float32"."""
    low: float = 0.0
    high: float = 0.0
    reader: int = PILLOW
    transparent: bool = False
    cmyk: bool = False
    frames: bool = False
    """Whether there are more images in the file than the first, which is read."""
    bytes: int = 0
    reason: str = ""
    """Why it cannot be read, "" if it can."""


def inspect(part: Part, skip_broken: bool) -> tuple[Part, dict[str, np.ndarray]]:
    """Leave out the files of a part that cannot be read, or raise `InputError` that names the first of them.

    Returns:
        The other files, and columns with a row for each: the fields of `Look`.
    """
    columns = kept(fingerprint(_facts(part.paths)), lambda: _inspect_all(part.paths))
    whole = columns["reason"] == ""
    if not whole.all() and not skip_broken:
        first = int(np.argmin(whole))
        raise InputError(
            f"data: {part.paths[first]} cannot be read as an image ({columns['reason'][first]}); repair or remove it, "
            "or give skip_broken."
        )
    return part.take(whole), {name: column[whole] for name, column in columns.items()}


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
    """Columns with a row per file."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # of damaged tags; MAX_PIXELS is lower than Pillow's and final
        looks = zip(*pool.map(_look, paths), strict=True)
    return {name: np.array(column) for name, column in zip(Look._fields, looks, strict=True)}


def _look(path: str) -> Look:
    try:
        return _inspect(path)
    except UNUSABLE as error:
        return Look(reason=(str(error).strip().splitlines() or [type(error).__name__])[0][:160])


def _inspect(path: str) -> Look:
    """Read the header, refuse what is too large, then decode as training does."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in UNREADABLE:
        raise ValueError(f"{suffix} is not read; convert it to PNG or JPEG")
    data = Path(path).read_bytes()
    header = Header() if is_array(data) else _examine(data)
    pixels = decode(data) if header.reader == PILLOW else turn(_by_tensorflow(data), header.reader)
    channels = pixels.shape[-1]
    if header.grey or (header.palette and is_grey(pixels)):
        channels = 1
    depth, low, high = pixels.dtype.name, float(pixels.min()), float(pixels.max())
    facts = (header.reader, header.transparent, header.cmyk, header.frames, len(data))
    return Look(*pixels.shape[:2], channels, depth, low, high, *facts)


class Header(NamedTuple):
    """What the header of an image tells, and whether pixels are transparent."""

    reader: int = PILLOW
    grey: bool = False
    palette: bool = False
    transparent: bool = False
    cmyk: bool = False
    frames: bool = False


def _examine(data: bytes) -> Header:
    with open_image(data) as image:
        jpeg = image.format in ("JPEG", "MPO")  # the second image of an MPO is a preview
        plain = image.mode in ("L", "RGB") if jpeg else image.format == "PNG" and png_depth(data) <= 8
        transparent = not jpeg and is_transparent(image)
        reader = orientation(image) if plain and not transparent else PILLOW
        grey = image.mode in ("1", "L", "LA")
        frames = not jpeg and getattr(image, "n_frames", 1) > 1
        return Header(reader, grey, image.mode == "P", transparent, image.mode == "CMYK", frames)


def _by_tensorflow(data: bytes) -> np.ndarray:
    with tf.device("CPU:0"):
        return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()
