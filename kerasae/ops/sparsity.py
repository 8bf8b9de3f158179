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
    width = ops.shape(x)[-1]
    k = ops.cast(ops.round(ops.clip(ops.cast(k, "float32"), 1.0, ops.cast(width, "float32"))), "int32")
    least = ops.take(ops.sort(ops.stop_gradient(x), axis=-1), width - k, axis=-1)
    return ops.where(x >= ops.expand_dims(least, -1), x, ops.zeros_like(x))


def jump_relu(x, threshold, bandwidth):
    """Compute x · 1[x > θ], with a straight-through gradient for θ.

    Rajamanoharan et al., arXiv 2407.14435, section 3: ∂/∂x = 1[x > θ], ∂/∂θ = −(θ / ε) K((x − θ) / ε), where K is
    the rectangle 1[|u| < ½] and ε the bandwidth.

    Args:
        x: float32 [..., Z].
        threshold: θ, float32 [Z] or scalar.
        bandwidth: ε > 0.

    Returns:
        float32 [..., Z].

    Example:
        >>> jump_relu(np.array([0.2, 0.6], "float32"), 0.5, 0.001)  # [0, 0.6]
    """
    passed = ops.cast(x > threshold, x.dtype)
    return x * passed + _from_threshold(-threshold * _window(x, threshold, bandwidth), threshold)


def step_above(x, threshold, bandwidth):
    """Compute 1[x > θ], with the gradients of arXiv 2407.14435, section 3: ∂/∂x = 0, ∂/∂θ = −K((x − θ) / ε) / ε.

    Args:
        x, threshold, bandwidth: as for `jump_relu`.

    Returns:
        float32 [..., Z], 0 or 1.

    Example:
        >>> step_above(np.array([0.2, 0.6], "float32"), 0.5, 0.001)  # [0, 1]
    """
    passed = ops.cast(x > threshold, x.dtype)
    return passed + _from_threshold(-_window(x, threshold, bandwidth), threshold)


def _window(x, threshold, bandwidth):
    """Compute K((x − θ) / ε) / ε for the rectangle K."""
    return ops.cast(ops.abs(x - threshold) < 0.5 * bandwidth, x.dtype) / bandwidth


def _from_threshold(gradient, threshold):
    """Make a zero whose derivative with respect to the threshold is the given gradient."""
    return ops.stop_gradient(gradient) * (threshold - ops.stop_gradient(threshold))
