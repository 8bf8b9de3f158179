"""Causal transformer over the indices of a codebook: an autoregressive model of whole numbers."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers import Dropout, StepBlock, StepPositions, TokenNorm
from kerasae.networks.inputs import network
from kerasae.networks.shapes import check_positive


def index_transformer(
    places,
    entries,
    width=128,
    depth=3,
    heads=4,
    *,
    mlp_ratio=4.0,
    dropout=0.0,
    condition=None,
    name="index_transformer",
):
    """Build a causal transformer tokens → logits of the index at every place, given those before it.

    Vaswani et al., arXiv 1706.03762, with learned positions and pre-norm blocks in which a place attends to itself and
    earlier ones. Token t is the index of place t − 1, and token 0 the start, whose number is `entries`: so logits t
    depend on the indices before place t alone.

    Args:
        places: number T of indices.
        entries: number K of values of an index.
        width: width of the tokens inside.
        depth: number of blocks.
        heads: attention heads, which must divide the width.
        mlp_ratio: hidden width of a block's network over `width`.
        dropout: share of the embedded tokens' values dropped in training, in [0, 1).
        condition: width C of a second input "condition", [B, C], which is mapped to the width and added to every token;
            or None.
        name: prefix of the layers' names.

    Returns:
        A functional model, int [B, T], or that and [B, C], → [B, T, K].

    Raises:
        InputError: for numbers out of range, or heads that do not divide the width.

    Example:
        >>> index_transformer(49, entries=256).output_shape  # (None, 49, 256)
    """
    sizes = {"places": places, "entries": entries, "width": width, "depth": depth, "heads": heads}
    check_positive("index_transformer", **sizes, **({} if condition is None else {"condition": condition}))
    if width % heads or not 0 <= dropout < 1:
        raise InputError(
            f"index_transformer: heads must divide the width, and dropout be in [0, 1). Received: width={width}, "
            f"heads={heads}, dropout={dropout}"
        )
    tokens = keras.Input((places,), dtype="int32")
    others = [] if condition is None else [keras.Input((condition,), name="condition")]
    x = layers.Embedding(entries + 1, width, name=f"{name}_embedding")(tokens)
    x = StepPositions(places, name=f"{name}_positions")(x)
    for y in others:
        told = layers.Dense(width, use_bias=False, name=f"{name}_condition")(y)
        x = layers.Add(name=f"{name}_told")([x, layers.RepeatVector(places, name=f"{name}_repeat")(told)])
    x = Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x
    every = ops.ones_like(x[..., 0])
    for i in range(1, depth + 1):
        x = StepBlock(heads, mlp_ratio, causal=True, name=f"{name}_block_{i}")((x, every))
    x = layers.Dense(entries, name=f"{name}_logits")(TokenNorm(name=f"{name}_norm")(x))
    return network(tokens, others, x, name)
