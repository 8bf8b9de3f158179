"""Sums for loops that XLA compiles for a CPU, on TensorFlow.

By default, XLA adds the values one after the other, or calls the YNNPACK library. In TensorFlow 2.21 YNNPACK may crash
when two threads first run the same loop at once: both append to one list without a lock. The sums here add in lanes,
like a CPU's vector units. XLA compiles them without YNNPACK, and they are faster.
"""

from keras import ops

LANES = 16
"""Number of float32 values in the widest vector unit."""


def sum_of_last(x):
    """Sum the last axis in `LANES` partial sums, then add these pairwise: float32 [..., D] → [..., 1]."""
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
    """Sum x · 2 and halve it, equal to the sum to the bit: XLA does not call YNNPACK for a sum of products."""
    return ops.sum(x * 2.0, **axes) / 2.0 if on_cpu() else ops.sum(x, **axes)


def on_cpu():
    """Tell whether all of TensorFlow's devices are CPUs; sums are left as they are on accelerators."""
    import tensorflow as tf

    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
