"""Layer normalisation with a hand-written gradient."""

import functools

import keras
from keras import ops

from kerasae.ops.reductions import sum_of_last, sum_of_rows


def layer_norm(x, scale, offset, epsilon=1e-6, training=False):
    """Normalise the last axis, scale · (x − mean) / sqrt(var + ε) + offset: Ba et al., arXiv 1607.06450, eq. 4.

    It is computed in float32. In training, on TensorFlow, the function and its gradient are one fused loop each. Only x
    is kept for the gradient, which takes less memory than `keras.ops.layer_normalization`.

    Args:
        x: floating [..., D].
        scale, offset: float32 [D].
        epsilon: ε > 0, which keeps the result finite for equal values.
        training: whether to use the fused loops; the values agree to rounding.

    Returns:
        A tensor of the shape and type of x.

    Example:
        >>> layer_norm(np.array([[1.0, 3.0]], "float32"), np.ones(2, "float32"), np.zeros(2, "float32"))  # [[-1, 1]]
    """
    if training and keras.backend.backend() == "tensorflow":
        return fused_norm(float(epsilon))(x, scale, offset)
    return value(x, scale, offset, epsilon)


def plain_mean(x):
    return ops.mean(x, axis=-1, keepdims=True)


def lanes_mean(x):
    return sum_of_last(x) / x.shape[-1]


def value(x, scale, offset, epsilon, mean=plain_mean):
    """Compute scale · (x − mean) / sqrt(var + ε) + offset."""
    return ops.cast(standardized(x, epsilon, mean)[0] * scale + offset, x.dtype)


def standardized(x, epsilon, mean):
    """Compute (x − mean) / deviation and 1 / deviation, both float32."""
    wide = ops.cast(x, "float32")
    centred = wide - mean(wide)
    inverse = ops.rsqrt(mean(ops.square(centred)) + epsilon)
    return centred * inverse, inverse


def gradients(x, scale, upstream, epsilon):
    """Compute the gradients of x, scale and offset from the upstream gradient."""
    normal, inverse = standardized(x, epsilon, lanes_mean)
    above = ops.cast(upstream, "float32")
    scaled = above * scale
    inner = scaled - lanes_mean(scaled) - normal * lanes_mean(scaled * normal)
    return ops.cast(inverse * inner, x.dtype), sum_of_rows(above * normal), sum_of_rows(above)


@functools.cache
def norm_loops(epsilon):
    """Compile the normalisation and its gradients by XLA, one loop each."""
    import tensorflow as tf

    forward = tf.function(
        lambda x, scale, offset: value(x, scale, offset, epsilon, lanes_mean), jit_compile=True, autograph=False
    )
    backward = tf.function(
        lambda x, scale, above: gradients(x, scale, above, epsilon), jit_compile=True, autograph=False
    )
    return forward, backward


@functools.cache
def fused_norm(epsilon):
    """Join the compiled normalisation and its gradients in one differentiable function."""
    import tensorflow as tf

    forward, backward = norm_loops(epsilon)

    @tf.custom_gradient
    def norm(x, scale, offset):
        return forward(x, scale, offset), lambda upstream: backward(x, scale, upstream)

    return given_values(norm)


def given_values(function):
    """Convert variables among a custom-gradient function's arguments to tensors.

    With variables, `tf.custom_gradient` would require a gradient function that takes a `variables` argument.
    """
    import tensorflow as tf

    return lambda *arguments: function(*(tf.identity(ops.convert_to_tensor(value)) for value in arguments))
