"""Reductions for loops that XLA compiles for a CPU, on TensorFlow.

Left to itself, XLA adds such a loop's values one after the other, or calls a library (YNNPACK) that in TensorFlow 2.21
may crash when two threads run the same loop for the first time at once: both add to one list without a lock. Here
values are added in lanes, as the vector units of a CPU do, which XLA keeps to itself: layer normalisation and its
gradient take half the time.
"""

from keras import ops

LANES = 16
"""Of float32, as many as the widest vector unit holds."""


def sum_of_last(x):
    """Σ over the last axis, which stays: float32 [..., D] → [..., 1]."""
    return in_lanes(x, ops.sum, ops.add)


def max_of_last(x):
    """The largest value of the last axis, which stays: float32 [..., D] → [..., 1]."""
    return in_lanes(x, ops.max, ops.maximum)


def sum_of_rows(x):
    """Σ over all axes but the last: float32 [..., D] → [D]."""
    return of_products(ops.sum, ops.reshape(x, (-1, x.shape[-1])), axis=0)


def in_lanes(x, reduce, pair):
    """`reduce` of the last axis, lane by lane; then the lanes by `pair`, half with half, and what is left over."""
    length = x.shape[-1]
    whole = length // LANES * LANES if length and on_cpu() else 0
    if not whole:
        return of_products(reduce, x, axis=-1, keepdims=True)
    lanes = reduce(ops.reshape(x[..., :whole], (*ops.shape(x)[:-1], whole // LANES, LANES)), axis=-2)
    while (half := lanes.shape[-1] // 2) > 0:
        lanes = pair(lanes[..., :half], lanes[..., half:])
    return pair(lanes, of_products(reduce, x[..., whole:], axis=-1, keepdims=True)) if whole < length else lanes


def of_products(reduce, x, **axes):
    """The same value to the bit: what it reduces is a product, which XLA does not hand to the library."""
    return reduce(x * 2.0, **axes) / 2.0 if on_cpu() else reduce(x, **axes)


def on_cpu():
    """Whether TensorFlow sees nothing but CPUs; an accelerator's compiler is left alone."""
    import tensorflow as tf

    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
