"""Sparse codes: the largest values of a vector."""

from keras import ops


def keep_largest(x, k):
    """Keep the k largest values of the last axis, and set the others to zero; the gradient passes to those kept.

    Values that equal the k-th largest are kept too, so that ties keep more than k.

    Args:
        x: [..., Z].
        k: number or scalar tensor, rounded and limited to 1 … Z.

    Returns:
        A tensor of the shape and type of x.

    Example:
        >>> keep_largest(np.array([[3.0, -1.0, 2.0, 0.5]]), 2)  # [[3, 0, 2, 0]]
    """
    width = x.shape[-1]
    k = ops.cast(ops.round(ops.clip(ops.cast(k, "float32"), 1, width)), "int32")
    least = ops.take(ops.sort(ops.stop_gradient(x), axis=-1), width - k, axis=-1)
    return ops.where(x >= ops.expand_dims(least, -1), x, ops.zeros_like(x))
