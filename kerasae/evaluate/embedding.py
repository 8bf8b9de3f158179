"""Encode a whole data set batch by batch, so that codes can be written as they come."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.evaluate.probe import example_batches, outputs, public_method


def embedded(model, split, batch_size: int = 256, *, tokens: bool = False) -> Iterator[np.ndarray]:
    """Compute the codes of a split in its order, some at a time: float32 [n, *code_shape].

    Args:
        model: anything with `encode(x)`; a conditional one is given the labels.
        split: a split of a `kerasae.data` source.
        batch_size: examples encoded at once.
        tokens: all tokens of a vision transformer, [n, T, D], in place of codes.

    Raises:
        InputError: the model has no tokens, or takes a condition where an example has no label.

    Example:
        >>> codes = embedded(model, source.test)
        >>> next(codes).shape
        (256, 32)
    """
    if tokens and not getattr(model, "has_tokens", False):
        raise InputError(f"tokens: {type(model).__name__} has none; expected a masked autoencoder; leave it out.")
    if getattr(model, "conditional", False):
        return _conditional(model, split, batch_size)
    function = public_method(model, "tokens" if tokens else "encode")
    return (codes for _, _, codes in outputs(function, split, batch_size))


def _conditional(model, split, batch_size: int) -> Iterator[np.ndarray]:
    if split.labels is None or (split.labels < 0).any():
        raise InputError("data: the model takes a class with every example, but some have none; give labelled data.")

    def call(x, y):
        return tf.cast(model.encode(x, y), tf.float32)

    signature = [tf.TensorSpec([None, *split.shape], split.dtype), tf.TensorSpec([None], tf.int64)]
    step = tf.function(call, signature, autograph=False)
    return (step(x, y).numpy() for x, y in example_batches(split, batch_size))
