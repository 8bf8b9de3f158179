"""Another shape for the code between an encoder and a decoder."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.networks.shapes import check_shape, size


def shape_code(encoder, decoder, shape):
    """Cut the code of a pair into vectors: codes [B, Z] become [B, *shape], such as [B, G, D] of G vectors.

    Args:
        encoder, decoder: models of one input and one output, as the builders of `kerasae.networks` give them.
        shape: (D,), (G, D) or (H, W, D), of as many values as the code has.

    Returns:
        (encoder, decoder): functional models with the layers of the given ones.

    Raises:
        InputError: if the shape has another number of values than the code.

    Example:
        >>> encoder, decoder = shape_code(*dense((28, 28, 1), code=64), (16, 4))
        >>> encoder.output_shape  # (None, 16, 4)
    """
    shape = check_shape("shape_code", shape, (1, 2, 3))
    given = tuple(decoder.inputs[0].shape[1:])
    if size(given) != size(shape):
        raise InputError(f"shape_code: shape must have the {size(given)} values of the code. Received: shape={shape}")
    cut = keras.Model(encoder.inputs[0], layers.Reshape(shape, name="cut_code")(encoder.outputs[0]), name=encoder.name)
    inputs = keras.Input(shape)
    joined = decoder(layers.Reshape(given, name="join_code")(inputs))
    return cut, keras.Model(inputs, joined, name=f"{decoder.name}_of_vectors")
