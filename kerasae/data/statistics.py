"""Examples spread over a split, and the mean and standard deviation of their channels."""

import numpy as np

from kerasae.data.checks import whole


def channel_statistics(split, pixel_max: float = 255.0, count: int = 4096) -> tuple[tuple, tuple]:
    """Mean and standard deviation of each channel, over all pixels of `count` examples evenly spread over a split.

    Args:
        split: a `Split` of examples [..., C].
        pixel_max: the stored integer that means 1.0; floats are taken as they are.
        count: examples to look at; all of them if there are fewer.

    Returns:
        (means, deviations): a tuple of C floats each, in units in which `pixel_max` is 1; the deviation of a channel
        that never changes is given as 1, so that one may divide by it.

    Example:
        >>> mean, std = channel_statistics(source.train)
        >>> networks = kerasae.networks.vit_tiny(source.info.shape, patch=4, mean=mean, std=std)
    """
    images = spread_examples(split, count)
    scale = pixel_max if np.issubdtype(images.dtype, np.integer) else 1.0
    pixels = images.reshape(-1, images.shape[-1])
    means, deviations = (f(pixels, axis=0, dtype=np.float64) / scale for f in (np.mean, np.std))
    return tuple(means.tolist()), tuple(np.where(deviations > 0, deviations, 1.0).tolist())


def spread_examples(split, count: int) -> np.ndarray:
    """`count` examples [count, ...] evenly spread over a split, as stored; all of them if there are fewer."""
    rows = np.unique(np.linspace(0, len(split) - 1, whole("count", count, 1)).astype(int))
    return split.gather(rows)[0].numpy()
