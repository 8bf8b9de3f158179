"""Render figures as PNG with a caption, and names so that matplotlib draws them as they are."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np
from matplotlib.figure import Figure

from kerasae import plots


@dataclass(frozen=True)
class Picture:
    """PNG picture as base64 text, `width` CSS pixels wide, with a caption that explains it."""

    title: str
    caption: str
    png: str
    width: int


def picture(title: str, caption: str, figure: Figure, scale: float) -> Picture:
    """Render a figure at `scale` times its nominal size, sharp on dense screens too."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a character that the font lacks becomes an empty box
        warnings.filterwarnings("ignore", "constrained_layout")  # no room beside very long names
        png = plots.png_base64(figure, dpi=round(160 * scale))
    return Picture(title, caption, png, round(96 * scale * figure.get_figwidth()))


def array(tensor) -> np.ndarray:
    """Convert a tensor to a NumPy array in single precision."""
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def class_names(info) -> list[str]:
    """Return a name per class; empty without labels."""
    return [str(name) for name in info.class_names or ()]


def plain(text: str) -> str:
    """Escape text so that matplotlib draws it literally: no formulas, no bytes that are no characters."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def short(text: str, length=9) -> str:
    """Shorten text to fit above a small picture."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
