"""One pixel format for all images of a folder: channels, type, range and bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasae.errors import InputError

WIDTHS = {"uint8": 255, "uint16": 65535}
"""Type of integers → their largest value."""


@dataclass(frozen=True)
class PixelFormat:
    """What the pixels of every example are, whatever their files hold."""

    channels: int
    """Channels before bands are chosen."""
    dtype: str = "uint8"
    """"uint8", "uint16" or "float32"."""
    maximum: float = 255.0
    """The value that means 1.0; 1 for floats."""
    value_range: tuple[float, float] | None = None
    """Stored floats that become 0 and 1; None where they are kept."""
    bands: tuple[int, ...] | None = None
    """Numbers of the channels that are kept, the first is 1; None for all."""

    @property
    def is_tensorflow(self) -> bool:
        """Whether TensorFlow's decoders can give it."""
        return self.dtype == "uint8" and self.channels in (1, 3)

    @property
    def chosen(self) -> list[int]:
        """Indices of the channels that are kept."""
        return [band - 1 for band in self.bands or range(1, self.channels + 1)]

    def conform(self, pixels: np.ndarray) -> np.ndarray:
        """Bring pixels [H, W, C] as stored into this format: depth, range, colour of grey images, bands."""
        if self.dtype == "uint16" and pixels.dtype == np.uint8:
            pixels = pixels.astype(np.uint16) * 257  # 255 becomes 65535
        if self.value_range:
            low, high = self.value_range
            pixels = np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1).astype(np.float32)
        if pixels.shape[-1] != self.channels:
            pixels = np.repeat(pixels[..., :1], self.channels, axis=-1)
        return np.ascontiguousarray(pixels if self.bands is None else pixels[..., self.chosen])


def agree(
    paths: Sequence[str],
    columns: dict[str, np.ndarray],
    value_range: tuple[float | None, float | None] = (None, None),
    bands: tuple[int, ...] | None = None,
) -> tuple[PixelFormat, list[str]]:
    """Find the format that keeps what all files hold, and say what becomes of those that hold less.

    Colour wins over grey, 16 bits over 8. Floats within 0 … 1 are kept.

    Args:
        paths: of the files, for messages.
        columns: of `inspection.inspect`.
        value_range: stored values that mean 0 and 1. The first is for floats only. None where the type decides: the
            largest integer.
        bands: numbers of the bands to keep, the first is 1.

    Returns:
        The format, and notes: a line with a count for every kind of change.

    Raises:
        InputError: numbers of bands that cannot be one, floats beside integers, values out of the range, bands that do
            not exist.
    """
    channels = _channels(paths, columns["channels"])
    dtype = _dtype(paths, columns["depth"])
    if bands and max(bands) > channels:
        raise InputError(f"bands: expected numbers from 1 to {channels}, which the images have; received {bands}.")
    notes = _notes(columns, channels, dtype)
    if dtype == "float32":
        scale = _float_range(paths, columns, value_range)
        return PixelFormat(channels, dtype, 1.0, scale, bands), notes
    maximum = _maximum(paths, columns, dtype, value_range)
    return PixelFormat(channels, dtype, maximum, None, bands), notes


def _channels(paths: Sequence[str], channels: np.ndarray) -> int:
    kinds = set(channels.tolist())
    if kinds == {1, 3}:
        return 3
    if len(kinds) > 1:
        other = int(np.argmax(channels != channels[0]))
        raise InputError(
            f"data: {paths[0]} has {channels[0]} bands, {paths[other]} has {channels[other]}; expected as many in "
            "every file; move one kind away."
        )
    return kinds.pop()


def _dtype(paths: Sequence[str], depths: np.ndarray) -> str:
    floats = depths == "float32"
    if floats.any() and not floats.all():
        a, b = paths[int(np.argmax(floats))], paths[int(np.argmin(floats))]
        raise InputError(f"data: {a} holds floats, {b} integers; expected one kind in every file; convert one.")
    return "float32" if floats.any() else "uint16" if (depths == "uint16").any() else "uint8"


def _notes(columns: dict[str, np.ndarray], channels: int, dtype: str) -> list[str]:
    """A line for every kind of file that is not given as it is stored."""
    changed = {
        "are grey and read as colour": (columns["channels"] == 1) & (channels == 3),
        "have 8 bits and are read as 16": (columns["depth"] == "uint8") & (dtype == "uint16"),
        "are transparent and laid over white": columns["transparent"],
        "are CMYK and converted without their colour profile": columns["cmyk"],
        "hold several images, of which the first is read": columns["frames"],
    }
    total = len(columns["channels"])
    return [f"{rows.sum()} of {total} images {what}" for what, rows in changed.items() if rows.any()]


def _float_range(paths, columns, value_range) -> tuple[float, float] | None:
    """Stored floats that become 0 and 1, None to keep them."""
    low, high = columns["low"].min(), columns["high"].max()
    if value_range == (None, None):
        if low < 0 or high > 1:
            raise InputError(
                f"data: images of floats, such as {paths[0]}, hold {low:.9g} to {high:.9g}; expected 0 to 1; to scale "
                f"them give min_value and max_value, such as --min-value {low:.9g} --max-value {high:.9g}."
            )
        return None
    least, most = value_range[0] or 0.0, 1.0 if value_range[1] is None else value_range[1]
    if not least < most:
        raise InputError(f"min_value: expected less than max_value, {most:g}; received {least:g}.")
    _within(paths, columns, least, most)
    return least, most


def _maximum(paths, columns, dtype, value_range) -> float:
    """The integer that means 1.0."""
    if value_range[0] is not None:
        raise InputError("min_value: only used with images of floats, not of integers; leave it out.")
    if value_range[1] is None:
        return float(WIDTHS[dtype])
    if dtype == "uint16" and (columns["depth"] == "uint8").any():
        raise InputError("max_value: some images have 8 bits and others 16; expected one kind; convert one.")
    if not 1 <= value_range[1] <= WIDTHS[dtype] or value_range[1] != int(value_range[1]):
        raise InputError(
            f"max_value: expected a whole number from 1 to {WIDTHS[dtype]} for images of {dtype}; received "
            f"{value_range[1]:g}."
        )
    _within(paths, columns, 0, value_range[1])
    return float(value_range[1])


def _within(paths, columns, low: float, high: float) -> None:
    """Raise InputError that names the first file with a value outside low … high."""
    outside = (columns["low"] < low) | (columns["high"] > high)
    if outside.any():
        i = int(np.argmax(outside))
        name, number = ("min_value", low) if columns["low"][i] < low else ("max_value", high)
        raise InputError(
            f"{name}: {paths[i]} holds values from {columns['low'][i]:.9g} to {columns['high'][i]:.9g}; expected "
            f"{low:g} to {high:g}; give another {name} than {number:g}."
        )
