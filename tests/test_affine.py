"""The linear layer against a transcription in float64: values and gradients, in every type."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasae.layers import TransformerBlock
from kerasae.ops import affine

RNG = np.random.default_rng(0)
X, KERNEL, BIAS, ABOVE = (RNG.normal(size=shape) for shape in ((70, 12), (12, 5), (5,), (70, 5)))


# Not the plain layer in narrow types: TensorFlow's own gradient of the bias is 2 % off in bfloat16 for these 70 rows.
CASES = [("float32", 1e-6, True), ("float32", 1e-6, False), ("bfloat16", 2**-8, True), ("float16", 2**-10, True)]


@pytest.mark.parametrize("compiled", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("dtype", "tolerance", "training"), CASES)
def test_values_and_gradients(dtype, tolerance, training, compiled):
    def both(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            y = affine(*arguments, training)
        return y, *tape.gradient(y, arguments, output_gradients=tf.cast(ABOVE, dtype))

    run = both if compiled == "eager" else tf.function(both, jit_compile=compiled == "xla")
    given = [tf.cast(value, dtype) for value in (X, KERNEL, BIAS)]
    found = run(*given)
    assert all(value.dtype == dtype for value in found)
    x, kernel, bias, above = (np.asarray(tf.cast(value, "float64")) for value in (*given, tf.cast(ABOVE, dtype)))
    expected = (x @ kernel + bias, above @ kernel.T, x.T @ above, above.sum(0))
    for ours, exact in zip(found, expected, strict=True):
        assert ours.shape == exact.shape
        np.testing.assert_allclose(tf.cast(ours, "float64"), exact, rtol=tolerance, atol=8 * tolerance)


def test_a_long_column_is_added_in_float32():
    """4096 ones: bfloat16 alone stops counting at 256."""
    rows = tf.ones((4096, 3), "bfloat16")
    bias = tf.zeros(3, "bfloat16")
    with tf.GradientTape() as tape:
        tape.watch(bias)
        y = affine(rows, tf.ones((3, 3), "bfloat16"), bias, training=True)
    assert tape.gradient(y, bias, output_gradients=rows).numpy().tolist() == [4096] * 3


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2**-6)])
def test_a_block_trains_as_it_predicts(policy, tolerance):
    """The gradient of every weight of a block is that of the plain layers, and of the same type."""
    block = TransformerBlock(heads=2, dtype=policy)
    x = tf.constant(RNG.normal(size=(4, 7, 8)), tf.float32)
    block(x)
    for weight in block.weights:
        weight.assign(RNG.normal(0.0, 0.5, weight.shape))
    found, plain = (gradients(block, x, training) for training in (True, False))
    for ours, exact in zip(found, plain, strict=True):
        assert ours.dtype == exact.dtype == "float32"
        np.testing.assert_allclose(ours, exact, rtol=tolerance, atol=tolerance * float(tf.reduce_max(tf.abs(exact))))


def gradients(block, x, training):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(tf.cast(block(x, training=training), "float32")))
    return tape.gradient(loss, [weight.value for weight in block.trainable_weights])


@pytest.mark.parametrize("last", [None, 2])
def test_quantised_layers_still_run(last):
    block = TransformerBlock(heads=2)
    x = tf.constant(RNG.normal(size=(4, 7, 8)), tf.float32)
    before = block(x).numpy()
    for layer in block._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dense):
            layer.quantize("int8")
    found = block(x, training=True, last=last)
    np.testing.assert_allclose(found, before[:, -(last or 7) :], atol=0.1 * np.abs(before).max())
