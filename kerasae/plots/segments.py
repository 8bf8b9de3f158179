"""Colour the classes of pixels over their images."""

import numpy as np

from kerasae.errors import InputError

IGNORED = 255


def coloured(images: np.ndarray) -> np.ndarray:
    """Bring images, floats in [0, 1], [N, H, W, C], to three channels; of others than 1 and 3 the mean is grey."""
    if images.shape[-1] == 3:
        return images
    return np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1)


def overlay(images: np.ndarray, masks: np.ndarray, opacity: float = 0.7) -> np.ndarray:
    """Lay the colours of classes over images, in dark grey: float32 [N, H, W, 3].

    Class 0 and ignored pixels, 255, keep the image.

    Args:
        images: floats in [0, 1], [N, H, W, C].
        masks: classes uint8 [N, H, W]; their colours are those of `kerasae.data.palette`.
        opacity: of the colours, in [0, 1].

    Raises:
        InputError: the masks do not fit the images.
    """
    from kerasae.data import palette  # here, as it brings TensorFlow and pyplot, which other plots do without

    if masks.shape != images.shape[:3]:
        raise InputError(f"masks: expected {list(images.shape[:3])}. Received: {list(masks.shape)}")
    grey = np.repeat(0.6 * images.mean(axis=-1, keepdims=True), 3, axis=-1)  # dark: a class may be grey
    shown = ((masks != 0) & (masks != IGNORED))[..., None] * opacity
    return ((1 - shown) * grey + shown * palette()[masks] / 255).astype("float32")
