"""What the builders of encoder/decoder pairs share at their ends: the condition, and the width of the code's layer."""

import keras
from keras import layers

from kerasae.distributions.posteriors import get_posterior


def with_condition(x, width, name):
    """Join a condition to a tensor [B, D]: ([B, D + K], inputs to add to the network's).

    Args:
        x: [B, D].
        width: K, or None for no condition: x and an empty list.
        name: of the layer that joins them.
    """
    if width is None:
        return x, []
    y = keras.Input((width,), name="condition")
    return layers.Concatenate(name=name)([x, y]), [y]


def network(x, others, outputs, name):
    """Build a functional model of one input, or of several."""
    return keras.Model([x, *others] if others else x, outputs, name=name)


def encoder_outputs(code, posterior):
    """Give the number of encoder outputs for a code of that length; the code itself without a posterior."""
    return code if posterior is None else get_posterior(posterior).outputs(code)
