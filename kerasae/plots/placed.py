"""Draw images at their places in the plane, and give numbers of classes or clusters a colour."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from kerasae.errors import InputError
from kerasae.plots.plane import TEN
from kerasae.plots.style import FAINT

SIZE = 10.0
"""Side of the picture in inches."""

SHARE = 1 / 28
"""Side of an image by that of the picture."""

NOISE = "#9a9a9a"
"""Colour of what has no class or cluster, -1."""


def colours_of(numbers: np.ndarray) -> list[str]:
    """Choose a colour for each class or cluster of [N] whole numbers, such as "#1f77b4"; -1 is grey.

    Example:
        >>> colours_of(np.array([0, -1]))
        ['#1f77b4', '#9a9a9a']
    """
    numbers = np.asarray(numbers)
    most = max(numbers.max(initial=0), 1)
    few = most < TEN
    shade = colormaps["tab10"] if few else colormaps["turbo"]
    return [NOISE if n < 0 else to_hex(shade(int(n) if few else float(n / most))) for n in numbers]


def thumbnails(places: np.ndarray, images: np.ndarray, numbers: np.ndarray) -> Figure:
    """Draw images at their places, framed in the colour of their class or cluster; those that would overlap are dots.

    Args:
        places: [N, 2].
        images: [N, H, W, C] in [0, 1]; of other channels than three the mean is drawn.
        numbers: classes or clusters [N], -1 for none.

    Raises:
        InputError: lengths that differ, or anything but places and images.

    Example:
        >>> len(thumbnails(np.eye(2), np.zeros((2, 8, 8, 1)), np.array([0, 1])).axes[0].images)
        2
    """
    places, images = np.asarray(places, np.float64), np.asarray(images)
    if places.shape[1:] != (2,) or images.ndim != 4 or not len(places) == len(images) == len(numbers):
        shapes = (places.shape, images.shape, np.shape(numbers))
        raise InputError(f"places, images, numbers: expected [N, 2], [N, H, W, C] and [N]. Received: {shapes}")
    figure = Figure(figsize=(SIZE, SIZE))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    unit, colours = square(places), colours_of(numbers)
    axes.scatter(*unit.T, s=8, c=colours, linewidths=0, alpha=0.7)
    half = SHARE / 2
    for i in apart(unit, SHARE * 1.15):
        (x, y), picture = unit[i], framed(images[i], colours[i])
        down, across = half * np.array(picture.shape[:2]) / max(picture.shape[:2])
        axes.imshow(picture, extent=(x - across, x + across, y - down, y + down), zorder=2)
    axes.set(xlim=(-half, 1 + half), ylim=(-half, 1 + half), xticks=[], yticks=[])
    axes.spines[:].set_color(FAINT)
    return figure


def square(places: np.ndarray) -> np.ndarray:
    """Move and scale places [N, 2] into the unit square, in proportion."""
    low, span = places.min(axis=0), max(np.ptp(places, axis=0).max(), 1e-12)
    return (places - low) / span + (1 - np.ptp(places, axis=0) / span) / 2


def apart(unit: np.ndarray, distance: float) -> list[int]:
    """Choose places [N, 2], first come first served, of which no two are nearer than `distance` along both axes."""
    chosen: list[int] = []
    for i, place in enumerate(unit):
        if not chosen or (np.abs(unit[chosen] - place).max(axis=1) >= distance).all():
            chosen.append(i)
    return chosen


def framed(image: np.ndarray, colour: str) -> np.ndarray:
    """Frame an image [H, W, C] in a colour: [H + 2 b, W + 2 b, 3]."""
    image = image if image.shape[-1] == 3 else np.repeat(image.mean(-1, keepdims=True), 3, axis=-1)
    border = max(1, round(0.06 * max(image.shape)))
    height, width = image.shape[:2]
    found = np.tile(np.array(to_rgb(colour)), (height + 2 * border, width + 2 * border, 1))
    found[border:-border, border:-border] = np.clip(image, 0, 1)
    return found
