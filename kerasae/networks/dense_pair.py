"""Fully connected encoder and decoder for vectors, and for images seen as vectors."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.layers import TiedDense
from kerasae.networks.inputs import drop_code, encoder_outputs, network, with_condition
from kerasae.networks.shapes import check_positive, check_shape, size

RECTIFIERS = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "softplus", "mish")


def dense(
    shape,
    code,
    widths=(512,),
    *,
    activation="relu",
    code_activation=None,
    posterior=None,
    pixel_parameters=1,
    condition=None,
    tied=False,
    kernel_initializer="glorot_uniform",
    kernel_regularizer=None,
    code_dropout=0.0,
    name="dense",
):
    """Build an encoder shape → widths → code and the mirrored decoder code → reversed widths → shape.

    With ``widths=()`` and no code activation both are linear, so that an autoencoder of them spans the same space as
    PCA (Baldi and Hornik, Neural Networks 2, 1989).

    Args:
        shape: shape of an example, (D,), (T, D), (H, W, C) or of four axes; it is flattened.
        code: length Z of the code.
        widths: hidden widths from input to code; any number, may be empty.
        activation: of the hidden layers.
        code_activation: of the code.
        posterior: None for a code without noise, or the posterior whose parameters the encoder gives: "gaussian",
            "von_mises_fisher" or a `kerasae.distributions.Posterior`.
        pixel_parameters: numbers per input value that the likelihood needs (`Likelihood.parameters`).
        condition: width K of a second input "condition" of both networks, [B, K], of a conditional model; or None.
        tied: the decoder uses the encoder's kernels transposed and owns biases only (Vincent et al. 2010).
        kernel_initializer: of every dense layer; "fan_in" for He's uniform one before a rectifier such as relu, and
            LeCun's before anything else. Their variance, 2 and 1 over the number of inputs, keeps the size of a short
            code that the decoder widens, where Glorot's shrinks it: with a heavy prior fewer dimensions fall idle.
        kernel_regularizer: of every kernel, such as `keras.regularizers.L2(0.01)`, added to the loss; biases have none.
        code_dropout: share of the code, in [0, 1), that the decoder does not see in training (`layers.Dropout`).
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, *shape] → [B, Z], or what the posterior takes, and
        [B, Z] → [B, *shape[:-1], shape[-1]·pixel_parameters].

    Raises:
        InputError: for sizes that are not positive, or `tied` where the two sides do not mirror each other.

    Example:
        >>> encoder, decoder = dense((28, 28, 1), code=32, widths=(512, 256))
    """
    shape = check_shape("dense", shape, (1, 2, 3, 4))
    check_positive("dense", code=code, widths=tuple(widths))
    check_positive(
        "dense", pixel_parameters=pixel_parameters, **({} if condition is None else {"condition": condition})
    )
    if tied and (posterior is not None or pixel_parameters != 1 or condition is not None):
        raise InputError("dense: tied=True needs one number per code dimension and per input value, and no condition")
    sizes = [size(shape), *widths, code]
    activations = [None, *[activation] * len(widths), code_activation]
    outputs = encoder_outputs(code, posterior)
    kernels = {"kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer}
    encoder = _encoder(shape, [*sizes[:-1], outputs], activations, condition, kernels, name)
    decoder = _decoder(shape, sizes, activations, pixel_parameters, tied, condition, kernels, code_dropout, name)
    return encoder, decoder


def _encoder(shape, sizes, activations, condition, kernels, name):
    x = inputs = keras.Input(shape)
    if len(shape) > 1:
        x = layers.Flatten(name=f"{name}_flatten")(x)
    x, others = with_condition(x, condition, f"{name}_encode_condition")
    for i in range(1, len(sizes)):
        options = {"activation": activations[i], "name": f"{name}_encode_{i}"}
        x = layers.Dense(sizes[i], **kernel_options(kernels, activations[i]), **options)(x)
    return network(inputs, others, x, f"{name}_encoder")


def _decoder(shape, sizes, activations, pixel_parameters, tied, condition, kernels, code_dropout, name):
    inputs = keras.Input((sizes[-1],))
    x, others = with_condition(drop_code(inputs, code_dropout, name), condition, f"{name}_decode_condition")
    for i in range(len(sizes) - 1, 0, -1):
        units = sizes[i - 1] * (pixel_parameters if i == 1 else 1)
        options = {"activation": activations[i - 1], "name": f"{name}_decode_{i}"}
        if tied:
            x = TiedDense(units, f"{name}_encode_{i}", **options)(x)
        else:
            x = layers.Dense(units, **kernel_options(kernels, activations[i - 1]), **options)(x)
    if len(shape) > 1:
        x = layers.Reshape((*shape[:-1], shape[-1] * pixel_parameters), name=f"{name}_reshape")(x)
    return network(inputs, others, x, f"{name}_decoder")


def kernel_options(kernels, activation):
    """Return the settings of a kernel, with "fan_in" replaced by the initializer that fits the activation after it."""
    if kernels["kernel_initializer"] != "fan_in":
        return kernels
    rectifies = getattr(keras.activations.get(activation), "__name__", "") in RECTIFIERS
    return {**kernels, "kernel_initializer": "he_uniform" if rectifies else "lecun_uniform"}
