"""Images scaled by whole numbers: what a camera of fewer pixels sees, and its enlargement."""

import keras
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
    _, height, width, _ = images.shape
    return keras.ops.image.resize(images, (height * scale, width * scale), "bicubic", data_format="channels_last")
