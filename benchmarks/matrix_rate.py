"""The ceilings that the benchmarks are held against: how fast this machine multiplies matrices and moves memory."""

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


def copy_rate(*, repeats, size=1 << 26):
    """Bytes per second that adding one to `size` float32 values reads and writes."""
    values = tf.zeros(size)
    (values + 1.0)[0].numpy()
    began = time.perf_counter()
    for _ in range(repeats):
        result = values + 1.0
    result[0].numpy()
    return repeats * 8 * size / (time.perf_counter() - began)
