"""Pairs of an example and one near it, for models that reconstruct the one from the other: no labels are needed."""

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from kerasae.data.checks import fits_in_memory, whole
from kerasae.data.draws import uniform
from kerasae.data.splits import Split
from kerasae.errors import InputError

PAIR_STREAM = 11
BLOCK = 1024
"""Examples whose neighbours are found at a time."""


@dataclass(frozen=True, eq=False)
class NeighbourPairs:
    """Pair each example with one of its nearest neighbours among the same examples, drawn anew at every step.

    Neighbours are found once, by the Euclidean distance of the values as stored. With `neighbours=0` an example is
    paired with itself, which differs where `batches` distorts the first of the pair.

    Given to `batches(pairs.numbered, …, mix=pairs)` with the images [B, ...], distorted or not, their numbers int64 [B]
    and seeds int32 [B, 2], it returns the images and their partners as stored, [B, ...]: which, is a pure function of
    the seeds. A model that takes a target reconstructs the partner.

    Raises:
        InputError: `neighbours` is no number from 0 to N − 1, a value is not finite, or the split is too big.

    Example:
        >>> pairs = NeighbourPairs(source.train, neighbours=10)
        >>> data = kerasae.data.batches(pairs.numbered, 128, seed=0, augment=RandomAffine(shift=0.1), mix=pairs)
        >>> images, partners = next(iter(data))
    """

    split: Split
    neighbours: int = 10
    table: tf.Tensor = field(init=False, repr=False)
    """Numbers of the neighbours, int32 [N, K], K = 1 where an example is paired with itself."""

    def __post_init__(self):
        count = whole("neighbours", self.neighbours, 0, len(self.split) - 1)
        found = nearest(self.split, count) if count else np.arange(len(self.split), dtype=np.int32)[:, None]
        with tf.device("CPU:0"):
            object.__setattr__(self, "table", tf.constant(found))

    @property
    def numbered(self) -> Split:
        """The split with the number of each example in the place of its label."""
        return self.split.relabelled(np.arange(len(self.split)))

    def __call__(self, images: tf.Tensor, numbers: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        count = self.table.shape[1]
        drawn = tf.cast(uniform(seeds, 1, PAIR_STREAM)[:, 0] * count, tf.int32)
        partners = tf.gather(tf.gather(self.table, numbers), drawn, batch_dims=1)
        return images, self.split.gather(partners)[0]


def nearest(split: Split, count: int) -> np.ndarray:
    """Find the `count` nearest other examples of each, by Euclidean distance, the nearest first: int32 [N, count].

    Takes N² · D multiplications: 3.5 minutes for 60,000 images of 28×28 on two cores that other work shared.
    """
    values = flat_values(split)
    squares = tf.reduce_sum(values * values, axis=1)
    parts = []
    for start in range(0, len(split), BLOCK):
        block = values[start : start + BLOCK]
        # ‖a − b‖² without ‖a‖², which does not change the order.
        distances = squares[None] - 2.0 * tf.matmul(block, values, transpose_b=True)
        rows = tf.range(tf.shape(block)[0])
        own = tf.stack([rows, rows + start], axis=1)
        distances = tf.tensor_scatter_nd_update(distances, own, tf.fill([tf.shape(block)[0]], np.float32(np.inf)))
        parts.append(tf.math.top_k(-distances, count).indices.numpy())
    return np.concatenate(parts).astype(np.int32)


def flat_values(split: Split) -> tf.Tensor:
    """Read a split as centred vectors, float32 [N, D]; raises InputError for values that are not finite."""
    fits_in_memory(4 * len(split) * int(np.prod(split.shape)), "neighbours of these examples", "use fewer examples")
    values = split.arrays()[0].reshape(len(split), -1).astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError("neighbours: expected finite values; received NaN or infinity; leave it out, or fill them in.")
    return tf.constant(values - values.mean(axis=0))  # squares of large numbers would lose digits
