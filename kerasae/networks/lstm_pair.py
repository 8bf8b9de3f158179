"""Recurrent encoder and decoder for sequences of any length up to a longest one."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.networks.sequence_inputs import check_sequence, sequence_input, values_of_steps


def lstm(
    shape,
    code,
    widths=(128,),
    *,
    code_activation=None,
    pixel_parameters=1,
    vocabulary=None,
    embedding=64,
    name="lstm",
):
    """Build an LSTM encoder sequence → code and an LSTM decoder code → sequence.

    Srivastava, Mansimov and Salakhutdinov, arXiv 1502.04681, section 2.1. The encoder reads from the last step to the
    first, and the decoder writes from the first to the last: the step read last is written first. The paper reverses
    both. The decoder gets the code at every step, not its previous output. Masked steps do not change the encoder's
    state.

    Args:
        shape: (T, D): the number of steps of the longest sequence, and of values in a step; (T,) for ids.
        code: length Z of the code, which is a linear map of the encoder's last state.
        widths: units of the LSTM layers from input to code, at least one; the decoder has them in reverse.
        code_activation: of the code.
        pixel_parameters: numbers per input value that the likelihood needs.
        vocabulary: None for real values, or the number V of ids, which the encoder embeds.
        embedding: length of the learned vector of an id.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, ([B, T, D], "mask" [B, T]) → [B, Z] and
        [B, Z] → [B, T, D·pixel_parameters]; of ids ([B, T], "mask" [B, T]) → [B, Z] and [B, Z] → [B, T, V].

    Raises:
        InputError: for a shape that is no sequence, or no layers.

    Example:
        >>> encoder, decoder = lstm((140, 1), code=8, widths=(64,))
        >>> encoder, decoder = lstm((40,), code=128, widths=(256,), vocabulary=2003)  # of sentences
    """
    given = code, widths, code_activation, pixel_parameters, vocabulary, embedding, name
    return _pair("lstm", layers.LSTM, shape, *given)


def gru(
    shape,
    code,
    widths=(128,),
    *,
    code_activation=None,
    pixel_parameters=1,
    vocabulary=None,
    embedding=64,
    name="gru",
):
    """Build a GRU encoder sequence → code and a GRU decoder code → sequence: `lstm` with the gated recurrent unit.

    Cho et al., arXiv 1406.1078, section 2.3: one state in place of two, and a quarter fewer weights.

    Args:
        shape, code, widths, code_activation, pixel_parameters, vocabulary, embedding, name: as for `lstm`.

    Returns:
        (encoder, decoder): as for `lstm`.

    Raises:
        InputError: as for `lstm`.

    Example:
        >>> encoder, decoder = gru((140, 1), code=8, widths=(64,))
    """
    given = code, widths, code_activation, pixel_parameters, vocabulary, embedding, name
    return _pair("gru", layers.GRU, shape, *given)


def _pair(kind, cell, shape, code, widths, code_activation, pixel_parameters, vocabulary, embedding, name):
    sizes = {"code": code, "widths": tuple(widths), "pixel_parameters": pixel_parameters, "embedding": embedding}
    shape = check_sequence(kind, shape, vocabulary, **sizes)
    if not widths:
        raise InputError(f"{kind}: widths must name at least one layer. Received: widths=()")
    encoder = _encoder(cell, sequence_input(shape, vocabulary, embedding, name), code, widths, code_activation, name)
    return encoder, _decoder(cell, shape, code, widths, pixel_parameters, vocabulary, name)


def _encoder(cell, given, code, widths, code_activation, name):
    inputs, seen, x = given
    x, mask = ops.flip(x, axis=1), ops.cast(ops.flip(seen, axis=1), "bool")
    for i, units in enumerate(widths, 1):
        # cuDNN fails for a mask with padding first, or with no steps.
        layer = cell(units, return_sequences=i < len(widths), use_cudnn=False, name=f"{name}_encode_{i}")
        x = layer(x, mask=mask)
    x = layers.Dense(code, code_activation, name=f"{name}_code")(x)
    return keras.Model([inputs, seen], x, name=f"{name}_encoder")


def _decoder(cell, shape, code, widths, pixel_parameters, vocabulary, name):
    inputs = keras.Input((code,))
    x = layers.RepeatVector(shape[0], name=f"{name}_repeat")(inputs)
    for i in range(len(widths), 0, -1):
        x = cell(widths[i - 1], return_sequences=True, name=f"{name}_decode_{i}")(x)
    return keras.Model(inputs, values_of_steps(x, shape, vocabulary, pixel_parameters, name), name=f"{name}_decoder")
