"""Style of a written character, its slant and the width of its strokes, and how much of it a change keeps."""

import numpy as np

from kerasae.errors import InputError


def slant(images: np.ndarray) -> np.ndarray:
    """Measure the slant of bright strokes on dark ground: [N, H, W] → [N], columns per row, > 0 = leans to the right.

    The slope −Cov(row, column) / Var(row) of the line that predicts columns from rows, each pixel weighted by its
    brightness; 0 where all ink lies in one row.

    Example:
        >>> slant(np.eye(5)[None, ::-1])  # a stroke like /
        array([1.])
    """
    x = checked(images)
    weight = x / np.maximum(x.sum((1, 2), keepdims=True), 1e-12)
    rows, columns = np.indices(x.shape[1:])
    row, column = ((weight * place).sum((1, 2), keepdims=True) for place in (rows, columns))
    covariance = (weight * (rows - row) * (columns - column)).sum((1, 2))
    variance = (weight * (rows - row) ** 2).sum((1, 2))
    return -covariance / np.where(variance > 1e-12, variance, np.inf)


def stroke_width(images: np.ndarray) -> np.ndarray:
    """Estimate the width of bright strokes on dark ground: [N, H, W] → [N], pixels.

    Twice the area of the ink, Σ x, by the length of its edges, Σ |∇x|, ∇x the differences to the next row and column:
    exact for a bar from edge to edge of the image, also of grey edges. 0 for an image of one value.

    Example:
        >>> bar = np.zeros((1, 6, 40))
        >>> bar[:, :, 10:13] = 1
        >>> stroke_width(bar)
        array([3.])
    """
    x = checked(images)
    down = np.diff(x, axis=1, append=x[:, -1:])
    right = np.diff(x, axis=2, append=x[:, :, -1:])
    edges = np.hypot(down, right).sum((1, 2))
    return 2.0 * x.sum((1, 2)) / np.where(edges > 0, edges, np.inf)


def style_kept(before: np.ndarray, after: np.ndarray, old: np.ndarray, new: np.ndarray) -> float:
    """Correlate a measure of style before and after a change of class, within pairs of classes: −1 to 1.

    From each value the mean of its pair (old class, new class) is taken away, so that sevens which lean more than
    zeros do not count as style. A measure that does not vary gives 0.

    Args:
        before, after: the measure of each image, [N].
        old, new: its classes, [N].

    Example:
        >>> style_kept([1.0, 2.0, 5.0, 7.0], [3.0, 4.0, 0.0, 2.0], [0, 0, 1, 1], [1, 1, 0, 0])
        1.0
    """
    pair = np.unique(np.stack([old, new], 1), axis=0, return_inverse=True)[1].ravel()
    before, after = (centred(np.asarray(values, np.float64), pair) for values in (before, after))
    scale = np.sqrt((before**2).sum() * (after**2).sum())
    return float((before * after).sum() / scale) if scale > 0 else 0.0


def centred(values, group):
    """Subtract the mean of its group from each value: [N] → [N]."""
    count = np.bincount(group)
    return values - (np.bincount(group, values) / np.maximum(count, 1))[group]


def checked(images):
    """Check images [N, H, W]: float64, none below 0."""
    images = np.asarray(images, np.float64)
    if images.ndim != 3:
        raise InputError(f"images: expected grey images [N, H, W]. Received: shape {images.shape}")
    return np.maximum(images, 0)
