"""Convolutional encoder and transposed-convolution decoder for signals, images and volumes of any size."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.networks.inputs import drop_code, encoder_outputs, network, with_condition
from kerasae.networks.shapes import check_positive, check_shape, size

KINDS = {
    1: (layers.Conv1D, layers.Conv1DTranspose, layers.Cropping1D),
    2: (layers.Conv2D, layers.Conv2DTranspose, layers.Cropping2D),
    3: (layers.Conv3D, layers.Conv3DTranspose, layers.Cropping3D),
}
"""Number of directions → convolution, its transpose, and the layer that crops."""


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

    Every stage halves each direction, rounding up; the decoder doubles it and crops what the rounding added, so that
    odd and rectangular sizes come back exactly.

    Args:
        shape: (T, C) of a signal, (H, W, C) of an image, or (D, H, W, C) of a volume.
        code: length Z of the code.
        filters: channels of each stage; its length is the number of halvings.
        kernel: side of the kernels in every direction.
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
        (encoder, decoder): functional models, [B, *shape] → [B, Z], or what the posterior takes, and
        [B, Z] → [B, *shape], with C·pixel_parameters channels.

    Raises:
        InputError: for another number of directions, or a shape that is too small for that many halvings.

    Example:
        >>> encoder, decoder = conv((28, 28, 1), code=16, filters=(32, 64))
    """
    shape = check_shape("conv", shape, (2, 3, 4))
    check_positive("conv", code=code, filters=tuple(filters), kernel=kernel, widths=tuple(widths))
    check_positive("conv", pixel_parameters=pixel_parameters, **({} if condition is None else {"condition": condition}))
    if not filters:
        raise InputError("conv: filters must name at least one stage; for none, use dense. Received: filters=()")
    grids = halved(shape, len(filters))
    kernels = {"kernel_regularizer": kernel_regularizer}
    convolution = KINDS[len(shape) - 1][0]
    x = inputs = keras.Input(shape)
    for i, channels in enumerate(filters, 1):
        x = convolution(channels, kernel, 2, "same", activation=activation, **kernels, name=f"{name}_encode_{i}")(x)
    x, others = with_condition(layers.Flatten(name=f"{name}_flatten")(x), condition, f"{name}_encode_condition")
    for i, units in enumerate(widths, 1):
        x = layers.Dense(units, activation, **kernels, name=f"{name}_encode_dense_{i}")(x)
    x = layers.Dense(encoder_outputs(code, posterior), code_activation, **kernels, name=f"{name}_code")(x)
    encoder = network(inputs, others, x, f"{name}_encoder")
    z = keras.Input((code,))
    x, others = with_condition(drop_code(z, code_dropout, name), condition, f"{name}_decode_condition")
    x = _decoded(x, grids, shape[-1] * pixel_parameters, filters, kernel, widths, activation, kernels, name)
    return encoder, network(z, others, x, f"{name}_decoder")


def halved(shape, stages, name="conv"):
    """Compute the sizes of a map: before each stage and after the last."""
    grids = [tuple(shape[:-1])]
    for i in range(stages):
        if max(grids[-1]) == 1:
            raise InputError(
                f"{name}: shape {tuple(shape)} is one place already before stage {i + 1} of {stages}; "
                f"use at most {i} filters, or larger examples"
            )
        grids.append(tuple(-(-n // 2) for n in grids[-1]))
    return grids


def _decoded(x, grids, channels, filters, kernel, widths, activation, kernels, name):
    """Decode x, the code and the condition [B, D], to examples with `channels` channels."""
    for i, units in enumerate(reversed(widths), 1):
        x = layers.Dense(units, activation, **kernels, name=f"{name}_decode_dense_{i}")(x)
    start = (*grids[-1], filters[-1])
    x = layers.Dense(size(start), activation, **kernels, name=f"{name}_decode_grid")(x)
    x = layers.Reshape(start, name=f"{name}_reshape")(x)
    return enlarged(x, grids, channels, filters, kernel, activation, kernels, name)


def enlarged(x, grids, channels, filters, kernel, activation, kernels, name):
    """Double a map stage by stage: [B, *grids[-1], filters[-1]] → [B, *grids[0], channels]."""
    _, transposed, cropping = KINDS[len(grids[0])]
    for i in range(len(filters), 0, -1):
        out, act = (channels, None) if i == 1 else (filters[i - 2], activation)
        x = transposed(out, kernel, 2, "same", activation=act, **kernels, name=f"{name}_decode_{i}")(x)
        added = tuple((2 * below - n, 0) for n, below in zip(grids[i - 1], grids[i], strict=True))
        if any(before for before, _ in added):
            x = cropping(added if len(added) > 1 else added[0], name=f"{name}_crop_{i}")(x)
    return x
