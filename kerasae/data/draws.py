"""Random numbers that are a pure function of (seed, number of the sample), for a whole batch at once.

TensorFlow's stateless generators take one seed per call; here every sample has its own, so that what happens
to a sample does not depend on the batch it is in. The generator is SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014), which is a hash of a counter: fifteen element-wise
operations.
"""

import tensorflow as tf

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def splitmix64(state: tf.Tensor, count: int) -> tf.Tensor:
    """The first `count` outputs of SplitMix64 for each uint64 state [B]: uint64 [B, count]."""
    steps = tf.range(1, count + 1, dtype=tf.int64)
    return _mix(state[:, None] + tf.cast(steps, tf.uint64)[None] * tf.constant(GOLDEN, tf.uint64))


def uniform(seeds: tf.Tensor, count: int, stream: int) -> tf.Tensor:
    """Numbers float32 [B, count], uniform in [0, 1), for seeds int32 [B, 2] = (seed, number of the sample).

    Different streams are independent, so that two augmentations of one sample do not repeat each other's
    numbers.
    """
    seed, sample = tf.unstack(tf.cast(tf.cast(seeds, tf.int64), tf.uint64), axis=1)
    key = _mix(_mix(seed + tf.constant(stream * GOLDEN % 2**64, tf.uint64)) + sample)
    bits = _shift(splitmix64(key, count), 40)  # 24 bits fill a float32 exactly
    return tf.cast(bits, tf.float32) * 2.0**-24


def normal(u: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers, up to 4.75 either way, from numbers uniform in [0, 1)."""
    return tf.math.ndtri(tf.clip_by_value(u, 1e-6, 1.0 - 1e-6))


def _mix(z: tf.Tensor) -> tf.Tensor:
    z = tf.bitwise.bitwise_xor(z, _shift(z, 30)) * tf.constant(MIX_1, tf.uint64)
    z = tf.bitwise.bitwise_xor(z, _shift(z, 27)) * tf.constant(MIX_2, tf.uint64)
    return tf.bitwise.bitwise_xor(z, _shift(z, 31))


def _shift(z: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(z, tf.constant(bits, tf.uint64))
