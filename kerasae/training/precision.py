"""Set the number format of the products in training; weights, losses and the files of a run are float32."""

from contextlib import contextmanager
from dataclasses import replace

from kerasae.training import devices

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Precision in a recipe → Keras's dtype policy."""


def with_precision_chosen(recipe):
    """Replace the precision "auto" of a recipe by the fastest on this machine, bfloat16 or float32."""
    if getattr(recipe, "precision", None) != "auto":
        return recipe
    return replace(recipe, precision="bfloat16" if devices.multiply_bfloat16() else "float32")


@contextmanager
def computing_in(precision):
    """Set the precision of the models built inside this context."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(build):
    """Build a model that computes in float32, whatever precision is set."""
    with computing_in("float32"):
        return build()


def float32_model(model, build):
    """Return a float32 model with these weights: the model itself, or else a copy that `build()` makes."""
    import keras

    if keras.config.dtype_policy().name == "float32":
        return model
    twin = in_float32(build)
    twin.set_weights(model.get_weights())
    return twin
