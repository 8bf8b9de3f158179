"""Write images as an animation, GIF or WebP."""

import io

import numpy as np
from PIL import Image

from kerasae.errors import InputError

SIDE = 224
"""Longest side of a frame, in pixels, up to which small images are enlarged."""

KINDS = {"gif": {}, "webp": {"lossless": True}}


def animation(images: np.ndarray, kind: str = "gif", milliseconds: int = 80, side: int = SIDE) -> bytes:
    """Write images [N, H, W, C] in [0, 1] as an animation that goes round and round.

    Frames that equal the one before them become one frame that stands longer.

    Args:
        images: of other channels than three the mean is shown.
        kind: "gif", of at most 256 colours a frame, or "webp", which loses nothing.
        milliseconds: time of a frame.
        side: longest side, in pixels, up to which small images are enlarged by whole numbers.

    Raises:
        InputError: another kind, or no images.

    Example:
        >>> animation(np.random.default_rng(0).random((5, 8, 8, 1)))[:3]
        b'GIF'
    """
    images = np.asarray(images)
    if kind not in KINDS:
        raise InputError(f"kind: expected gif or webp. Received: {kind!r}")
    if images.ndim != 4 or not len(images):
        raise InputError(f"images: expected [N, H, W, C], at least one. Received: shape {images.shape}")
    first, *others = (frame(image, side) for image in images)
    file = io.BytesIO()
    options = {"save_all": True, "append_images": others, "duration": milliseconds, "loop": 0}
    first.save(file, format=kind, **options, **KINDS[kind])
    return file.getvalue()


def frame(image: np.ndarray, side: int) -> Image.Image:
    """Turn one image [H, W, C] into a frame, enlarged where it is small."""
    grey = image if image.shape[-1] == 3 else image.mean(-1)
    picture = Image.fromarray(np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8))
    scale = max(1, side // max(image.shape[:2]))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
