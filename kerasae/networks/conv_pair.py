"""Convolutional encoder and transposed-convolution decoder for images of any height, width and channels."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.networks.inputs import drop_code, encoder_outputs, network, with_condition
from kerasae.networks.shapes import check_positive, check_shape, size


def conv(
    shape,
    code,
    filters=(32, 64),
    *,
    kernel=3,
    widths=(),
    activation="relu",
    code_activation=None,
    posterior=None,
    pixel_parameters=1,
    condition=None,
    kernel_regularizer=None,
    code_dropout=0.0,
    name="conv",
):
    """Build an encoder of stride-2 convolutions and the mirrored decoder of stride-2 transposed convolutions.

    Every stage halves height and width, rounding up; the decoder doubles them and crops what the rounding added, so
    that odd and rectangular sizes come back exactly.

    Args:
        shape: (H, W, C) of an image.
        code: length Z of the code.
        filters: channels of each stage; its length is the number of halvings.
        kernel: side of the square kernels.
        widths: widths of dense layers between the last stage and the code; may be empty.
        activation: of every hidden layer.
        code_activation: of the code.
        posterior: None for a code without noise, or the posterior whose parameters the encoder gives: "gaussian",
            "von_mises_fisher" or a `kerasae.distributions.Posterior`.
        pixel_parameters: numbers per input value that the likelihood needs.
        condition: width K of a second input "condition" of both networks, [B, K], of a conditional model; or None.
        kernel_regularizer: of every kernel, such as `keras.regularizers.L2(0.01)`, added to the loss; biases have none.
        code_dropout: share of the code, in [0, 1), that the decoder does not see in training (`layers.Dropout`).
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, H, W, C] → [B, Z], or what the posterior takes, and
        [B, Z] → [B, H, W, C·pixel_parameters].

    Raises:
        InputError: for a shape that is no image, or one that is too small for that many halvings.

    Example:
        >>> encoder, decoder = conv((28, 28, 1), code=16, filters=(32, 64))
    """
    shape = check_shape("conv", shape, (3,))
    check_positive("conv", code=code, filters=tuple(filters), kernel=kernel, widths=tuple(widths))
    check_positive("conv", pixel_parameters=pixel_parameters, **({} if condition is None else {"condition": condition}))
    if not filters:
        raise InputError("conv: filters must name at least one stage; for none, use dense. Received: filters=()")
    grids = _grids(shape, len(filters))
    kernels = {"kernel_regularizer": kernel_regularizer}
    x = inputs = keras.Input(shape)
    for i, channels in enumerate(filters, 1):
        x = layers.Conv2D(channels, kernel, 2, "same", activation=activation, **kernels, name=f"{name}_encode_{i}")(x)
    x, others = with_condition(layers.Flatten(name=f"{name}_flatten")(x), condition, f"{name}_encode_condition")
    for i, units in enumerate(widths, 1):
        x = layers.Dense(units, activation, **kernels, name=f"{name}_encode_dense_{i}")(x)
    x = layers.Dense(encoder_outputs(code, posterior), code_activation, **kernels, name=f"{name}_code")(x)
    encoder = network(inputs, others, x, f"{name}_encoder")
    z = keras.Input((code,))
    x, others = with_condition(drop_code(z, code_dropout, name), condition, f"{name}_decode_condition")
    x = _decoded(x, grids, shape[-1] * pixel_parameters, filters, kernel, widths, activation, kernels, name)
    return encoder, network(z, others, x, f"{name}_decoder")


def _grids(shape, stages):
    """Compute height and width before each stage and after the last."""
    grids = [tuple(shape[:2])]
    for i in range(stages):
        h, w = grids[-1]
        if max(h, w) == 1:
            raise InputError(
                f"conv: shape {tuple(shape)} is 1×1 already before stage {i + 1} of {stages}; "
                f"use at most {i} filters, or larger images"
            )
        grids.append((-(-h // 2), -(-w // 2)))
    return grids


def _decoded(x, grids, channels, filters, kernel, widths, activation, kernels, name):
    """Decode x, the code and the condition [B, D], to images [B, H, W, channels]."""
    for i, units in enumerate(reversed(widths), 1):
        x = layers.Dense(units, activation, **kernels, name=f"{name}_decode_dense_{i}")(x)
    start = (*grids[-1], filters[-1])
    x = layers.Dense(size(start), activation, **kernels, name=f"{name}_decode_grid")(x)
    x = layers.Reshape(start, name=f"{name}_reshape")(x)
    for i in range(len(filters), 0, -1):
        out, act = (channels, None) if i == 1 else (filters[i - 2], activation)
        x = layers.Conv2DTranspose(out, kernel, 2, "same", activation=act, **kernels, name=f"{name}_decode_{i}")(x)
        (h, w), (below_h, below_w) = grids[i - 1], grids[i]
        if (2 * below_h, 2 * below_w) != (h, w):
            x = layers.Cropping2D(((2 * below_h - h, 0), (2 * below_w - w, 0)), name=f"{name}_crop_{i}")(x)
    return x
