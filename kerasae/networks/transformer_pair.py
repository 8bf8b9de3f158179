"""Transformer encoder and decoder for sequences of any length up to a longest one."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers import StepBlock, StepMean, StepPositions, TokenNorm
from kerasae.networks.sequence_inputs import check_sequence, sequence_input, values_of_steps


def transformer(
    shape,
    code,
    width=64,
    depth=2,
    heads=4,
    *,
    decoder_depth=2,
    mlp_ratio=2.0,
    pooling="mean",
    code_activation=None,
    pixel_parameters=1,
    vocabulary=None,
    name="transformer",
):
    """Build a transformer encoder sequence → code and a transformer decoder code → sequence.

    Vaswani et al., arXiv 1706.03762, with learned positions. Encoder: blocks in which no step attends to padding, the
    mean over the known steps, a linear layer. Decoder: the code at every step plus the step's position, blocks in
    which a step attends to itself and earlier ones, a linear layer; all steps are written at once, none from the
    output before it. So padding changes nothing, however much there is.

    With `pooling=None` there is a code for every step, [B, T, Z], and the decoder is a network of each step alone, as
    in masked language models: Devlin et al., arXiv 1810.04805, section 3.1.

    Args:
        shape: (T, D): the number of steps of the longest sequence, and of values in a step; (T,) for ids.
        code: length Z of the code.
        width: width of the steps inside.
        depth: blocks of the encoder.
        heads: attention heads, which must divide the width.
        decoder_depth: blocks of the decoder; not used without pooling.
        mlp_ratio: hidden width of a block's network over `width`.
        pooling: "mean", or None for a code for every step.
        code_activation: of the code.
        pixel_parameters: numbers per input value that the likelihood needs.
        vocabulary: None for real values, or the number V of ids, which the encoder embeds.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, ([B, T, D], "mask" [B, T]) → [B, Z] or [B, T, Z], and from there →
        [B, T, D·pixel_parameters]; of ids ([B, T], "mask" [B, T]) → the same, and from there → [B, T, V].

    Raises:
        InputError: for a shape that is no sequence, or sizes that do not fit.

    Example:
        >>> encoder, decoder = transformer((140, 1), code=8)
        >>> encoder, decoder = transformer((40,), code=64, pooling=None, vocabulary=2003)  # a code for every word
    """
    sizes = {"code": code, "width": width, "depth": depth, "heads": heads, "pixel_parameters": pixel_parameters}
    shape = check_sequence("transformer", shape, vocabulary, **sizes, decoder_depth=decoder_depth)
    if pooling not in ("mean", None):
        raise InputError(f"transformer: pooling must be 'mean' or None. Received: pooling={pooling!r}")
    blocks = {"heads": heads, "mlp_ratio": mlp_ratio}
    encoder = _encoder(shape, code, width, depth, blocks, pooling, code_activation, vocabulary, name)
    if pooling is None:
        return encoder, _step_decoder(shape, code, width, pixel_parameters, vocabulary, name)
    return encoder, _decoder(shape, code, width, decoder_depth, blocks, pixel_parameters, vocabulary, name)


def _encoder(shape, code, width, depth, blocks, pooling, code_activation, vocabulary, name):
    inputs, mask, x = sequence_input(shape, vocabulary, width, name)
    x = x if vocabulary else layers.Dense(width, name=f"{name}_embedding")(x)
    x = StepPositions(shape[0], name=f"{name}_encoder_positions")(x)
    for i in range(1, depth + 1):
        x = StepBlock(**blocks, name=f"{name}_encode_{i}")((x, mask))
    x = TokenNorm(name=f"{name}_encoder_norm")(x)
    x = x if pooling is None else StepMean(name=f"{name}_mean")((x, mask))
    x = layers.Dense(code, code_activation, name=f"{name}_code")(x)
    return keras.Model([inputs, mask], x, name=f"{name}_encoder")


def _decoder(shape, code, width, depth, blocks, pixel_parameters, vocabulary, name):
    inputs = keras.Input((code,))
    x = layers.RepeatVector(shape[0], name=f"{name}_repeat")(layers.Dense(width, name=f"{name}_uncode")(inputs))
    x = StepPositions(shape[0], name=f"{name}_decoder_positions")(x)
    every = ops.ones_like(x[..., 0])
    for i in range(1, depth + 1):
        x = StepBlock(**blocks, causal=True, name=f"{name}_decode_{i}")((x, every))
    x = TokenNorm(name=f"{name}_decoder_norm")(x)
    return keras.Model(inputs, values_of_steps(x, shape, vocabulary, pixel_parameters, name), name=f"{name}_decoder")


def _step_decoder(shape, code, width, pixel_parameters, vocabulary, name):
    inputs = keras.Input((shape[0], code))
    x = layers.Dense(width, "gelu", name=f"{name}_uncode")(inputs)
    x = TokenNorm(name=f"{name}_decoder_norm")(x)
    return keras.Model(inputs, values_of_steps(x, shape, vocabulary, pixel_parameters, name), name=f"{name}_decoder")
