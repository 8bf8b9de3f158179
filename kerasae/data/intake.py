"""Examples of strangers, one at a time, as a trained model takes them: image files and rows of arrays."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasae.data.images import resize
from kerasae.data.inspection import UNUSABLE, read_stored
from kerasae.data.layouts import UNREADABLE
from kerasae.data.pixel_format import WIDTHS, PixelFormat
from kerasae.data.table import read_rows
from kerasae.data.text import read_lines
from kerasae.errors import InputError


class BrokenImage(Exception):
    """Report that a file cannot be read as an image; the message is the reason."""


@dataclass(frozen=True)
class Intake:
    """What a model takes, and how examples become that: the reading of its training, for examples it has not seen.

    Nothing that would change the meaning of an example is done silently: colour is not made grey, 16 bits are not made
    8, floats and integers are not mixed, and sizes change only where `resized` is set.

    Example:
        >>> intake = Intake((28, 28, 1))
        >>> intake.file("digit.png").shape
        (28, 28, 1)
    """

    shape: tuple[int, ...]
    """Of one example: (H, W, C) for images."""
    dtype: str = "uint8"
    """Type of the values as stored: "uint8", "uint16" or "float32"."""
    maximum: float = 255.0
    """The stored integer that means 1."""
    value_range: tuple[float, float] | None = None
    """Stored floats that become 0 and 1; None where they are kept."""
    bands: tuple[int, ...] | None = None
    """Numbers of the bands of a file to keep, the first is 1; None for all."""
    resized: bool = False
    """Whether images of other sizes are scaled, by the short side, and cut to `shape`."""
    center: float = 1.0
    """Share of the side that is kept when an image is resized."""

    standardized: bool = False
    """Whether any finite number is taken, as the model standardises them itself."""
    missing: bool = False
    """Whether NaN is taken, as a missing number."""

    columns: tuple = ()
    """The `table_columns.Column`s of the table that the model has learned from; none of other data."""
    target: str | None = None
    """Column of the label, which a table may hold too."""
    text: bool = False
    """Whether the columns are words, and examples are lines of text."""
    text_as: str | None = None
    """What a token of a line is, where examples are ids: "words" or "characters"; None for bags of words."""

    @classmethod
    def as_read(cls, recipe: dict, shape, dtype: str, maximum: float, value_range=None, **further) -> "Intake":
        """What a run takes whose recipe has these values of `image_size`, `center` and `bands`; `further` fields."""
        center, bands = recipe.get("center") or 1.0, recipe.get("bands")
        resized = len(shape) == 3 and (bool(recipe.get("image_size")) or center < 1)
        scale = None if value_range is None else (float(value_range[0]), float(value_range[1]))
        kept = tuple(bands) if bands else None
        text = str(recipe.get("data")).startswith("text:")
        return cls(
            tuple(shape),
            dtype,
            maximum,
            scale,
            kept,
            resized,
            center,
            text=text,
            text_as=recipe.get("text_as"),
            **further,
        )

    def resizing(self, size: tuple[int, ...]) -> "Intake":
        """The same with images resized to `size`, a side or (height, width), which must be the model's."""
        sides = tuple(size) * 2 if len(size) == 1 else tuple(size)
        if len(self.shape) != 3 or sides != self.shape[:2]:
            wanted = f"{_size(self.shape, ' ')}, what the model takes" if len(self.shape) == 3 else "none, for vectors"
            raise InputError(f"image_size: expected {wanted}. Received: {' '.join(map(str, size))}")
        return replace(self, resized=True)

    def file(self, path: str) -> np.ndarray:
        """Read an image file as an example [H, W, C].

        Raises:
            BrokenImage: it cannot be read as an image.
            InputError: it is another image than the model takes: of other size, channels, depth or range.
        """
        if len(self.shape) != 3:
            raise InputError(f"input: {path} is a file, but the model takes examples {list(self.shape)}; give .npz")
        return self.image(self._deep(_pixels(path), path), path)

    def encoded(self, data: bytes, name: str) -> np.ndarray:
        """Decode the bytes of an image file into an example [H, W, C]; raises as `file` does."""
        if len(self.shape) != 3:
            raise InputError(f"input: {name} is an image, but the model takes examples {list(self.shape)}")
        return self.image(self._deep(_decoded(data), name), name)

    def table(self, file: str) -> np.ndarray:
        """Read the rows of a table as examples [N, D]; raises InputError for columns that are not the model's."""
        if not self.columns or self.text:
            raise InputError(f"input: {file} is a table, but the model takes examples {list(self.shape)}; give those")
        return read_rows(file, self.columns, self.target)

    def lines(self, file: str) -> np.ndarray:
        """Read the lines of a text file as bags [N, V + 1] or ids [N, T]; raises InputError for a model of no text."""
        if not self.text:
            raise InputError(f"input: {file} is text, but the model takes examples {list(self.shape)}; give those")
        return read_lines(file, self.columns, self.text_as, self.shape[0])

    def image(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Bring an image [H, W, C] into the model's form; raises InputError, naming it, if it is of another kind."""
        chosen = self._in_range(self._channels(pixels, name), name)
        pixels = PixelFormat(self.shape[-1], self.dtype, self.maximum, self.value_range).conform(chosen)
        if self.resized:
            pixels = self._resize(tf.constant(pixels)).numpy()
        if pixels.shape != self.shape:
            raise InputError(
                f"input: {name} is {_size(pixels.shape)}, but the model takes {_size(self.shape)} (height x width); "
                f"to resize give --image-size {_size(self.shape, ' ')}"
            )
        return pixels

    def row(self, values: np.ndarray, name: str) -> np.ndarray:
        """Bring one row of an array into the model's form; images may lack the axis of one channel."""
        if len(self.shape) != 3:
            values = self._scaled(self._in_range(values, name))
            if values.shape != self.shape:
                raise InputError(f"input: {name} has shape {list(values.shape)}, the model takes {list(self.shape)}")
            return values
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise InputError(f"input: {name} has shape {list(values.shape)}, the model takes {list(self.shape)}")
        return self.image(values if values.ndim == 3 else values[..., None], name)

    # ---- checks

    def _channels(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Choose the bands; raises InputError for channels that are not the model's. Grey images become colour."""
        found, wanted = pixels.shape[-1], self.shape[-1]
        if self.bands and found >= max(self.bands):
            return pixels[..., [band - 1 for band in self.bands]]
        if self.bands or (found != wanted and (found, wanted) != (1, 3)):
            least = f"at least {max(self.bands)}" if self.bands else wanted
            raise InputError(f"input: {name} has {found} channel{'s'[: found > 1]}, but the model takes {least}")
        return pixels

    def _deep(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Give pixels of a file the model's depth, where that is exact: 8 bits become 16, 257 times their value."""
        depths = {"uint8": 8, "uint16": 16}
        found, wanted = depths.get(pixels.dtype.name), depths.get(self.dtype)
        if None in (found, wanted) or found == wanted:
            return pixels
        if found < wanted and self.maximum == WIDTHS["uint16"]:
            return pixels.astype(np.uint16) * 257
        raise InputError(f"input: {name} has {found} bits, but the model has learned from {wanted}")

    def _in_range(self, values: np.ndarray, name: str) -> np.ndarray:
        """Raise InputError for values of another kind or range; integers become those of the model's type."""
        if self.standardized:
            return _finite(values, name, self.missing)
        floats = self.dtype == "float32"
        if values.dtype.kind not in ("f" if floats else "iub"):
            kinds = ("floats", "integers") if floats else ("integers", "floats")
            found = kinds[1] if values.dtype.kind in "fiub" else f"values of type {values.dtype}"
            raise InputError(f"input: {name} holds {found}, but the model has learned from {kinds[0]}")
        low, high = (self.value_range or (0.0, 1.0)) if floats else (0, self.maximum)
        least, most = (values.min(), values.max()) if values.size else (low, low)
        if not (least >= low and most <= high):  # written so that NaN fails
            raise InputError(
                f"input: {name} holds values from {float(least):.6g} to {float(most):.6g}, but the model takes "
                f"{low:g} to {high:g}"
            )
        return values.astype(self.dtype)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        if self.value_range is None:
            return values
        low, high = self.value_range
        return np.clip((values.astype(np.float64) - low) / (high - low), 0, 1).astype(np.float32)

    @cached_property
    def _resize(self):
        top = 1.0 if self.dtype == "float32" else self.maximum
        signature = [tf.TensorSpec([None, None, self.shape[-1]], self.dtype)]
        return tf.function(lambda image: resize(image, self.shape[:2], self.center, top), signature, autograph=False)


def _finite(values: np.ndarray, name: str, missing: bool) -> np.ndarray:
    """Convert numbers of any range, or NaN for missing ones, to float32; raises InputError if one is not finite."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"input: {name} holds values of type {values.dtype}, but the model has learned from numbers")
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if not (np.isfinite(found) | (missing & np.isnan(found))).all():
        raise InputError(f"input: {name} holds NaN or infinite values, but the model takes finite numbers only")
    return found


def _pixels(path: str) -> np.ndarray:
    """Pixels [H, W, C] of a file as stored; raises BrokenImage with the reason."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in UNREADABLE:
        raise BrokenImage(f"{suffix} is not read; convert it to PNG or JPEG")
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            raise BrokenImage("is no file")
        data = Path(path).read_bytes()
    except UNUSABLE as error:
        raise BrokenImage(_reason(error)) from None
    return _decoded(data)


def _decoded(data: bytes) -> np.ndarray:
    """Pixels [H, W, C] of the bytes of a file; raises BrokenImage with the reason."""
    try:
        return read_stored(data)[1]
    except UNUSABLE as error:
        raise BrokenImage(_reason(error)) from None


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _size(shape: tuple[int, ...], between: str = " x ") -> str:
    return between.join(map(str, shape[:2]))
