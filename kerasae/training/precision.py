"""Number formats of the products in training; weights, losses and what a run keeps are float32."""

from contextlib import contextmanager
from dataclasses import replace

from kerasae.training import devices

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Name in a recipe → Keras's policy for the layers that compute in it."""


def with_precision_chosen(recipe):
    """The recipe with its precision, if it has one and that is "auto", as this machine computes it best."""
    if getattr(recipe, "precision", None) != "auto":
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


def in_float32(build):
    """The model that `build()` makes, computing in float32 whatever models built here compute in."""
    with computing_in("float32"):
        return build()


def float32_model(model, build):
    """The model itself where models compute in float32, else its weights in the float32 model that `build()` makes."""
    import keras

    if keras.config.dtype_policy().name == "float32":
        return model
    twin = in_float32(build)
    twin.set_weights(model.get_weights())
    return twin
