"""Exact GELU with a hand-written gradient, and softmax in float32."""

import functools
import math

import keras
from keras import ops


def exact_gelu(x, training=False):
    """Compute the exact GELU, x Φ(x) = ½ x (1 + erf(x / √2)): Hendrycks and Gimpel, arXiv 1606.08415, eq. 2.

    It is computed in float32, by erf, as Keras's erfc is slower on a CPU. In training, on TensorFlow, the function and
    its derivative are one fused loop each, and only x is kept for the gradient. Elsewhere plain operations are used,
    which every exporter supports.

    Args:
        x: floating tensor of any shape.
        training: whether to use the fused loops; the values agree to rounding.

    Returns:
        A tensor of the shape and type of x.

    Example:
        >>> exact_gelu(np.array([-1.0, 0.0, 1.0], "float32"))  # -0.1587, 0, 0.8413
    """
    if training and keras.backend.backend() == "tensorflow":
        return fused_gelu()(x)
    return value(x)


def value(x):
    """Compute the GELU, x Φ(x), as ½ x (1 + erf(x / √2)): the form in which LiteRT finds its own GELU."""
    wide = widened(x)
    return ops.cast(0.5 * wide * (1.0 + ops.erf(wide * math.sqrt(0.5))), x.dtype)


def slope(x, upstream):
    """Compute the gradient of the GELU: (Φ(x) + x φ(x)) times the upstream gradient."""
    wide = widened(x)
    density = ops.exp(-0.5 * wide * wide) / math.sqrt(2.0 * math.pi)
    return ops.cast((normal_cdf(wide) + wide * density) * ops.cast(upstream, wide.dtype), x.dtype)


def normal_cdf(x):
    return 0.5 * (1.0 + ops.erf(x * math.sqrt(0.5)))


def widened(x):
    """Cast x to float32 if its type is narrower."""
    return ops.cast(x, "float32") if narrow(x) else x


def narrow(x):
    return keras.backend.standardize_dtype(x.dtype) in ("bfloat16", "float16")


@functools.cache
def gelu_loops():
    """Compile the GELU and its gradient by XLA, one loop each, also where the step itself is not compiled."""
    import tensorflow as tf

    return tf.function(value, jit_compile=True, autograph=False), tf.function(slope, jit_compile=True, autograph=False)


@functools.cache
def fused_gelu():
    """Join the compiled GELU and its gradient in one differentiable function."""
    import tensorflow as tf

    forward, backward = gelu_loops()

    @tf.custom_gradient
    def gelu(x):
        return forward(x), lambda upstream: backward(x, upstream)

    return gelu


def softmax(x):
    """Compute exp(x) / Σ exp(x) over the last axis, in float32.

    Args:
        x: floating tensor [..., T].

    Returns:
        A tensor of the shape and type of x, ≥ 0, whose sums over the last axis are 1.

    Example:
        >>> softmax(np.array([0.0, np.log(3.0)], "float32"))  # 0.25, 0.75
    """
    return ops.cast(ops.softmax(widened(x)), x.dtype)
