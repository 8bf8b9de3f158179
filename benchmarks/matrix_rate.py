"""Measure how fast this machine multiplies matrices and copies memory, as upper limits for the benchmarks."""

import time
import timeit
from collections import Counter

import tensorflow as tf


def matrix_rate(dtype="float32", *, repeats, size=2048):
    """Measure the FLOP/s of a square matrix product."""
    a = tf.cast(tf.random.normal((size, size)), dtype)
    (a @ a).numpy()
    began = time.perf_counter()
    for _ in range(repeats):
        product = a @ a
    product.numpy()
    return repeats * 2 * size**3 / (time.perf_counter() - began)


def layer_rate(layers, dtype="float32", *, repeats):
    """Measure the FLOP/s of linear layers' matrix products, forward and both gradients, layer by layer.

    Args:
        layers: list of (rows, inputs, outputs).
    """
    operations = seconds = 0.0
    for (rows, inputs, outputs), count in Counter(layers).items():
        x, w, y = (
            tf.cast(tf.random.normal(size), dtype) for size in ((rows, inputs), (inputs, outputs), (rows, outputs))
        )
        products = tf.function(lambda x, w, y: (x @ w, tf.matmul(y, w, False, True), tf.matmul(x, y, True)))
        operations += count * 6 * rows * inputs * outputs
        seconds += count * quickest(products, (x, w, y), repeats)
    return operations / seconds


def quickest(function, arguments, repeats):
    """Time `repeats` calls of a TensorFlow function after a warm-up; return the fastest in seconds."""
    function(*arguments)
    return min(timeit.repeat(lambda: function(*arguments)[-1].numpy(), number=1, repeat=repeats))


def copy_rate(*, repeats, size=1 << 26):
    """Measure the bytes/s that adding one to `size` float32 values reads and writes."""
    values = tf.zeros(size)
    (values + 1.0)[0].numpy()
    began = time.perf_counter()
    for _ in range(repeats):
        result = values + 1.0
    result[0].numpy()
    return repeats * 8 * size / (time.perf_counter() - began)
