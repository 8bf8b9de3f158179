"""Encode a whole data set batch by batch, so that codes can be written as they come."""

from collections.abc import Iterator

import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.probe import conditional_outputs, outputs, public_method


def embedded(
    model, split, batch_size: int = 256, *, tokens: bool = False, indices: bool = False
) -> Iterator[np.ndarray]:
    """Compute the codes of a split in its order, some at a time: float32 [n, *code_shape].

    Args:
        model: anything with `encode(x)`; a conditional one is given the labels.
        split: a split of a `kerasae.data` source.
        batch_size: examples encoded at once.
        tokens: all tokens of a vision transformer, [n, T, D], in place of codes.
        indices: the indices of codebook entries, [n, ...] as whole numbers in float32, in place of codes.

    Raises:
        InputError: the model has no tokens or indices, is asked for both, or takes a condition where an example has no
            label.

    Example:
        >>> codes = embedded(model, source.test)
        >>> next(codes).shape
        (256, 32)
    """
    if tokens and not getattr(model, "has_tokens", False):
        raise InputError(f"tokens: {type(model).__name__} has none; expected a masked autoencoder; leave it out.")
    if indices and (tokens or not getattr(model, "has_indices", False)):
        raise InputError(
            f"indices: expected a vector-quantized model, without tokens. Received: {type(model).__name__}"
        )
    name = "tokens" if tokens else "indices" if indices else "encode"
    if getattr(model, "needs_condition", False):
        return (codes for _, _, codes in conditional_outputs(model, name, split, batch_size))
    function = public_method(model, name)
    return (codes for _, _, codes in outputs(function, split, batch_size))
