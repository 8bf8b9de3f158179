"""Recurrent encoder and decoder for sequences of any length up to a longest one."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.networks.shapes import check_positive, check_shape


def lstm(shape, code, widths=(128,), *, code_activation=None, pixel_parameters=1, name="lstm"):
    """Build an LSTM encoder sequence → code and an LSTM decoder code → sequence.

    Srivastava, Mansimov and Salakhutdinov, arXiv 1502.04681, section 2.1. The encoder reads from the last step to the
    first, and the decoder writes from the first to the last: the step read last is written first. The paper reverses
    both. The decoder gets the code at every step, not its previous output. Masked steps do not change the encoder's
    state.

    Args:
        shape: (T, D): the number of steps of the longest sequence, and of values in a step.
        code: length Z of the code, which is a linear map of the encoder's last state.
        widths: units of the LSTM layers from input to code, at least one; the decoder has them in reverse.
        code_activation: of the code.
        pixel_parameters: numbers per input value that the likelihood needs.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, ([B, T, D], "mask" [B, T]) → [B, Z] and
        [B, Z] → [B, T, D·pixel_parameters].

    Raises:
        InputError: for a shape that is no sequence, or no layers.

    Example:
        >>> encoder, decoder = lstm((140, 1), code=8, widths=(64,))
    """
    shape = check_shape("lstm", shape, (2,))
    check_positive("lstm", code=code, widths=tuple(widths), pixel_parameters=pixel_parameters)
    if not widths:
        raise InputError("lstm: widths must name at least one layer. Received: widths=()")
    return _encoder(shape, code, widths, code_activation, name), _decoder(shape, code, widths, pixel_parameters, name)


def _encoder(shape, code, widths, code_activation, name):
    inputs, given = keras.Input(shape), keras.Input(shape[:1], name="mask")
    x, mask = ops.flip(inputs, axis=1), ops.cast(ops.flip(given, axis=1), "bool")
    for i, units in enumerate(widths, 1):
        # cuDNN fails for a mask with padding first, or with no steps.
        layer = layers.LSTM(units, return_sequences=i < len(widths), use_cudnn=False, name=f"{name}_encode_{i}")
        x = layer(x, mask=mask)
    x = layers.Dense(code, code_activation, name=f"{name}_code")(x)
    return keras.Model([inputs, given], x, name=f"{name}_encoder")


def _decoder(shape, code, widths, pixel_parameters, name):
    inputs = keras.Input((code,))
    x = layers.RepeatVector(shape[0], name=f"{name}_repeat")(inputs)
    for i in range(len(widths), 0, -1):
        x = layers.LSTM(widths[i - 1], return_sequences=True, name=f"{name}_decode_{i}")(x)
    x = layers.Dense(shape[1] * pixel_parameters, name=f"{name}_values")(x)
    return keras.Model(inputs, x, name=f"{name}_decoder")
