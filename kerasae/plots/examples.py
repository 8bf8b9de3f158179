"""Draw examples, what a model makes of them, and directions and filters of the same shape."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from kerasae.errors import InputError
from kerasae.plots.layout import GAP, TITLE, cells, checked, draw, labelled_rows
from kerasae.plots.style import INK


def image_grid(images: np.ndarray, columns: int = 8, titles: Sequence[str] | None = None) -> Figure:
    """Draw examples [N, ...] in reading order, `columns` to a row, each with its title if given.

    Raises:
        InputError: no images, integers instead of floats, or another number of titles than of images.

    Example:
        >>> len(image_grid(np.zeros((5, 8, 8, 1)), columns=3).axes)
        5
    """
    images = checked("images", images)
    if titles is not None and len(titles) != len(images):
        raise InputError(f"titles: expected {len(images)}, one per image, received {len(titles)}.")
    if columns < 1:
        raise InputError(f"columns: expected at least 1, received {columns}.")
    columns = min(columns, len(images))
    rows, room = math.ceil(len(images) / columns), GAP if titles is None else TITLE
    figure, grid = cells(rows, columns, images[0], top=room, between=room)
    for i, axes in enumerate(grid.ravel()):
        if i >= len(images):
            axes.remove()
            continue
        draw(axes, images[i])
        if titles is not None:
            axes.set_title(str(titles[i]), fontsize=8, color=INK, pad=3)
    return figure


def reconstructions(
    x: np.ndarray, x_hat: np.ndarray, corrupted: np.ndarray | None = None, *, what: str = "corrupted"
) -> Figure:
    """Draw inputs above their reconstructions, column by column; corrupted inputs, if given, in between.

    Args:
        x, x_hat, corrupted: examples [N, ...].
        what: label of the row of corrupted inputs, such as "visible" for masked images.

    Raises:
        InputError: if the shapes differ.

    Example:
        >>> x = np.zeros((4, 8, 8, 1))
        >>> len(reconstructions(x, x).axes)
        8
    """
    rows = {"input": x, what: corrupted, "reconstruction": x_hat}
    rows = {name: checked(name, images) for name, images in rows.items() if images is not None}
    shapes = {name: images.shape for name, images in rows.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"x, x_hat, corrupted: expected one shape, received {shapes}; pass the same examples.")
    return labelled_rows(list(rows.values()), list(rows))


def rows(pictures: dict[str, np.ndarray]) -> Figure:
    """Draw the same examples in rows, such as originals and what a model made of them after each epoch.

    Args:
        pictures: name → examples [N, ...], a row each; all of one shape.

    Raises:
        InputError: no row, or the shapes differ.

    Example:
        >>> len(rows({"original": np.zeros((4, 8, 8, 1)), "epoch 1": np.zeros((4, 8, 8, 1))}).axes)
        8
    """
    shown = {name: checked(name, images) for name, images in pictures.items()}
    shapes = {name: images.shape for name, images in shown.items()}
    if len(set(shapes.values())) != 1:
        raise InputError(f"pictures: expected rows of one shape, received {shapes}; pass the same examples.")
    return labelled_rows(list(shown.values()), list(shown))


def heat_maps(x: np.ndarray, errors: np.ndarray, titles: Sequence[str] | None = None) -> Figure:
    """Draw images above where they are unlike normal ones: dark is little error, bright much, one scale for each.

    Args:
        x: images [N, H, W, C], floats in [0, 1], or of any range, each of which is then drawn from its least value to
            its greatest.
        errors: [N, H, W, C], ≥ 0; their mean over the channels is drawn.
        titles: one per image, such as its score.

    Raises:
        InputError: if the shapes differ.

    Example:
        >>> len(heat_maps(np.zeros((4, 8, 8, 1)), np.ones((4, 8, 8, 1))).axes)
        8
    """
    x, errors = checked("x", x), checked("errors", errors)
    if x.shape != errors.shape or x.ndim != 4:
        raise InputError(f"errors: expected {x.shape}, of images [N, H, W, C]. Received: {errors.shape}")
    heat = errors.mean(axis=-1)
    largest = heat.max(axis=(1, 2), keepdims=True)
    coloured = colormaps["inferno"](heat / np.where(largest > 0, largest, 1))[..., :3]
    return labelled_rows([in_unit_range(x), coloured], ["image", "error"], None if titles is None else list(titles))


def in_unit_range(x: np.ndarray) -> np.ndarray:
    """Stretch images of any range, each from its least value to its greatest; leave those in [0, 1]."""
    low, high = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return x if low.min() >= 0 and high.max() <= 1 else (x - low) / np.where(high > low, high - low, 1)


def filters(kernel: np.ndarray, shape: Sequence[int], n: int = 64) -> Figure:
    """Draw the first `n` first-layer filters as images; mid-grey is zero, each is scaled by its largest weight.

    Args:
        kernel: weights [D, units] of a dense layer, or [h, w, C, units] of a convolution.
        shape: shape of one filter, (H, W), (H, W, C) or (D,) for vectors, with D values in all.
        n: number of units to show.

    Raises:
        InputError: if D values do not fill `shape`.

    Example:
        >>> len(filters(np.ones((64, 10)), (8, 8, 1), n=6).axes)
        6
    """
    kernel = np.asarray(kernel, np.float32)
    kernel = kernel.reshape(-1, kernel.shape[-1])
    if kernel.shape[0] != math.prod(shape):
        raise InputError(
            f"shape: expected {kernel.shape[0]} values, the inputs of the kernel, received {tuple(shape)}; "
            "pass the shape of one input."
        )
    weights = kernel.T[: max(1, n)].reshape(-1, *shape)
    if weights.ndim == 4 and weights.shape[-1] not in (1, 3):
        weights = weights.mean(axis=-1)
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    largest = np.where(largest > 0, largest, 1).reshape(-1, *[1] * (weights.ndim - 1))
    return image_grid(0.5 + 0.5 * weights / largest, columns=math.ceil(math.sqrt(2 * len(weights))))


def tangents(x: np.ndarray, directions: np.ndarray) -> Figure:
    """Draw examples, each with directions of its input beside it, scaled by their largest value; mid-grey is zero.

    Args:
        x: examples [N, ...], floats in [0, 1].
        directions: [N, K, ...], as `kerasae.evaluate.tangents` finds them.

    Raises:
        InputError: if the shapes do not fit.

    Example:
        >>> len(tangents(np.zeros((2, 8, 8, 1)), np.ones((2, 3, 8, 8, 1))).axes)
        8
    """
    x, directions = checked("x", x), np.asarray(directions)
    if directions.ndim != x.ndim + 1 or (len(directions), *directions.shape[2:]) != x.shape:
        raise InputError(f"directions: expected [N, K, ...] of examples {x.shape}, received {directions.shape}.")
    largest = np.abs(directions).reshape(*directions.shape[:2], -1).max(axis=-1)
    largest = np.where(largest > 0, largest, 1).reshape(*directions.shape[:2], *[1] * (x.ndim - 1))
    drawn = 0.5 + 0.5 * directions / largest
    titles = ["example", *(f"{i + 1}" for i in range(directions.shape[1]))]
    return labelled_rows([np.stack([one, *some]) for one, some in zip(x, drawn, strict=True)], [""] * len(x), titles)


def interpolations(images: np.ndarray) -> Figure:
    """Draw decoded paths between pairs of codes: [R, S, ...], one path per row, from its start to its end.

    Example:
        >>> len(interpolations(np.zeros((2, 5, 8, 8, 1))).axes)
        10
    """
    images = np.asarray(images)
    if images.ndim < 3 or images.shape[1] < 2:
        raise InputError(f"images: expected [rows, steps ≥ 2, ...], received shape {images.shape}.")
    steps = images.shape[1]
    titles = [f"{i / (steps - 1):.0%}" for i in range(steps)]
    return labelled_rows(
        [checked("images", row) for row in images], [f"path {i + 1}" for i in range(len(images))], titles
    )
