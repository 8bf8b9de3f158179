"""GELU and softmax against SciPy: values and derivatives in every type."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax as exact_softmax
from scipy.stats import norm

from kerasae.ops import exact_gelu, softmax

X = np.concatenate([np.linspace(-8, 8, 801), [0.0, 30.0, -30.0]])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 2**-7), ("float16", 2**-10), ("float64", 1e-12)]
)
def test_gelu_and_its_derivative(dtype, tolerance, compiled, training):
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = exact_gelu(x, training=training)
        return y, tape.gradient(y, x, output_gradients=tf.fill(x.shape, tf.cast(3.0, dtype)))

    x = tf.cast(X, dtype)
    run = both if compiled == "eager" else tf.function(both, jit_compile=compiled == "xla")
    y, slope = run(x)
    exact = np.asarray(tf.cast(x, "float64"))
    assert y.dtype == slope.dtype == dtype
    # erf is rounded at 1, so that errors grow with |x|; the derivative is 3 times larger.
    error, room = np.abs(np.asarray(tf.cast(y, "float64")) - exact * norm.cdf(exact)), tolerance * (1 + np.abs(exact))
    assert np.all(error <= room)
    derivative = 3 * (norm.cdf(exact) + exact * norm.pdf(exact))
    assert np.all(np.abs(np.asarray(tf.cast(slope, "float64")) - derivative) <= 3 * room)


def test_gelu_keeps_the_shape_that_it_knows():
    """Layers that follow read static shapes, also behind the fused loops."""
    seen = []

    @tf.function(input_signature=[tf.TensorSpec((None, 6), "float32")])
    def trace(x):
        seen.append(exact_gelu(x, training=True).shape)
        return exact_gelu(x, training=True)

    for count in (2, 5):
        x = np.random.default_rng(0).normal(size=(count, 6)).astype("float32")
        np.testing.assert_allclose(trace(x), exact_gelu(x), rtol=1e-5, atol=1e-6)
    assert [tuple(shape) for shape in seen] == [(None, 6)]


@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2**-20), ("bfloat16", 2**-8), ("float16", 2**-11)])
def test_softmax_and_its_derivative(dtype, unit, compiled):
    """Rounded once, at the end: of 4,096 equal shares a sum in bfloat16 would be off by more."""
    chance = np.random.default_rng(0)
    upstream = tf.cast(chance.normal(size=(3, 4096)), dtype)

    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = softmax(x)
        return y, tape.gradient(y, x, output_gradients=upstream)

    x = tf.cast(np.stack([np.zeros(4096), 3 * chance.normal(size=4096), np.linspace(-5, 5, 4096)]), dtype)
    run = both if compiled == "eager" else tf.function(both, jit_compile=compiled == "xla")
    y, slope = (np.asarray(tf.cast(found, "float64")) for found in run(x))
    exact, above = (np.asarray(tf.cast(values, "float64")) for values in (x, upstream))
    shares = exact_softmax(exact, axis=-1)
    least = 2.0**-24 if dtype == "float16" else 0.0  # what float16 can still tell from 0
    assert np.all(np.abs(y - shares) <= 4 * unit * shares + least)
    mean = (shares * above).sum(axis=-1, keepdims=True)
    spread = (shares * np.abs(above)).sum(axis=-1, keepdims=True) + np.abs(above)
    bound = (8 * unit * shares + 4 * least) * spread
    assert np.all(np.abs(slope - shares * (above - mean)) <= bound)
