"""Sums in lanes against NumPy in float64, and what XLA makes of the loops that use them."""

import platform

import numpy as np
import pytest
import tensorflow as tf

from kerasae.ops import activations, normalization, reductions

RNG = np.random.default_rng(0)
LOOPS = {
    "gelu": (activations.gelu_loops()[0], "x"),
    "gelu's slope": (activations.gelu_loops()[1], "xx"),
    "norm": (normalization.norm_loops(1e-6)[0], "xss"),
    "norm's slope": (normalization.norm_loops(1e-6)[1], "xsx"),
}


@pytest.mark.parametrize("lanes", [True, False])
@pytest.mark.parametrize("length", [1, 5, 16, 17, 65, 192])
@pytest.mark.parametrize("static", [True, False])
def test_lanes_lose_no_value(length, static, lanes, monkeypatch):
    monkeypatch.setattr(reductions, "on_cpu", lambda: lanes)
    x = RNG.normal(size=(3, 4, length)).astype("float32")
    wide = x.astype("float64")
    for ours, exact in (
        (reductions.sum_of_last, wide.sum(axis=-1, keepdims=True)),
        (reductions.sum_of_rows, wide.sum(axis=(0, 1))),
    ):
        shape = [3 if static else None, 4, length]
        found = tf.function(ours, jit_compile=True, input_signature=[tf.TensorSpec(shape)])(x)
        assert found.shape == exact.shape
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-5)


def test_a_length_that_is_not_known():
    x = RNG.normal(size=(3, 40)).astype("float32")
    found = tf.function(reductions.sum_of_last, input_signature=[tf.TensorSpec([None, None])])
    np.testing.assert_allclose(found(x), x.sum(axis=-1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("length", [10, 65, 192])
def test_no_loop_calls_the_library_that_two_threads_may_not_enter(loop, dtype, length):
    """XLA hands it sums of 32,768 values and more; see `kerasae.ops.reductions`."""
    x, scale = tf.ones((64, 65, length), dtype) * 0.5, tf.ones(length)
    function, takes = LOOPS[loop]
    program = function.experimental_get_compiler_ir(*({"x": x, "s": scale}[which] for which in takes))
    assert "ynn" not in program(stage="optimized_hlo").lower()


def test_the_library_would_show():
    """Plain sums go there, or the test above proves nothing."""
    if not (tf.__version__.startswith("2.21") and platform.machine() == "x86_64" and reductions.on_cpu()):
        pytest.skip("seen with TensorFlow 2.21 on x86 only")
    plain = tf.function(lambda x: tf.reduce_sum(x, axis=-1), jit_compile=True)
    program = plain.experimental_get_compiler_ir(tf.ones((64, 65, 192)))(stage="optimized_hlo")
    assert "ynn" in program.lower()
