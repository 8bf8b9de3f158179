"""Sum gradient norms, updates and skipped updates over the steps of an epoch."""

from typing import NamedTuple

import tensorflow as tf


class Tally(NamedTuple):
    """Sums over the steps of an epoch so far; floats between chunks of steps, float64 tensors inside them.

    Args:
        norm: sum of the gradient norms of all updates.
        updates: number of steps that updated the weights.
        skipped: number of steps whose update was skipped because of NaN or infinity.
        in_a_row: number of skipped updates since the last update, counted across epochs.
    """

    norm: float = 0.0
    updates: float = 0.0
    skipped: float = 0.0
    in_a_row: float = 0.0

    def tensors(self):
        """Convert the sums to the float64 tensors that TensorFlow adds to."""
        return Tally(*(tf.constant(value, tf.float64) for value in self))

    def floats(self):
        """Convert the sums to the floats that a checkpoint holds."""
        return Tally(*map(float, self))

    def next(self, found):
        """Add one finite step; `found` is the dict that `kerasae.training.guarded` returns."""
        made = tf.cast(found["updated"], tf.float64)
        norm = tf.where(found["updated"], tf.cast(found["norm"], tf.float64), 0.0)
        left_out = 1.0 - made
        return Tally(self.norm + norm, self.updates + made, self.skipped + left_out, left_out * (self.in_a_row + 1.0))

    def skip(self):
        """Add one step that was not finite, and so not taken."""
        return self._replace(skipped=self.skipped + 1.0, in_a_row=self.in_a_row + 1.0)

    def new_epoch(self):
        """Reset the sums for a new epoch; only the updates skipped in a row are kept."""
        return Tally(in_a_row=self.in_a_row)

    def figures(self):
        """Return the columns of `metrics.csv`: mean gradient norm before clipping, and number of skipped updates."""
        norm = {"gradient_norm": self.norm / self.updates} if self.updates else {}
        return {**norm, "skipped": int(self.skipped)}
