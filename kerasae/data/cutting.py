"""Patches cut from images that are larger, to learn from what is small without shrinking it."""

from collections.abc import Iterable

import numpy as np

from kerasae.errors import InputError


def cut_patches(images: Iterable[np.ndarray], side: int, count: int, seed: int = 0) -> np.ndarray:
    """Cut random square patches from images of any sizes: [H, W, C] each → [N, side, side, C], N = images · count.

    Each patch is turned by a multiple of 90° and mirrored at random, as in the training of DnCNN (Zhang et al., arXiv
    1608.03981, section IV-A). Pixels are not resized.

    Args:
        images: arrays [H, W, C] of one type and as many channels, at least `side` high and wide.
        side: of a patch, in pixels.
        count: patches of each image.
        seed: of places and turns: the same one cuts the same patches.

    Raises:
        InputError: no image, one that is smaller than a patch, or images of other channels or types.

    Example:
        >>> patches = cut_patches(photographs, side=48, count=500)
        >>> np.savez("patches.npz", x_train=patches)  # then: kerasae train denoising --data npz:patches.npz
    """
    random, found = np.random.default_rng(seed), []
    for image in images:
        if image.ndim != 3 or min(image.shape[:2]) < side:
            raise InputError(f"side: expected images [H, W, C] of at least {side} pixels. Received: {image.shape}")
        if found and (image.shape[-1], image.dtype) != (found[0].shape[-1], found[0].dtype):
            raise InputError(
                f"images: expected {found[0].shape[-1]} channels of {found[0].dtype}, as the first. Received: "
                f"{image.shape[-1]} of {image.dtype}"
            )
        found += [_turned(_cut(image, side, random), random) for _ in range(count)]
    if not found:
        raise InputError("images: expected at least one image, and a count from 1 up. Received: none")
    return np.stack(found)


def _cut(image, side, random):
    top, left = (random.integers(n - side + 1) for n in image.shape[:2])
    return image[top : top + side, left : left + side]


def _turned(patch, random):
    patch = np.rot90(patch, random.integers(4))
    return patch[:, ::-1] if random.integers(2) else patch
