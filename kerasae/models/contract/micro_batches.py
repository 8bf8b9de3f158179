"""Gradients accumulated over micro-batches: one at a time to save memory, or several at once on a CPU's cores."""

import functools
from typing import NamedTuple

import tensorflow as tf

from kerasae.errors import InputError
from kerasae.models.contract.terms import Found


class Computed(NamedTuple):
    """Hold the gradients, the loss and the terms of a batch or a micro-batch.

    Attributes:
        gradients: a tensor or None per weight, scaled as the optimisers take them.
        loss: float32 scalar, of the first player.
        found: `Found`, whose terms are the values to be logged.
    """

    gradients: list
    loss: tf.Tensor
    found: Found


def accumulate(compute, batch, parts, at_once=1, static=False):
    """Accumulate the gradients of a batch over micro-batches, with the activations of few in memory at a time.

    Gradients are added, and random numbers drawn, in the order of the parts, however many are computed at once: the
    result is the same to the bit. Where the parts do not divide the batch, the last is smaller.

    Args:
        compute: function (batch, share) → `Computed`, of the loss times `share`, the part's share of the examples;
            the terms are [b], no `Statistic`.
        batch: `Batch` or another nested structure of tensors [B, ...].
        parts: number of parts, at most.
        at_once: number of parts whose activations may be in memory together.
        static: whether all parts must have one size, as XLA needs it.

    Returns:
        `Computed`: gradients and sums added up, the mean loss, terms and rows [B, ...].

    Raises:
        InputError: if `static`, and parts do not divide a known B.
    """
    structure, leaves = batch, [v for v in tf.nest.flatten(batch) if v is not None]
    known, count = leaves[0].shape[0], tf.shape(leaves[0])[0]
    if static and known and known % parts:
        raise InputError(f"micro_batches must divide the batch under XLA. Received: {parts} for a batch of {known}")
    size = -(-count // parts)
    whole = static or (known is not None and known % parts == 0)
    part_of = _equal_parts(leaves, parts) if whole else lambda i: [v[i * size : (i + 1) * size] for v in leaves]

    @functools.partial(tf.function, autograph=False)  # traced once, for the loop and for the output shapes
    def traced(leaves, share):
        rest = iter(leaves)
        flat = [v if v is None else next(rest) for v in tf.nest.flatten(structure)]
        return compute(tf.nest.pack_sequence_as(structure, flat), share)

    example = tf.nest.map_structure(_spec, part_of(tf.constant(0)))
    shapes = traced.get_concrete_function(example, tf.TensorSpec((), tf.float32)).structured_outputs

    def add(i, gradients, loss, sums, rows):
        part = part_of(i)
        share = tf.shape(part[0])[0] / count
        one = traced(part, tf.cast(share, tf.float32))
        gradients = [s if g is None else s + g for s, g in zip(gradients, one.gradients, strict=True)]
        sums = {name: total + one.found.sums[name] for name, total in sums.items()}
        found = {**one.found.terms, **one.found.rows}
        rows = {name: array.write(i, found[name]) for name, array in rows.items()}
        return i + 1, gradients, loss + one.loss * tf.cast(share, tf.float32), sums, rows

    turns = tf.constant(parts) if whole else -(-count // size)
    joined = {**shapes.found.terms, **shapes.found.rows}
    start = (
        tf.constant(0),
        [tf.constant(0.0) if g is None else tf.zeros(g.shape, g.dtype) for g in shapes.gradients],
        tf.constant(0.0),
        {name: tf.zeros(s.shape, s.dtype) for name, s in shapes.found.sums.items()},
        {name: _array(s, turns) for name, s in joined.items()},
    )
    _, gradients, loss, sums, rows = tf.while_loop(lambda i, *_: i < turns, add, start, parallel_iterations=at_once)
    gradients = [None if s is None else g for s, g in zip(shapes.gradients, gradients, strict=True)]
    rows = {name: _join(array, joined[name], whole) for name, array in rows.items()}
    terms = {name: rows.pop(name) for name in shapes.found.terms}
    return Computed(gradients, loss, Found(terms, sums, rows))


def _equal_parts(leaves, parts):
    """Return a function of i → micro-batch i of `parts` of equal size."""
    stacked = [tf.reshape(v, [parts, -1, *v.shape[1:]]) for v in leaves]
    return lambda i: [v[i] for v in stacked]


def _spec(tensor):
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _array(spec, turns):
    return tf.TensorArray(spec.dtype, turns, element_shape=[None, *spec.shape[1:]], infer_shape=False)


def _join(array, spec, whole):
    return tf.reshape(array.stack(), [-1, *spec.shape[1:]]) if whole else array.concat()
