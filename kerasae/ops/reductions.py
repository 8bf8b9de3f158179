"""Sums for loops that XLA compiles for a CPU, on TensorFlow.

Left to itself, XLA adds such a loop's values one after the other, or calls a library (YNNPACK) that in TensorFlow 2.21
may crash when two threads run the same loop for the first time at once: both add to one list without a lock. Here
values are added in lanes, as the vector units of a CPU do, which XLA keeps to itself: layer normalisation and its
gradient take half the time.
"""

from keras import ops

LANES = 16
"""Of float32, as many as the widest vector unit holds."""


def sum_of_last(x):
    """Sum the last axis, which stays, lane by lane; then the lanes, half with half: float32 [..., D] → [..., 1]."""
    length = x.shape[-1]
    whole = length // LANES * LANES if length and on_cpu() else 0
    if not whole:
        return sum_of_products(x, axis=-1, keepdims=True)
    lanes = ops.sum(ops.reshape(x[..., :whole], (*ops.shape(x)[:-1], whole // LANES, LANES)), axis=-2)
    while (half := lanes.shape[-1] // 2) > 0:
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes + sum_of_products(x[..., whole:], axis=-1, keepdims=True) if whole < length else lanes


def sum_of_rows(x):
    """Sum all axes but the last: float32 [..., D] → [D]."""
    return sum_of_products(ops.reshape(x, (-1, x.shape[-1])), axis=0)


def sum_of_products(x, **axes):
    """The same sum to the bit: what it adds up is a product, which XLA does not hand to the library."""
    return ops.sum(x * 2.0, **axes) / 2.0 if on_cpu() else ops.sum(x, **axes)


def on_cpu():
    """Whether TensorFlow sees nothing but CPUs; an accelerator's compiler is left alone."""
    import tensorflow as tf

    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
