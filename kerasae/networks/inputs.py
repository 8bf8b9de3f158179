"""Inputs and outputs that all network builders share: the condition, and the width of the encoder's output."""

import keras
from keras import layers

from kerasae.distributions.posteriors import get_posterior
from kerasae.errors import InputError
from kerasae.layers import Dropout


def with_condition(x, width, name):
    """Concatenate a condition to x, and return ([B, D + K], list of new inputs of the network).

    Args:
        x: [B, D].
        width: K, or None for no condition: x and an empty list.
        name: name of the layer that concatenates them.
    """
    if width is None:
        return x, []
    y = keras.Input((width,), name="condition")
    return layers.Concatenate(name=name)([x, y]), [y]


def drop_code(z, rate, name):
    """Drop a share of the code in training, where the rate is not 0: [B, Z] → [B, Z].

    Args:
        z: the decoder's input.
        rate: share in [0, 1).
        name: prefix of the layer's name.

    Raises:
        InputError: for another rate.
    """
    if not 0 <= rate < 1:
        raise InputError(f"{name}: code_dropout must be in [0, 1), a share of the code. Received: {rate}")
    return Dropout(rate, name=f"{name}_code_dropout")(z) if rate else z


def network(x, others, outputs, name):
    """Build a functional model of one input x, or of x and others."""
    return keras.Model([x, *others] if others else x, outputs, name=name)


def encoder_outputs(code, posterior):
    """Return the number of encoder outputs for a code of that length; equal to it without a posterior."""
    return code if posterior is None else get_posterior(posterior).outputs(code)
