"""Position codes of the patches of an image."""

import numpy as np
from keras import ops

from kerasae.errors import InputError


def sincos_positions(grid, width):
    """Compute fixed sin-cos position codes of a grid: [rows · columns, width], row by row.

    A quarter of the width each for sin and cos of the column, then of the row, [sin_w | cos_w | sin_h | cos_h], at the
    frequencies 10000^(−4i / width), i = 0 … width/4 − 1: Vaswani et al., arXiv 1706.03762, section 3.5, in two
    dimensions as in He et al., arXiv 2111.06377.

    Args:
        grid: (rows, columns).
        width: length of a code, a multiple of 4.

    Returns:
        float32 NumPy array [rows · columns, width].

    Raises:
        InputError: if the width is not a multiple of 4.

    Example:
        >>> sincos_positions((2, 3), 8).shape
        (6, 8)
    """
    if width % 4:
        raise InputError(f"sin-cos positions need a width that is a multiple of 4. Received: width={width}")
    rows, columns = np.meshgrid(*(np.arange(n, dtype="float64") for n in grid), indexing="ij")
    frequencies = 10000.0 ** (-4.0 / width * np.arange(width // 4))
    angles = [np.outer(place.ravel(), frequencies) for place in (columns, rows)]
    return np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], axis=1).astype("float32")


def resize_positions(positions, grid, new_grid):
    """Interpolate position codes to another grid, bicubically: [rows · columns, D] → [new rows · new columns, D].

    It adapts weights to another image size: Dosovitskiy et al., arXiv 2010.11929, section 3.2.

    Args:
        positions: [rows · columns, D], without a class token's row.
        grid, new_grid: (rows, columns) before and after.

    Example:
        >>> resize_positions(np.ones((4, 8)), (2, 2), (3, 5)).shape
        (15, 8)
    """
    width = positions.shape[-1]
    image = ops.reshape(ops.cast(positions, "float32"), (1, *grid, width))
    resized = ops.image.resize(image, new_grid, interpolation="bicubic", data_format="channels_last")
    return ops.reshape(resized, (new_grid[0] * new_grid[1], width))
