"""Decoder of means with one learned variance."""

import keras

from kerasae.layers import SharedVariance


def share_variance(encoder, decoder):
    """Give a decoder of means one learned variance of all values, for the likelihood `GaussianPerValue`.

    Args:
        encoder, decoder: networks whose decoder gives one number per value, such as those of `kerasae.networks.dense`.

    Returns:
        (encoder, decoder): the encoder as it is, and a decoder → [B, ..., 2C] that shares the layers of the argument.

    Example:
        >>> pair = share_variance(*dense((28, 28, 1), code=10, posterior="gaussian"))
        >>> model = VariationalAutoencoder(*pair, kerasae.distributions.GaussianPerValue())
    """
    spread = SharedVariance(name="shared_variance", dtype="float32")(decoder.outputs[0])
    inputs = decoder.inputs if len(decoder.inputs) > 1 else decoder.inputs[0]
    return encoder, keras.Model(inputs, spread, name=f"{decoder.name}_with_variance")
