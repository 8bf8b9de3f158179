"""Random numbers that do not depend on the number of replicas.

Under `tf.distribute` every replica holds the same seed, and would draw the same numbers for different examples. Here
each replica draws numbers for the whole batch, in the order of the examples, and keeps its part. The step then equals
that of a single device.
"""

import sys
from contextlib import contextmanager

import keras
from keras import ops


class Draws:
    """Draw random numbers that do not depend on the number of replicas.

    Args:
        seed: a `keras.random.SeedGenerator`, which advances at every draw; or an integer, which fixes the sequence of
            draws from this object. Evaluation uses an integer, as it must change nothing. In a graph the integer may
            be a tensor.
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
        if self.seed is None or isinstance(self.seed, keras.random.SeedGenerator):
            return self.seed
        self.count += 1
        if isinstance(self.seed, int):
            return (self.seed + 1_000_003 * self.count) % 2**31
        return SeedOfTensor((ops.cast(self.seed, "int64") + 1_000_003 * self.count) % 2**31)


class SeedOfTensor(keras.random.SeedGenerator):
    """Seed one draw by an integer tensor, with the numbers that the same plain integer gives."""

    def __init__(self, number):
        self.number = number  # no variable, unlike the parent's

    def next(self, ordered=True):
        """Return the seed [2] that Keras makes of an integer."""
        return ops.cast(ops.stack([self.number, ops.zeros_like(self.number)]), "int32")


def uniform(shape, seed, dtype="float32"):
    """Draw from [0, 1) for this replica's examples, as `keras.random.uniform` does: [B, …]."""
    return part_of_replica(shape, lambda whole: keras.random.uniform(whole, dtype=dtype, seed=seed))


def normal(shape, seed, dtype="float32"):
    """Draw from N(0, 1) for this replica's examples, as `keras.random.normal` does: [B, …]."""
    return part_of_replica(shape, lambda whole: keras.random.normal(whole, dtype=dtype, seed=seed))


def part_of_replica(shape, draw):
    """Draw for the examples of all replicas, and return this replica's part.

    Args:
        shape: shape of the part, [B, …]; B may be a tensor.
        draw: function of a shape → tensor of that shape.
    """
    replica, replicas = replica_and_count()
    if replicas == 1:
        return draw(tuple(shape))
    count = shape[0]
    whole = draw((count * replicas, *shape[1:]))
    return ops.reshape(whole[replica * count : (replica + 1) * count], tuple(shape))


def replica_and_count():
    """Return (index of this replica, number of replicas); (0, 1) outside `tf.distribute` and on other backends."""
    # Not imported here: a strategy implies that TensorFlow is loaded, and machines with JAX alone may lack it.
    tf = sys.modules.get("tensorflow")
    context = tf.distribute.get_replica_context() if keras.backend.backend() == "tensorflow" and tf else None
    if context is None or _only_replica:
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def replicas():
    """Return the number of replicas, also outside a replica context."""
    tf = sys.modules.get("tensorflow")
    if tf is None or keras.backend.backend() != "tensorflow":
        return 1
    return tf.distribute.get_strategy().num_replicas_in_sync


_only_replica = []


@contextmanager
def as_only_replica():
    """Let one replica compute a whole batch alone: within this context it counts as the only replica."""
    _only_replica.append(True)
    try:
        yield
    finally:
        _only_replica.pop()


@keras.saving.register_keras_serializable("kerasae")
class Dropout(keras.layers.Dropout):
    """Drop values as `keras.layers.Dropout`, with draws that do not depend on the number of replicas.

    y = x m / (1 − rate) in training, m 0 with probability `rate`, else 1; y = x otherwise. Srivastava et al., JMLR 15
    (2014), section 4.

    Args:
        rate: probability that a value is dropped, in [0, 1).
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
