"""The gradients of a batch from parts of it: one after the other to save memory, or some at once on a CPU's cores."""

import tensorflow as tf

from kerasae.errors import InputError


def accumulate(gradients_of, x, y, parts, at_once, weights, terms):
    """What `gradients_of` gives for a batch, with the activations of few parts of it in memory at a time.

    The mean of equal parts' gradients is the batch's gradient where the loss is a mean over examples. Their shares are
    added in the order of the parts, which also draw their random numbers in that order, however many are computed at
    once: the result is the same to the bit.

    Args:
        gradients_of: function (x, y, parts) → (gradients, loss, terms): a tensor or None per weight, of the loss
            divided by `parts`; a float32 scalar; and a dict with a float32 [b, ...] for each of `terms`.
        x, y: the batch [B, ...] and its labels [B, ...], or None.
        parts: number of parts; must divide B.
        at_once: number of parts whose activations may be in memory together.
        weights: the variables that the gradients belong to.
        terms: dict of their names and shapes, without the batch.

    Returns:
        (gradients, loss, terms): the sum over the parts of the first, the mean of the second, and each term [B, ...].

    Raises:
        InputError: if B is known, and parts do not divide it.
    """
    if x.shape[0] is not None and x.shape[0] % parts:
        raise InputError(f"micro_batches must divide the batch. Received: {parts} for a batch of {x.shape[0]}")
    cut = [None if v is None else tf.reshape(v, [parts, -1, *v.shape[1:]]) for v in (x, y)]

    def add(i, sums, loss, found):
        gradients, part, values = gradients_of(*(None if v is None else v[i] for v in cut), parts)
        sums = [s if g is None else s + tf.convert_to_tensor(g) for s, g in zip(sums, gradients, strict=True)]
        return i + 1, sums, loss + part, {name: found[name].write(i, values[name]) for name in terms}

    empty = {name: tf.TensorArray(tf.float32, parts, element_shape=[None, *shape]) for name, shape in terms.items()}
    start = (tf.constant(0), [tf.zeros_like(w) for w in weights], tf.constant(0.0), empty)
    _, sums, loss, found = tf.while_loop(lambda i, *_: i < parts, add, start, parallel_iterations=at_once)
    return sums, loss / parts, {name: tf.reshape(found[name].stack(), [-1, *shape]) for name, shape in terms.items()}
