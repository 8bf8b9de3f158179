"""Grey images as draws of black and white, new ones for every training step."""

import dataclasses

import numpy as np
import tensorflow as tf

from kerasae.data.draws import uniform
from kerasae.data.info import Source
from kerasae.data.splits import Split
from kerasae.errors import InputError

STREAM, FIXED = 7, 20090601
"""Stream of the random numbers, apart from augmentations; seed of the draws that never change."""


class BinarizedStore:
    """Examples of a store as draws: 1 with the chance that the grey value is of `max_value`, else 0.

    Args:
        store: examples of values from 0 to `max_value`.
        max_value: the stored value that means 1, which a 1 is stored as.
    """

    def __init__(self, store, max_value: float):
        self._grey, self._max_value = store, max_value
        self.shape, self.dtype, self.parallel_calls = store.shape, store.dtype, store.parallel_calls
        self.portable, self.paths = getattr(store, "portable", True), getattr(store, "paths", None)

    def __len__(self) -> int:
        return len(self._grey)

    def read(self, rows: tf.Tensor) -> tf.Tensor:
        """Examples [B, ...] of the given rows, the same draws every time."""
        rows = tf.cast(rows, tf.int32)
        return self.read_drawn(rows, tf.stack([tf.fill(tf.shape(rows), FIXED), rows], axis=1))

    def read_drawn(self, rows: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Examples [B, ...] of the given rows, drawn by seeds int32 [B, 2]."""
        grey = self._grey.read(rows)
        noise = tf.reshape(uniform(seeds, int(np.prod(self.shape)), STREAM), tf.shape(grey))
        return tf.cast(noise * self._max_value < tf.cast(grey, tf.float32), self.dtype) * tf.cast(
            self._max_value, self.dtype
        )


def binarized(source: Source) -> Source:
    """Turn the grey values of a source into chances of 1: dynamic binarisation.

    Salakhutdinov and Murray, ICML 2008; Burda, Grosse and Salakhutdinov, arXiv 1509.00519, section 5. Training steps
    see new draws each time, and everything else sees one fixed draw of each example. A likelihood is then one of
    binary data, in nats that can be compared.

    Raises:
        InputError: for numbers of any range.
    """
    info = source.info
    if info.standardized:
        raise InputError(f"binarize: {info.spec} holds numbers of any range, which are no chances; leave it out.")
    stores = {}
    splits = {name: _binarized(split, info.max_value, stores) for name, split in source.splits.items()}
    note = "grey values are chances: every training step draws black and white anew, all else sees one fixed draw"
    return Source(dataclasses.replace(info, binarized=True, notes=(*info.notes, note)), splits)


def _binarized(split: Split, max_value: float, stores: dict) -> Split:
    """Wrap a split's store, once for all splits that share it."""
    return split.stored_as(lambda store: stores.setdefault(id(store), BinarizedStore(store, max_value)))
