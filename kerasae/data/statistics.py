"""Examples spread over a split, and the mean and standard deviation of their channels."""

import numpy as np

from kerasae.data.checks import whole

CHUNK = 2**26  # bytes of examples in memory at a time


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
    scale = pixel_max if np.issubdtype(split.dtype, np.integer) else 1.0
    means, deviations = (values / scale for values in _moments(split, _spread_rows(split, count)))
    return tuple(means.tolist()), tuple(np.where(deviations > 0, deviations, 1.0).tolist())


def _moments(split, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel as stored, chunk by chunk: Chan, Golub and LeVeque, 1979, eq. 2.1."""
    size = int(np.prod(split.shape)) * np.dtype(split.dtype).itemsize
    count, mean, squares = 0, 0.0, 0.0
    for chunk in np.array_split(rows, -(-len(rows) * size // CHUNK)):
        pixels = split.gather(chunk)[0].numpy().reshape(-1, split.shape[-1])
        n, difference = len(pixels), pixels.mean(axis=0, dtype=np.float64) - mean
        squares += n * pixels.var(axis=0, dtype=np.float64) + difference**2 * count * n / (count + n)
        count += n
        mean += difference * n / count
    return mean, np.sqrt(squares / count)


def spread_examples(split, count: int) -> np.ndarray:
    """`count` examples [count, ...] evenly spread over a split, as stored; all of them if there are fewer."""
    return split.gather(_spread_rows(split, count))[0].numpy()


def _spread_rows(split, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, len(split) - 1, whole("count", count, 1)).astype(int))
