"""Network builders: shapes of every kind, values against NumPy, mistakes named."""

import math

import keras
import numpy as np
import pytest
from scipy.special import expit

from kerasae.errors import InputError
from kerasae.layers import TiedDense, tie_all
from kerasae.networks import conv, dense

SIZES = [(1, 1, 1), (1, 5, 1), (5, 7, 2), (8, 8, 1), (13, 6, 4), (1, 2), (13, 2), (16, 1), (5, 6, 9, 2)]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("stages", [1, 3])
def test_conv_gives_every_size_back(shape, stages):
    if 2 ** (stages - 1) >= max(shape[:-1]):
        with pytest.raises(InputError, match="at most"):
            conv(shape, 2, (2,) * stages)
        return
    encoder, decoder = conv(shape, 2, (2,) * stages)
    halvings = [layer.output.shape[1:-1] for layer in encoder.layers if "_encode_" in layer.name]
    assert halvings == [tuple(-(-n // 2**i) for n in shape[:-1]) for i in range(1, stages + 1)]
    assert decoder.output_shape == (None, *shape) and encoder.output_shape == (None, 2)


@pytest.mark.parametrize("shape", [(7, 1), (5, 7, 1), (3, 5, 4, 1)])
def test_conv_reaches_every_value_of_an_odd_size(shape):
    """Cropping may not leave a row or column that the code cannot change."""
    encoder, decoder = conv(shape, 3, (4, 4), activation="linear")
    z, values = np.eye(3, dtype="float32"), math.prod(shape)
    assert np.abs(np.asarray(decoder(z))).max(axis=0).min() > 0
    x = np.eye(values, dtype="float32").reshape(values, *shape)
    assert np.abs(np.asarray(encoder(x)) - np.asarray(encoder(0 * x))).max(axis=1).min() > 0


def test_conv_is_correlation_with_stride_two():
    encoder, _ = conv((4, 6, 2), 3, (5,), kernel=1, activation="relu")
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 2)).astype("float32")
    first, code = (layer.get_weights() for layer in encoder.layers if layer.weights)
    hidden = np.maximum(x[:, ::2, ::2] @ first[0][0, 0] + first[1], 0)
    np.testing.assert_allclose(encoder(x), hidden.reshape(2, -1) @ code[0] + code[1], rtol=1e-4, atol=1e-5)


def test_conv_of_a_signal_is_correlation_with_stride_two():
    encoder, _ = conv((6, 2), 3, (5,), kernel=1, activation="relu")
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    first, code = (layer.get_weights() for layer in encoder.layers if layer.weights)
    hidden = np.maximum(x[:, ::2] @ first[0][0] + first[1], 0)
    np.testing.assert_allclose(encoder(x), hidden.reshape(2, -1) @ code[0] + code[1], rtol=1e-4, atol=1e-5)


def test_conv_decoder_mirrors_the_encoder():
    encoder, decoder = conv((12, 8, 3), 4, (5, 6), kernel=3, widths=(7, 9))
    weights = [[layer.get_weights()[0].shape for layer in part.layers if layer.weights] for part in (encoder, decoder)]
    assert weights[0] == [(3, 3, 3, 5), (3, 3, 5, 6), (3 * 2 * 6, 7), (7, 9), (9, 4)]
    assert weights[1] == [(4, 9), (9, 7), (7, 3 * 2 * 6), (3, 3, 5, 6), (3, 3, 3, 5)]


@pytest.mark.parametrize("shape", [(7,), (3, 4), (3, 2, 2), 7])
@pytest.mark.parametrize("widths", [(), (5,), (5, 4, 3)])
def test_dense_takes_any_shape_and_any_widths(shape, widths):
    encoder, decoder = dense(shape, 2, widths)
    shape = (shape,) if isinstance(shape, int) else shape
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    assert decoder(encoder(x)).shape == x.shape
    sizes = [int(np.prod(shape)), *widths, 2]
    kernels = [w.shape for w in encoder.weights if w.path.endswith("kernel")]
    assert kernels == list(zip(sizes, sizes[1:], strict=False))
    mirrored = [w.shape for w in decoder.weights if w.path.endswith("kernel")]
    assert mirrored == [(b, a) for a, b in reversed(kernels)]


def test_dense_is_the_product_that_it_says():
    encoder, decoder = dense((3, 2), 2, (4,), activation="tanh", code_activation="sigmoid")
    x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")
    w1, b1, w2, b2 = encoder.get_weights()
    code = expit(np.tanh(x.reshape(5, 6) @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(encoder(x), code, rtol=1e-5)
    v1, c1, v2, c2 = decoder.get_weights()
    expected = np.tanh(code @ v1 + c1) @ v2 + c2
    np.testing.assert_allclose(decoder(code), expected.reshape(5, 3, 2), rtol=1e-4, atol=1e-6)


def test_dense_tied_uses_the_mirrored_layer():
    encoder, decoder = dense((6,), 2, (4,), activation="tanh", tied=True)
    tie_all(decoder, encoder)
    w1, _, w2, _ = encoder.get_weights()
    z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    np.testing.assert_allclose(decoder(z), np.tanh(z @ w2.T) @ w1.T, rtol=1e-4, atol=1e-6)
    assert [layer.tied_to for layer in decoder.layers if isinstance(layer, TiedDense)] == [
        "dense_encode_2",
        "dense_encode_1",
    ]


def test_linear_dense_without_hidden_layers_is_affine():
    encoder, decoder = dense((6,), 2, ())
    x, y = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    f = lambda v: np.asarray(decoder(encoder(v)), dtype=float)  # noqa: E731
    np.testing.assert_allclose(f(0.3 * x + 0.7 * y), 0.3 * f(x) + 0.7 * f(y), atol=1e-5)


def test_numbers_per_code_and_per_value_multiply_the_outputs_only():
    encoder, decoder = dense((3, 2), 4, (5,), posterior="gaussian", pixel_parameters=3)
    assert encoder.output_shape == (None, 8) and decoder.input_shape == (None, 4)
    assert decoder.output_shape == (None, 3, 6)
    encoder, decoder = conv((4, 4, 2), 4, (5,), posterior="gaussian", pixel_parameters=3)
    assert encoder.output_shape == (None, 8) and decoder.output_shape == (None, 4, 4, 6)


def test_kernel_initializer_reaches_every_kernel():
    for part in dense((6,), 2, (4,), kernel_initializer="zeros"):
        assert not any(np.any(weight) for weight in part.get_weights())


def test_fan_in_bounds_first_weights_by_the_number_of_inputs_and_what_follows():
    """Uniform with the variance 2 / F before a rectifier and 1 / F elsewhere, so that the bound is √(3 · variance)."""
    for part in dense((50,), 4, (300,), kernel_initializer="fan_in"):
        first, last = (layer for layer in part.layers if isinstance(layer, keras.layers.Dense))
        for layer, variance in ((first, 2), (last, 1)):
            bound = np.sqrt(3 * variance / layer.kernel.shape[0])
            assert 0.98 * bound < np.abs(layer.kernel).max() <= bound


@pytest.mark.parametrize("build", [dense, conv])
def test_every_kernel_is_decayed_and_no_bias(build):
    sizes = ((4, 3, 1), 2, (5, 3))
    encoder, decoder = build(*sizes, kernel_regularizer=keras.regularizers.L1L2(0.5, 0.25))
    for part in (encoder, decoder):
        kernels = [np.asarray(w) for w in part.weights if len(w.shape) > 1]
        expected = sum(0.5 * np.abs(k).sum() + 0.25 * np.square(k).sum() for k in kernels)
        assert float(sum(part.losses)) == pytest.approx(expected, rel=1e-5) and len(kernels) >= 3
    assert not any(part.losses for part in build(*sizes))


@pytest.mark.parametrize("build", [dense, conv])
def test_dropped_codes_are_those_of_dropout_and_only_in_training(build):
    """The decoder's first layer hands on z / (1 − rate) or zero."""
    _, decoder = build((4, 3, 1), 50, (5,), code_dropout=0.4)
    dropout = next(layer for layer in decoder.layers if layer.name.endswith("code_dropout"))
    z = np.linspace(1, 2, 100, dtype="float32").reshape(2, 50)
    kept = np.asarray(dropout(z, training=True))
    np.testing.assert_allclose(kept[kept != 0], (z / 0.6)[kept != 0], rtol=1e-6)
    assert 0.2 < np.mean(kept == 0) < 0.6
    np.testing.assert_array_equal(decoder(z), decoder(z))
    assert np.any(np.asarray(decoder(z, training=True)) != np.asarray(decoder(z)))


MISTAKES = {
    "dense: code_dropout": lambda: dense((4,), 2, code_dropout=1.0),
    "conv: code_dropout": lambda: conv((4, 4, 1), 2, code_dropout=-0.1),
    "dense: shape": lambda: dense((2, 2, 2, 2, 2), 3),
    r"dense: shape.*\(0,\)": lambda: dense((0,), 3),
    r"dense: shape.*None": lambda: dense((None, 3), 3),
    "dense: code": lambda: dense((4,), 0),
    "dense: widths": lambda: dense((4,), 2, (3, -1)),
    r"dense: widths.*512": lambda: dense((4,), 2, (512.0,)),
    "posterior.*cauchy": lambda: dense((4,), 2, posterior="cauchy"),
    "dense: condition": lambda: dense((4,), 2, condition=0),
    "dense: pixel_parameters": lambda: dense((4,), 2, pixel_parameters=0),
    "dense: tied": lambda: dense((4,), 2, tied=True, posterior="gaussian"),
    "dense: tied=": lambda: dense((4,), 2, tied=True, pixel_parameters=2),
    "conv: shape": lambda: conv((4,), 2),
    "conv: code": lambda: conv((4, 4, 1), 2.5),
    "conv: filters": lambda: conv((4, 4, 1), 2, ()),
    r"conv: filters.*0": lambda: conv((4, 4, 1), 2, (3, 0)),
    "conv: kernel": lambda: conv((4, 4, 1), 2, kernel=0),
    "conv: widths": lambda: conv((4, 4, 1), 2, widths=(0,)),
    "conv: condition": lambda: conv((4, 4, 1), 2, condition=0),
    "conv: pixel_parameters": lambda: conv((4, 4, 1), 2, pixel_parameters=0),
    "at most 2 filters": lambda: conv((4, 4, 1), 2, (3, 3, 3)),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_named(words):
    with pytest.raises(InputError, match=words):
        MISTAKES[words]()
