"""Position codes of the patches of a signal, an image or a volume."""

import math

import numpy as np
from keras import ops

from kerasae.errors import InputError


def sincos_positions(grid, width):
    """Compute fixed sin-cos position codes of a grid: [N, width], row by row; N is the product of the grid.

    An axis has a part of the width D_a, half of it for sin and half for cos of the place along the axis, at the
    frequencies 10000^(−2i / D_a), i = 0 … D_a/2 − 1: Vaswani et al., arXiv 1706.03762, section 3.5. The last axis
    comes first: [sin_w | cos_w | sin_h | cos_h] of an image, a quarter of the width each, as in He et al., arXiv
    2111.06377. Where equal parts would not be even, the last axes get two more.

    Args:
        grid: number of places along each axis, (rows, columns) of an image.
        width: length of a code, even, at least 2 for each axis.

    Returns:
        float32 NumPy array [N, width].

    Raises:
        InputError: if the width is not even, or too small.

    Example:
        >>> sincos_positions((2, 3), 8).shape
        (6, 8)
    """
    pairs, axes = width // 2, len(grid)
    if width % 2 or pairs < axes:
        raise InputError(
            f"sin-cos positions of {axes} axes need an even width, 2 or more for each. Received: width={width}"
        )
    places = np.meshgrid(*(np.arange(n, dtype="float64") for n in grid), indexing="ij")[::-1]
    parts = [pairs // axes + (i < pairs % axes) for i in range(axes)]
    angles = [np.outer(place.ravel(), frequencies(part)) for place, part in zip(places, parts, strict=True)]
    return np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], axis=1).astype("float32")


def frequencies(count):
    """Compute 10000^(−i / count), i = 0 … count − 1, in double precision."""
    return 10000.0 ** (-1.0 / count * np.arange(count))


def resize_positions(positions, grid, new_grid):
    """Interpolate position codes to another grid, cubically along each axis: [N, D] → [new N, D].

    It adapts weights to another image size: Dosovitskiy et al., arXiv 2010.11929, section 3.2.

    Args:
        positions: [N, D], row by row, without a class token's row.
        grid, new_grid: number of places along each axis before and after, (rows, columns) of an image.

    Raises:
        InputError: if the grids have different numbers of axes.

    Example:
        >>> resize_positions(np.ones((4, 8)), (2, 2), (3, 5)).shape
        (15, 8)
    """
    if len(grid) != len(new_grid):
        raise InputError(f"positions of {len(grid)} axes cannot be interpolated to {len(new_grid)}: {grid}, {new_grid}")
    width, x = positions.shape[-1], ops.cast(positions, "float32")
    *before, rows, columns = (1, *grid)
    images = ops.reshape(x, (math.prod(before), rows, columns, width))
    x = ops.image.resize(images, (1, *new_grid)[-2:], interpolation="bicubic", data_format="channels_last")
    for axis in reversed(range(len(grid) - 2)):  # of a volume: its places along an axis as the rows of an image
        image = ops.reshape(x, (math.prod(grid[:axis]), grid[axis], math.prod(new_grid[axis + 1 :]), width))
        size = (new_grid[axis], image.shape[2])
        x = ops.image.resize(image, size, interpolation="bicubic", data_format="channels_last")
    return ops.reshape(x, (math.prod(new_grid), width))
