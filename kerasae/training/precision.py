"""Number formats of the products in training; weights, losses and what a run keeps are float32."""

from contextlib import contextmanager
from dataclasses import replace

from kerasae.training import devices

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Name in a recipe → Keras's policy for the layers that compute in it."""


def settled(recipe):
    """The recipe with its precision, if that is "auto", as this machine computes it best."""
    if recipe.precision != "auto":
        return recipe
    return replace(recipe, precision="bfloat16" if devices.multiply_bfloat16() else "float32")


@contextmanager
def computing_in(precision):
    """Models built inside compute in this precision."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def exact(model, precision, build):
    """The model itself if it was trained in float32, else its weights in the float32 model that `build()` gives."""
    if precision == "float32":
        return model
    twin = build()
    twin.set_weights(model.get_weights())
    return twin
