"""Convolutional encoder and decoder whose code is a map: a vector for every place of a grid."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.networks.conv_pair import KINDS, enlarged, halved
from kerasae.networks.shapes import check_positive, check_shape


def conv_map(
    shape,
    code,
    filters=(32, 64),
    *,
    blocks=2,
    kernel=3,
    activation="relu",
    pixel_parameters=1,
    kernel_regularizer=None,
    name="conv_map",
):
    """Build an encoder of stride-2 convolutions whose code is its last map, and the mirrored decoder.

    Van den Oord, Vinyals and Kavukcuoglu, arXiv 1711.00937, section 4.1: convolutions of stride 2, residual blocks
    x + conv₁(f(conv₃(f(x)))), and a linear map to D channels. Every stage halves each direction, rounding up; the
    decoder doubles it and crops what the rounding added.

    Args:
        shape: (T, C) of a signal, (H, W, C) of an image, or (D, H, W, C) of a volume.
        code: length D of the vector at every place.
        filters: channels of each stage; its length is the number of halvings.
        blocks: residual blocks behind the last stage, and as many before the first one of the decoder.
        kernel: side of the kernels of the stages in every direction.
        activation: of every hidden layer.
        pixel_parameters: numbers per input value that the likelihood needs.
        kernel_regularizer: of every kernel, added to the loss; biases have none.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, H, W, C] → [B, h, w, D], and from there → [B, H, W, C], with
        C·pixel_parameters channels.

    Raises:
        InputError: for another number of directions, or a shape that is too small for that many halvings.

    Example:
        >>> encoder, decoder = conv_map((28, 28, 1), code=16, filters=(32, 64))
        >>> encoder.output_shape  # (None, 7, 7, 16)
    """
    shape = check_shape("conv_map", shape, (2, 3, 4))
    check_positive("conv_map", code=code, filters=tuple(filters), kernel=kernel, pixel_parameters=pixel_parameters)
    if not filters or blocks < 0 or blocks != int(blocks):
        raise InputError(
            "conv_map: filters must name at least one stage, and blocks be a whole number from 0 up. "
            f"Received: filters={tuple(filters)}, blocks={blocks}"
        )
    grids, convolution = halved(shape, len(filters), "conv_map"), KINDS[len(shape) - 1][0]
    kernels = {"kernel_regularizer": kernel_regularizer}
    block = residual_block(convolution, filters[-1], activation, kernels)
    x = inputs = keras.Input(shape)
    for i, channels in enumerate(filters, 1):
        x = convolution(channels, kernel, 2, "same", activation=activation, **kernels, name=f"{name}_encode_{i}")(x)
    for i in range(1, blocks + 1):
        x = block(x, f"{name}_encode_block_{i}")
    encoder = keras.Model(inputs, convolution(code, 1, **kernels, name=f"{name}_code")(x), name=f"{name}_encoder")
    z = keras.Input((*grids[-1], code))
    x = convolution(filters[-1], 3, 1, "same", **kernels, name=f"{name}_uncode")(z)
    for i in range(1, blocks + 1):
        x = block(x, f"{name}_decode_block_{i}")
    x = layers.Activation(activation, name=f"{name}_decode_activation")(x)
    x = enlarged(x, grids, shape[-1] * pixel_parameters, filters, kernel, activation, kernels, name)
    return encoder, keras.Model(z, x, name=f"{name}_decoder")


def residual_block(convolution, channels, activation, kernels):
    """Make a function (x, name) → x + conv₁(f(conv₃(f(x)))), f the activation."""

    def block(x, name):
        y = layers.Activation(activation, name=f"{name}_activation")(x)
        y = convolution(channels, 3, 1, "same", activation=activation, **kernels, name=f"{name}_wide")(y)
        y = convolution(channels, 1, 1, "same", **kernels, name=f"{name}_narrow")(y)
        return layers.Add(name=f"{name}_add")([x, y])

    return block
