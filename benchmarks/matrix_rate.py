"""The ceiling that the benchmarks are held against: how fast this machine multiplies matrices."""

import time

import tensorflow as tf


def matrix_rate(dtype="float32", *, repeats, size=2048):
    """FLOP/s of a square matrix product."""
    a = tf.cast(tf.random.normal((size, size)), dtype)
    (a @ a).numpy()
    began = time.perf_counter()
    for _ in range(repeats):
        product = a @ a
    product.numpy()
    return repeats * 2 * size**3 / (time.perf_counter() - began)
