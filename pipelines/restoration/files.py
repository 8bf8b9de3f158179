"""Read image files as floats from 0 to 1, and write them again in the depth and colour that they had."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasae.errors import InputError


class Picture(NamedTuple):
    """An image file as a model takes it, and what its result is written as."""

    name: str
    """Name of the file, without folders and ending."""
    pixels: np.ndarray
    """float32 [H, W, C] in [0, 1]."""
    dtype: str
    """"uint8", "uint16" or "float32", of the file."""
    maximum: float
    """The stored value that means 1."""
    grey: bool
    """Whether a grey file was repeated into the channels of the model."""


def listed(inputs):
    """List the image files of files and folders, in order; raises InputError for missing ones, or none."""
    from kerasae.data.layouts import walk_images

    found = []
    for name in inputs:
        if "\0" in name or not os.path.exists(name):
            raise InputError(f"input: {name!r} does not exist; expected image files or folders of them")
        inner = sorted(walk_images(Path(name))) if os.path.isdir(name) else [None]
        if not inner:
            raise InputError(f"input: {name} has no images")
        found += [name if part is None else os.path.join(name, part) for part in inner]
    stems = [Path(path).stem for path in found]
    if twice := {stem for stem in stems if stems.count(stem) > 1}:
        raise InputError(f"input: two files are called {min(twice)!r}, and one result would replace the other; rename")
    return found


def read(path, channels, intake=None):
    """Read a file as a `Picture` of some channels; raises InputError for a file that is no such image."""
    pixels = _stored(path)
    grey = pixels.shape[-1] == 1 and channels == 3
    if pixels.shape[-1] != channels and not grey:
        raise InputError(f"input: {path} has {pixels.shape[-1]} channels, but the model takes {channels}; convert it")
    dtype = pixels.dtype.name
    usual = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}[dtype]
    maximum = intake.maximum if intake is not None and intake.dtype == dtype != "float32" else usual
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > maximum:
        raise InputError(f"input: {path} holds values from {low:g} to {high:g}; expected 0 to {maximum:g}; scale it")
    values = np.repeat(pixels, channels, axis=-1) if grey else pixels
    return Picture(Path(path).stem, (values / maximum).astype(np.float32), dtype, maximum, grey)


def _stored(path):
    """Decode a file; what is transparent is laid over white, which is said."""
    from kerasae.data.inspection import UNUSABLE, read_stored
    from pipelines.command_line.voice import printable

    try:
        header, pixels = read_stored(Path(path).read_bytes())
    except UNUSABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"input: {path} cannot be read as an image ({reason}); repair or leave it out") from None
    if header.transparent:
        print(printable(f"{path}: is transparent, and laid over white"))
    return pixels


def read_mask(path):
    """Read a mask file: bool [H, W], true where it is brighter than half."""
    pixels = _stored(path)
    if pixels.shape[-1] != 1 and not (pixels == pixels[..., :1]).all():
        raise InputError(f"mask: {path} has colours; expected black, for what is known, and white, for what is hidden")
    top = {"uint8": 255, "uint16": 65535}.get(pixels.dtype.name, 1)
    return pixels[..., 0] > top / 2


def rectangle(box, shape):
    """Make a mask of a rectangle y x h w: bool [H, W]; raises InputError where it does not lie in the image."""
    y, x, height, width = box
    if min(height, width) < 1 or min(y, x) < 0 or y + height > shape[0] or x + width > shape[1]:
        raise InputError(
            f"rectangle: expected y x h w inside an image of {shape[0]}×{shape[1]} pixels. "
            f"Received: {' '.join(map(str, box))}"
        )
    hidden = np.zeros(shape[:2], bool)
    hidden[y : y + height, x : x + width] = True
    return hidden


def write(folder, picture, result):
    """Write a result in the depth of its file: PNG, or .npy of floats; grey files stay grey."""
    import tensorflow as tf

    values = result.mean(axis=-1, keepdims=True) if picture.grey else result
    if picture.dtype == "float32" or values.shape[-1] not in (1, 3):
        np.save(Path(folder, f"{picture.name}.npy"), _as_stored(values, picture))
        return
    Path(folder, f"{picture.name}.png").write_bytes(tf.io.encode_png(_as_stored(values, picture)).numpy())


def _as_stored(values, picture):
    if picture.dtype == "float32":
        return values.astype(np.float32)
    return np.rint(np.clip(values, 0, 1) * picture.maximum).astype(picture.dtype)
