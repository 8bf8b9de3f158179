"""The two ends of networks of sequences: inputs of real values or ids with a mask, and a linear layer at each step."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.networks.shapes import check_positive, check_shape


def check_sequence(network, shape, vocabulary, **sizes):
    """Return the shape of a sequence; raise InputError unless it and all sizes fit.

    It is (T, D) of values, or (T, D, 1) as arrays [N, T, D] are stored, or (T,) of ids.
    """
    shape = check_shape(network, shape, (2, 3) if vocabulary is None else (1,))
    check_positive(network, **sizes)
    if len(shape) == 3 and shape[2] != 1:
        raise InputError(f"{network}: takes sequences (T, D), not images of {shape[2]} channels. Received: {shape}")
    if vocabulary is not None and vocabulary < 3:
        raise InputError(f"{network}: vocabulary must be at least 3 ids. Received: vocabulary={vocabulary}")
    return shape


def sequence_input(shape, vocabulary, embedding, name):
    """Build the inputs of an encoder, x and "mask" [B, T], and the steps [B, T, D]: x itself, or embedded ids."""
    inputs, mask = keras.Input(shape), keras.Input(shape[:1], name="mask")
    if vocabulary is None:
        return inputs, mask, inputs if len(shape) == 2 else layers.Reshape(shape[:2], name=f"{name}_steps")(inputs)
    start = keras.initializers.RandomNormal(stddev=embedding**-0.5)
    return inputs, mask, layers.Embedding(vocabulary, embedding, start, name=f"{name}_embedding")(inputs)


def values_of_steps(x, shape, vocabulary, pixel_parameters, name):
    """Map decoded steps to parameters of the likelihood: [B, T, D·pixel_parameters], or [B, T, vocabulary]."""
    x = layers.Dense(vocabulary or shape[1] * pixel_parameters, name=f"{name}_values")(x)
    return layers.Reshape((*shape[:2], pixel_parameters), name=f"{name}_channels")(x) if len(shape) == 3 else x
