"""Images scaled by whole numbers: what a camera of fewer pixels sees, and its enlargement."""

import math

import numpy as np
from keras import ops

from kerasae.errors import InputError


def shrink_images(images, scale):
    """Average blocks of s×s pixels: [B, s·h, s·w, C] → [B, h, w, C].

    Args:
        images: [B, H, W, C] of known sizes.
        scale: s, a whole number that divides both sides.

    Raises:
        InputError: if it does not.

    Example:
        >>> shrink_images(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, ..., 0]
        [[2.5, 4.5], [10.5, 12.5]]
    """
    _, height, width, channels = images.shape
    if height % scale or width % scale:
        raise InputError(f"scale: {scale} does not divide images of {height}×{width}; resize or crop them")
    blocks = ops.reshape(images, (-1, height // scale, scale, width // scale, scale, channels))
    return ops.mean(blocks, axis=(2, 4))


def enlarge_images(images, scale):
    """Enlarge images by a whole number with Keys's bicubic kernel: [B, h, w, C] → [B, s·h, s·w, C].

    Keys, IEEE Trans. ASSP 29 (1981), a = −0.5, on the grid in which pixels are areas. Values may overshoot at edges.

    Example:
        >>> enlarge_images(np.ones((1, 2, 3, 1)), 2).shape
        (1, 4, 6, 1)
    """
    for axis in (1, 2):
        images = _enlarged(images, scale, axis)
    return images


def _enlarged(x, scale, axis):
    """Enlarge one axis; each of the s phases of the new pixels is a sum of four shifted old ones."""
    count, reach = x.shape[axis], 2
    # Mirrored, pixel by pixel, as an axis may have but one.
    order = np.arange(-reach, count + reach)
    x = ops.take(x, np.minimum(np.where(order < 0, -order - 1, order), 2 * count - 1 - order) % count, axis=axis)
    phases = [sum(w * _part(x, k + reach, count, axis) for k, w in taps(i, scale)) for i in range(scale)]
    sizes = [count * scale if i == axis else n for i, n in enumerate(x.shape)]
    return ops.reshape(ops.stack(phases, axis=axis + 1), (-1, *sizes[1:]))


def _part(x, start, count, axis):
    return x[:, start : start + count] if axis == 1 else x[:, :, start : start + count]


def taps(phase, scale):
    """List (shift, weight) of the four pixels that make new pixel `phase` of each old one; the weights sum to one."""
    place = (phase + 0.5) / scale - 0.5
    shifts = range(math.floor(place) - 1, math.floor(place) + 3)
    return [(shift, cubic(abs(place - shift))) for shift in shifts]


def cubic(d):
    """Compute Keys's cubic kernel with a = −0.5 at a distance d ≥ 0 in pixels."""
    if d < 1:
        return (1.5 * d - 2.5) * d * d + 1.0
    return ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0 if d < 2 else 0.0
