"""Reshaping of the code between an encoder and a decoder."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.networks.shapes import check_shape, size


def shape_code(encoder, decoder, shape):
    """Reshape the code of an encoder and a decoder into vectors: [B, Z] → [B, *shape], such as [B, G, D] of G vectors.

    Args:
        encoder, decoder: models of one input and one output, such as those of the builders of `kerasae.networks`.
        shape: (D,), (G, D) or (H, W, D), of as many values as the code has.

    Returns:
        (encoder, decoder): functional models that share the layers of the arguments.

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
