"""Layers against their definition: rates and moments within binomial bounds, tied weights against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kerasae import models
from kerasae.errors import InputError
from kerasae.layers import (
    Corruption,
    Dropout,
    GaussianCorruption,
    MaskingCorruption,
    SaltAndPepperCorruption,
    TiedDense,
    tie_all,
)
from kerasae.networks import dense

X = np.random.default_rng(0).uniform(0.1, 0.9, (400, 250)).astype("float32")


def within_binomial_bounds(count, rate, total=X.size):
    """Whether a count is one that 99.99 % of fair draws give."""
    low, high = stats.binom.interval(0.9999, total, rate)
    return low <= count <= high


# ---- dropout


@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_dropout_drops_a_share_and_scales_the_rest(rate):
    layer = Dropout(rate, seed=1)
    out = np.asarray(layer(X, training=True))
    assert within_binomial_bounds((out == 0).sum(), rate)
    np.testing.assert_allclose(out[out != 0], X[out != 0] / (1 - rate), rtol=1e-6)
    assert (np.asarray(layer(X, training=True)) != out).any()  # another draw each time
    np.testing.assert_array_equal(layer(X), X)


def test_dropout_of_whole_examples():
    x = np.ones((2000, 3, 2), "float32")
    out = np.asarray(Dropout(0.25, noise_shape=(None, 1, 1), seed=1)(x, training=True))
    assert (out == out[:, :1, :1]).all() and within_binomial_bounds((out[:, 0, 0] == 0).sum(), 0.25, len(x))


# ---- corruption


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masking_zeroes_a_share_and_leaves_the_rest(rate):
    out = np.asarray(MaskingCorruption(rate, seed=1)(X))
    masked = out == 0
    assert within_binomial_bounds(masked.sum(), rate)
    np.testing.assert_array_equal(out[~masked], X[~masked])
    spread = masked.mean(axis=0).std() / np.sqrt(rate * (1 - rate) / len(X))
    assert 0.8 < spread < 1.2  # values are masked one by one, not in rows or columns


@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_salt_and_pepper_come_in_equal_shares(rate):
    out = np.asarray(SaltAndPepperCorruption(rate, seed=1)(X))
    salt, pepper = out == 1, out == 0
    assert within_binomial_bounds(salt.sum() + pepper.sum(), rate)
    assert within_binomial_bounds(salt.sum(), rate / 2) and within_binomial_bounds(pepper.sum(), rate / 2)
    np.testing.assert_array_equal(out[~salt & ~pepper], X[~salt & ~pepper])


@pytest.mark.parametrize("stddev", [0.1, 2.0])
def test_gaussian_corruption_adds_noise_of_that_size(stddev):
    noise = np.asarray(GaussianCorruption(stddev, seed=1)(X)) - X
    assert stats.kstest(noise.ravel() / stddev, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise.ravel(), X.ravel())[0, 1]) < 5 / np.sqrt(X.size)


def test_rate_zero_changes_nothing():
    np.testing.assert_array_equal(MaskingCorruption(0.0)(X), X)
    np.testing.assert_array_equal(SaltAndPepperCorruption(0.0)(X), X)


@pytest.mark.parametrize("layer", [MaskingCorruption, SaltAndPepperCorruption])
@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_rates_outside_the_range_are_refused(layer, rate):
    with pytest.raises(InputError, match=f"{layer.__name__}: rate"):
        layer(rate)


@pytest.mark.parametrize("stddev", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_that_is_not_positive_is_refused(stddev):
    with pytest.raises(InputError, match="stddev"):
        GaussianCorruption(stddev)


def test_a_corruption_of_ones_own_is_a_subclass():
    class Halve(Corruption):
        def corrupt(self, x, random):
            return 0.5 * x

    model = models.DenoisingAutoencoder(*dense((4,), 2, ()), corruption=Halve())
    x = X[:3, :4]
    z = model.encode(0.5 * x)
    expected = -np.asarray(model.likelihood.log_prob(model.decoder(z), x))
    np.testing.assert_allclose(model.objective(model.prepare(x))["reconstruction"], expected, rtol=1e-6)


# ---- tied weights


def tied_pair(activation=None):
    below = keras.layers.Dense(3, name="below")
    below.build((None, 5))
    layer = TiedDense(5, "below", activation=activation)
    layer.build((None, 3))
    layer.tie(below)
    return below, layer


def test_tied_dense_is_the_transposed_product():
    below, layer = tied_pair("tanh")
    x, b = np.random.default_rng(0).normal(size=(4, 3)).astype("float32"), np.arange(5, dtype="float32")
    layer.bias.assign(b)
    np.testing.assert_allclose(layer(x), np.tanh(x @ np.asarray(below.kernel).T + b), rtol=1e-5)


def test_tied_dense_owns_its_bias_only_and_passes_gradients_to_the_kernel():
    below, layer = tied_pair()
    assert [weight is layer.bias for weight in layer.weights] == [True]
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x))
    gradient = tape.gradient(total, below.kernel.value)
    np.testing.assert_allclose(gradient, np.tile(x.sum(0), (5, 1)), rtol=1e-5)


def test_tied_kernel_is_trained_by_both_sides():
    model = models.Autoencoder(*dense((5,), 3, (), tied=True))
    x, w = X[:6, :5], np.asarray(model.encoder.layers[-1].kernel, dtype=float)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    model.train_on_batch(x)
    error = (x @ w @ w.T - x) / len(x)  # of the mean over the batch of ½ |x W Wᵀ − x|²
    gradient = x.T @ error @ w + error.T @ x @ w
    np.testing.assert_allclose(model.encoder.layers[-1].kernel, w - 0.1 * gradient, rtol=1e-4, atol=1e-6)
    assert len(model.trainable_weights) == 3


def test_tied_weights_are_still_tied_after_loading(tmp_path):
    model = models.Autoencoder(*dense((5,), 2, (4,), tied=True))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    z = np.ones((1, 2), "float32")
    np.testing.assert_array_equal(again.decode(z), model.decode(z))
    for layer in (layer for layer in again.encoder.layers if layer.weights):
        before = np.asarray(again.decode(z))
        layer.kernel.assign_add(tf.ones_like(layer.kernel))
        assert np.abs(np.asarray(again.decode(z)) - before).max() > 1e-3
    assert again.count_params() == 5 * 4 + 4 + 4 * 2 + 2 + 4 + 5


def test_tie_all_joins_by_name_and_only_what_is_loose():
    encoder, decoder = dense((5,), 2, (4,), tied=True)
    loose = [layer for layer in decoder.layers if isinstance(layer, TiedDense)]
    assert [layer.tied for layer in loose] == [False, False]
    tie_all(decoder, encoder)
    assert [layer.tied for layer in loose] == [True, True]
    x = np.asarray(decoder(np.ones((1, 2), "float32")))
    tie_all(decoder, dense((5,), 2, (4,), tied=True)[0])  # already tied: another encoder changes nothing
    np.testing.assert_array_equal(decoder(np.ones((1, 2), "float32")), x)


def test_ties_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="not tied yet"):
        TiedDense(5, "below")(np.ones((1, 3), "float32"))
    _, decoder = dense((5,), 2, (), tied=True)
    with pytest.raises(InputError, match="no layer 'dense_encode_1'"):
        tie_all(decoder, dense((5,), 2, (), name="other")[0])
    with pytest.raises(InputError, match="units=5"):
        tie_all(decoder, dense((6,), 2, ())[0])
    with pytest.raises(InputError, match=r"\(5, 3\)"):
        tie_all(decoder, dense((5,), 3, ())[0])
