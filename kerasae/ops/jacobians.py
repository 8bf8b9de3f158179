"""Products with the Jacobian of a function of each example, differentiable once more; on TensorFlow."""

import keras
from keras import ops

from kerasae.errors import InputError


def jacobian_products(function, x, directions):
    """Compute a function and Jᵀv, where J is its Jacobian at each example, for several directions v.

    All directions share one forward pass, and the products can be differentiated again, as a penalty on J must be. Each
    direction is a backward pass of its own in the graph, so that hundreds of them take long to compile.

    Args:
        function: [B, *shape] → [B, Z], of each example alone.
        x: float32 [B, *shape].
        directions: float32 [S, B, Z] or [S, 1, Z]; the S rows of the identity give J itself.

    Returns:
        (function(x), float32 [S, B, *shape]).

    Raises:
        InputError: on another backend than TensorFlow.

    Example:
        >>> z, rows = jacobian_products(lambda x: x**2, keras.ops.ones((3, 2)), keras.ops.eye(2)[:, None])
        >>> rows[:, 0]  # [[2, 0], [0, 2]]
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError("jacobian_products: is written for TensorFlow only; use that backend")
    import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        z = function(x)
        wide = ops.cast(z, "float32")
    # One by one: `tf.vectorized_map` lets XLA compile anew at every step.
    products = [tape.gradient(wide, x, v + ops.zeros_like(wide)) for v in ops.unstack(directions)]
    return z, ops.stack(products)
