"""What the steps of an epoch add up to besides the metrics: gradient norms, updates, and updates left out."""

from typing import NamedTuple

import tensorflow as tf


class Tally(NamedTuple):
    """Sums over the steps of an epoch so far; floats between chunks of steps, float64 tensors inside them.

    Args:
        norm: sum of the gradient norms of all updates.
        updates: steps whose update was made.
        skipped: steps whose update was left out, because something was not finite.
        in_a_row: how many of them there were since the last update; it goes on over the ends of epochs.
    """

    norm: float = 0.0
    updates: float = 0.0
    skipped: float = 0.0
    in_a_row: float = 0.0

    def tensors(self):
        """The same as TensorFlow adds to it."""
        return Tally(*(tf.constant(value, tf.float64) for value in self))

    def floats(self):
        """The same as a checkpoint holds it."""
        return Tally(*map(float, self))

    def next(self, found):
        """With one more step that may be taken; `found` as `kerasae.training.guard` gives it."""
        made = tf.cast(found["updated"], tf.float64)
        norm = tf.where(found["updated"], tf.cast(found["norm"], tf.float64), 0.0)
        left_out = 1.0 - made
        return Tally(self.norm + norm, self.updates + made, self.skipped + left_out, left_out * (self.in_a_row + 1.0))

    def skip(self):
        """With one more step that was not taken."""
        return self._replace(skipped=self.skipped + 1.0, in_a_row=self.in_a_row + 1.0)

    def new_epoch(self):
        """Sums of no step."""
        return Tally(in_a_row=self.in_a_row)

    def figures(self):
        """Columns of `metrics.csv`: the mean norm of the gradients before clipping, and the updates left out."""
        norm = {"gradient_norm": self.norm / self.updates} if self.updates else {}
        return {**norm, "skipped": int(self.skipped)}
