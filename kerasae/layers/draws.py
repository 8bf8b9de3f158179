"""Random numbers that do not depend on how many devices share a batch.

Under `tf.distribute` every replica holds the same seed, and would draw the same numbers for other examples. Each draws
those of the whole batch instead, in the order of its examples, and takes its own: the step is then the one that a
single device makes.
"""

import sys
from contextlib import contextmanager

import keras
from keras import ops


class Draws:
    """Source of random numbers, the same however many devices share a batch.

    Args:
        seed: a `keras.random.SeedGenerator`, which moves on at every draw; or an integer, with which the first, second
            … draw from this object is the same every time: what evaluation uses, as it must change nothing.
    """

    def __init__(self, seed):
        self.seed, self.count = seed, 0

    def normal(self, shape):
        """Draw float32 numbers from N(0, 1): [B, …]."""
        return normal(shape, self._next())

    def uniform(self, shape):
        """Draw float32 numbers from [0, 1): [B, …]."""
        return uniform(shape, self._next())

    def _next(self):
        if not isinstance(self.seed, int):
            return self.seed
        self.count += 1
        return (self.seed + 1_000_003 * self.count) % 2**31


def uniform(shape, seed, dtype="float32"):
    """Numbers in [0, 1) for the examples of this replica: [B, …], as `keras.random.uniform` draws them."""
    return part_of_replica(shape, lambda whole: keras.random.uniform(whole, dtype=dtype, seed=seed))


def normal(shape, seed, dtype="float32"):
    """Numbers from N(0, 1) for the examples of this replica: [B, …], as `keras.random.normal` draws them."""
    return part_of_replica(shape, lambda whole: keras.random.normal(whole, dtype=dtype, seed=seed))


def part_of_replica(shape, draw):
    """The part of this replica of what `draw` gives for the examples of all of them.

    Args:
        shape: of the part, [B, …]; B may be a tensor.
        draw: function of a shape → tensor of that shape.
    """
    replica, replicas = place()
    if replicas == 1:
        return draw(tuple(shape))
    count = shape[0]
    whole = draw((count * replicas, *shape[1:]))
    return ops.reshape(whole[replica * count : (replica + 1) * count], tuple(shape))


def place():
    """(number of this replica, number of replicas); (0, 1) outside `tf.distribute`, also on other backends."""
    # Who has a strategy has imported TensorFlow; machines with JAX alone need not have it.
    tf = sys.modules.get("tensorflow")
    context = tf.distribute.get_replica_context() if keras.backend.backend() == "tensorflow" and tf else None
    if context is None or _undivided:
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def replicas():
    """Number of devices that share a batch, also where no replica's code is running."""
    tf = sys.modules.get("tensorflow")
    if tf is None or keras.backend.backend() != "tensorflow":
        return 1
    return tf.distribute.get_strategy().num_replicas_in_sync


_undivided = []


@contextmanager
def undivided():
    """Let one replica compute a whole batch alone: within, it counts as the only one."""
    _undivided.append(True)
    try:
        yield
    finally:
        _undivided.pop()


@keras.saving.register_keras_serializable("kerasae")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that draws for each example the same whatever the number of devices.

    y = x m / (1 − rate) in training, m 0 with probability `rate`, else 1; y = x otherwise. Srivastava et al., JMLR 15
    (2014), section 4.

    Args:
        rate: in [0, 1).
        noise_shape: None, or the shape of m, with None for the batch and with 1 where all share one draw: (None, 1, 1)
            drops whole examples of a branch.
        seed: integer, or None for one from `keras.utils.set_random_seed`.

    Example:
        >>> Dropout(0.5)(np.ones((2, 3)), training=True)
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        given = self.noise_shape or (None,) * len(inputs.shape)
        shape = [ops.shape(inputs)[i] if size is None else size for i, size in enumerate(given)]
        kept = uniform(shape, self.seed_generator) >= self.rate
        return ops.where(kept, inputs / (1.0 - self.rate), ops.zeros_like(inputs))
