"""Draw the latent space: a map of decoded codes, and codes on the sphere."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kerasae.errors import InputError
from kerasae.plots.plane import add_legend, coloured
from kerasae.plots.style import FAINT

SIZE = 7.0
"""Side of a map in inches."""


def mosaic(images: np.ndarray, gap: int = 1) -> Figure:
    """Draw images [R, C, H, W, channels] in [0, 1] as one picture, such as a map of the latent space.

    Args:
        images: the images.
        gap: white pixels between two of them.

    Raises:
        InputError: anything but images in rows and columns.

    Example:
        >>> mosaic(np.zeros((10, 10, 8, 8, 1))).axes[0].images[0].get_array().shape
        (89, 89)
    """
    images = np.asarray(images)
    if images.ndim != 5:
        raise InputError(f"images: expected [rows, columns, H, W, channels], received shape {images.shape}.")
    spaced = np.pad(images, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    rows, columns, height, width, channels = spaced.shape
    picture = spaced.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    picture = picture[: len(picture) - gap, : picture.shape[1] - gap]
    picture = picture if channels == 3 else picture.mean(-1)
    figure = Figure(figsize=(SIZE, SIZE * picture.shape[0] / picture.shape[1]))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.clip(picture, 0, 1), cmap=None if channels == 3 else "gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    return figure


def sphere(codes: np.ndarray, labels: np.ndarray | None = None, names: Sequence[str] | None = None) -> Figure:
    """Draw unit vectors [N, 3] in the Hammer projection, which keeps areas, as Davidson et al., arXiv 1804.00891.

    Args:
        codes: [N, 3]; they are brought to length 1.
        labels: classes [N] ≥ 0, by which points are coloured.
        names: of the classes, for a legend; up to ten are shown.

    Raises:
        InputError: codes of other dimensions.

    Example:
        >>> sphere(np.eye(3)).axes[0].name
        'hammer'
    """
    codes = np.asarray(codes, "float64")
    if codes.ndim != 2 or codes.shape[1] != 3:
        raise InputError(f"codes: expected [N, 3], received shape {codes.shape}.")
    x, y, z = (codes / np.linalg.norm(codes, axis=1, keepdims=True)).T
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.add_subplot(projection="hammer")
    drawn = axes.scatter(
        np.arctan2(y, x), np.arcsin(np.clip(z, -1, 1)), s=9, alpha=0.8, linewidths=0, **coloured(labels)
    )
    axes.grid(color=FAINT)
    axes.set(xticklabels=[], yticklabels=[])
    add_legend(figure, drawn, labels, names)
    return figure
