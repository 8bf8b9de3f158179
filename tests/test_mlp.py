"""The network of a block against a transcription in float64: values and gradients, in every type.

That backward keeps no more than it should, `test_plan` counts.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from kerasae.ops import mlp

RNG = np.random.default_rng(0)
GIVEN = [RNG.normal(0.0, 0.5, shape) for shape in ((70, 12), (12, 24), (24,), (24, 5), (5,))]
ABOVE = RNG.normal(size=(70, 5))


def transcribed(x, kernel1, bias1, kernel2, bias2, above):
    """Value, then the gradients of the five arguments."""
    hidden = x @ kernel1 + bias1
    active = hidden * norm.cdf(hidden)
    inner = (above @ kernel2.T) * (norm.cdf(hidden) + hidden * norm.pdf(hidden))
    gradients = (inner @ kernel1.T, x.T @ inner, inner.sum(0), active.T @ above, above.sum(0))
    return active @ kernel2 + bias2, *gradients


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2**-22), ("bfloat16", 2**-8), ("float16", 2**-11)])
def test_values_and_gradients(dtype, unit, compiled, training):
    def both(x, kernel1, bias1, kernel2, bias2):
        with tf.GradientTape() as tape:
            tape.watch(given := (x, kernel1, bias1, kernel2, bias2))
            y = mlp(x, (kernel1, kernel2), (bias1, bias2), training)
        return y, *tape.gradient(y, given, output_gradients=tf.cast(ABOVE, dtype))

    run = both if compiled == "eager" else tf.function(both, jit_compile=compiled == "xla")
    given = [tf.cast(value, dtype) for value in GIVEN]
    found = run(*given)
    exact = transcribed(*(np.asarray(tf.cast(value, "float64")) for value in (*given, tf.cast(ABOVE, dtype))))
    if not training and dtype == "bfloat16":
        found, exact = found[:2], exact[:2]  # TensorFlow's own sums over rows are in bfloat16
    for ours, expected in zip(found, exact, strict=True):
        assert ours.dtype == dtype and ours.shape == expected.shape
        room = 8 * unit * abs(expected).max()
        np.testing.assert_allclose(tf.cast(ours, "float64"), expected, rtol=8 * unit, atol=room)
