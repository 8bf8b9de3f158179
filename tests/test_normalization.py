"""Layer normalisation against a transcription in float64: values and gradients, fused and plain, in every type."""

import numpy as np
import pytest
import tensorflow as tf

from kerasae.layers import TokenNorm
from kerasae.ops import layer_norm

RNG = np.random.default_rng(0)
X, ABOVE = RNG.normal(2.0, 3.0, (2, 5, 12)), RNG.normal(size=(2, 5, 12))
SCALE, OFFSET, EPSILON = RNG.normal(1.0, 0.5, 12), RNG.normal(size=12), 0.1


def transcription(x):
    """Values, and gradients of Σ above · values, by the quotient rule written out element by element."""
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + EPSILON)
    normal = (x - x.mean(axis=-1, keepdims=True)) / deviation
    jacobian = np.eye(12) - 1 / 12 - normal[..., :, None] * normal[..., None, :] / 12  # times 1 / deviation
    dx = np.einsum("btij,btj->bti", jacobian, ABOVE * SCALE) / deviation
    return normal * SCALE + OFFSET, dx, (ABOVE * normal).sum((0, 1)), ABOVE.sum((0, 1))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("bfloat16", 2**-6), ("float16", 2**-9)])
def test_values_and_gradients(dtype, tolerance, compiled, training):
    def both(x, scale, offset):
        with tf.GradientTape() as tape:
            tape.watch((x, scale, offset))
            y = layer_norm(x, scale, offset, EPSILON, training)
        return y, *tape.gradient(y, (x, scale, offset), output_gradients=tf.cast(ABOVE, dtype))

    run = both if compiled == "eager" else tf.function(both, jit_compile=compiled == "xla")
    x = tf.cast(X, dtype)
    found = run(x, tf.constant(SCALE, tf.float32), tf.constant(OFFSET, tf.float32))
    assert found[0].dtype == found[1].dtype == dtype and found[2].dtype == found[3].dtype == tf.float32
    for ours, exact in zip(found, transcription(np.asarray(tf.cast(x, "float64"))), strict=True):
        np.testing.assert_allclose(tf.cast(ours, "float64"), exact, rtol=tolerance, atol=20 * tolerance)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_layer_trains_as_it_predicts(policy):
    layer = TokenNorm(EPSILON, dtype=policy)
    x = tf.constant(X, tf.float32)
    outputs = [tf.cast(layer(x, training=training), tf.float32) for training in (True, False)]
    assert [w.dtype for w in layer.weights] == ["float32", "float32"]
    np.testing.assert_allclose(*outputs, rtol=1e-5 if policy == "float32" else 2**-7, atol=1e-6)
