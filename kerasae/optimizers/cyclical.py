"""A number that rises several times in a training."""

import keras
from keras import ops

from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """Go from `first` to `last` in the first half of each of M cycles, and stay there in the second half.

    Fu et al., arXiv 1903.10145, eq. 6, with R = ½; one cycle is the usual warm-up. At step t of T the place in the
    cycle is τ = (t mod T/M) / (T/M), and the value first + (last − first) min(1, 2τ); after T it is `last`.

    Args:
        first, last: values at the start and at the middle of a cycle.
        steps: steps T of the whole training.
        cycles: M ≥ 1.

    Example:
        >>> model.beta = Cyclical(0.0, 1.0, steps=1000, cycles=4)
    """

    def __init__(self, first, last, steps, cycles=1):
        if not (cycles >= 1 and steps >= 1):
            raise InputError(f"Cyclical: expected steps and cycles of at least 1. Received: {steps} and {cycles}")
        self.first, self.last, self.steps, self.cycles = float(first), float(last), int(steps), int(cycles)

    def __call__(self, step):
        length = self.steps / self.cycles
        step = ops.cast(step, "float32")
        place = step - length * ops.floor(step / length)
        share = ops.where(step >= self.steps, 1.0, ops.clip(2.0 * place / length, 0.0, 1.0))
        return self.first + (self.last - self.first) * share

    def get_config(self):
        return {"first": self.first, "last": self.last, "steps": self.steps, "cycles": self.cycles}
