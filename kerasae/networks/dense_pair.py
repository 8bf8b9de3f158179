"""Fully connected encoder and decoder for vectors, and for images seen as vectors."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.layers import TiedDense
from kerasae.networks.shapes import check_positive, check_shape, size


def dense(
    shape,
    code,
    widths=(512,),
    *,
    activation="relu",
    code_activation=None,
    code_parameters=1,
    pixel_parameters=1,
    tied=False,
    kernel_initializer="glorot_uniform",
    name="dense",
):
    """Build an encoder shape → widths → code and the mirrored decoder code → reversed widths → shape.

    With ``widths=()`` and no code activation both are linear, so that an autoencoder of them spans the same space as
    PCA (Baldi and Hornik, Neural Networks 2, 1989).

    Args:
        shape: shape of an example, (D,) or (T, D) or (H, W, C); it is flattened.
        code: length Z of the code.
        widths: hidden widths from input to code; any number, may be empty.
        activation: of the hidden layers.
        code_activation: of the code.
        code_parameters: numbers per code dimension, 2 for a Gaussian posterior (mean and log-variance).
        pixel_parameters: numbers per input value that the likelihood needs (`Likelihood.parameters`).
        tied: the decoder uses the encoder's kernels transposed and owns biases only (Vincent et al. 2010).
        kernel_initializer: of every dense layer.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, *shape] → [B, Z·code_parameters] and
        [B, Z] → [B, *shape[:-1], shape[-1]·pixel_parameters].

    Raises:
        InputError: for sizes that are not positive, or `tied` where the two sides do not mirror each other.

    Example:
        >>> encoder, decoder = dense((28, 28, 1), code=32, widths=(512, 256))
    """
    shape = check_shape("dense", shape, (1, 2, 3))
    check_positive("dense", code=code, widths=tuple(widths))
    check_positive("dense", code_parameters=code_parameters, pixel_parameters=pixel_parameters)
    if tied and (code_parameters != 1 or pixel_parameters != 1):
        raise InputError("dense: tied=True needs one number per code dimension and per input value")
    sizes = [size(shape), *widths, code]
    activations = [None, *[activation] * len(widths), code_activation]
    encoder = _encoder(shape, sizes, activations, code_parameters, kernel_initializer, name)
    decoder = _decoder(shape, sizes, activations, pixel_parameters, tied, kernel_initializer, name)
    return encoder, decoder


def _encoder(shape, sizes, activations, code_parameters, initializer, name):
    x = inputs = keras.Input(shape)
    if len(shape) > 1:
        x = layers.Flatten(name=f"{name}_flatten")(x)
    for i in range(1, len(sizes)):
        units = sizes[i] * (code_parameters if i == len(sizes) - 1 else 1)
        x = layers.Dense(units, activations[i], kernel_initializer=initializer, name=f"{name}_encode_{i}")(x)
    return keras.Model(inputs, x, name=f"{name}_encoder")


def _decoder(shape, sizes, activations, pixel_parameters, tied, initializer, name):
    x = inputs = keras.Input((sizes[-1],))
    for i in range(len(sizes) - 1, 0, -1):
        units = sizes[i - 1] * (pixel_parameters if i == 1 else 1)
        options = {"activation": activations[i - 1], "name": f"{name}_decode_{i}"}
        if tied:
            x = TiedDense(units, f"{name}_encode_{i}", **options)(x)
        else:
            x = layers.Dense(units, kernel_initializer=initializer, **options)(x)
    if len(shape) > 1:
        x = layers.Reshape((*shape[:-1], shape[-1] * pixel_parameters), name=f"{name}_reshape")(x)
    return keras.Model(inputs, x, name=f"{name}_decoder")
