"""Windows of long recordings: each is cut out when it is read, so that windows may overlap at no cost of memory."""

import numpy as np
import tensorflow as tf

from kerasae.data.splits import Split
from kerasae.errors import InputError


class WindowStore:
    """Windows of samples in memory: [window, C] from each of the given starts on.

    Args:
        samples: float32 [T, C], recordings one after the other.
        starts: int [N], the first sample of each window.
        window: samples in a window.
    """

    parallel_calls = 2

    def __init__(self, samples: np.ndarray, starts: np.ndarray, window: int):
        self.starts, self.window = np.asarray(starts, np.int64), window
        with tf.device("CPU:0"):
            self._samples, self._starts = tf.constant(samples), tf.constant(self.starts)
            self._offsets = tf.range(window, dtype=tf.int64)
        self.shape, self.dtype = (window, samples.shape[1]), self._samples.dtype
        self.portable = samples.nbytes < 2**30  # it travels in a graph, which may have two gibibytes

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, rows: tf.Tensor) -> tf.Tensor:
        """Windows [B, window, C] of the given rows."""
        places = tf.gather(self._starts, rows)[:, None] + self._offsets
        return tf.gather(self._samples, places)


def holdout_in_time(split: Split, share: float) -> tuple[Split, Split]:
    """Hold the last windows out, without any sample that the others hold too.

    Args:
        split: windows of a `series:` source, in the order of time.
        share: of the windows to hold out, in (0, 1); at least one.

    Returns:
        The windows that end before the first one that is held out, and those that are held out.

    Raises:
        InputError: the split has no windows, or none is left before those that are held out.
    """
    starts = split.starts
    if starts is None:
        raise InputError("split: expected windows of series:FILE, which follow each other in time.")
    first = min(int(len(split) * (1 - share)), len(split) - 1)
    kept = np.flatnonzero(starts + split.shape[0] <= starts[first])
    if not len(kept):
        raise InputError("holdout: no window ends before those that are held out; give holdout 0, or shorter windows.")
    return split.subset(kept), split.subset(np.arange(first, len(split)))
