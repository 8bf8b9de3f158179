"""Likelihoods and pixels, against SciPy and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import expit, log_softmax, softmax

from kerasae.distributions import Bernoulli, Categorical, Gaussian, GaussianPerValue, LogisticMixture, likelihoods
from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.ops import sum_per_example, to_unit

RNG = np.random.default_rng(0)


def test_bernoulli_is_scipys():
    logits, x = RNG.normal(0, 3, (5, 4, 2)), RNG.integers(0, 2, (5, 4, 2))
    expected = stats.bernoulli.logpmf(x, expit(logits)).sum(axis=(1, 2))
    np.testing.assert_allclose(Bernoulli().log_prob(logits, x.astype("float32")), expected, rtol=1e-5)
    np.testing.assert_allclose(Bernoulli().mean(logits), expit(logits), rtol=1e-6)


def test_bernoulli_of_grey_values_is_the_cross_entropy():
    logits, x = RNG.normal(size=(5, 6)), RNG.uniform(size=(5, 6)).astype("float32")
    p = expit(logits)
    expected = (x * np.log(p) + (1 - x) * np.log1p(-p)).sum(1)
    np.testing.assert_allclose(Bernoulli().log_prob(logits, x), expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 3.0])
@pytest.mark.parametrize("squash", [False, True])
def test_gaussian_is_scipys(scale, squash):
    raw, x = RNG.normal(0, 2, (5, 3, 2)), RNG.uniform(size=(5, 3, 2)).astype("float32")
    mean = expit(raw) if squash else raw
    likelihood = Gaussian(scale, squash)
    expected = stats.norm.logpdf(x, mean, scale).sum(axis=(1, 2))
    np.testing.assert_allclose(likelihood.log_prob(raw, x), expected, rtol=1e-4)
    np.testing.assert_allclose(likelihood.mean(raw), mean, rtol=1e-6)


@pytest.mark.parametrize("levels", [2, 4, 17, 256])
def test_categorical_is_a_softmax_over_the_levels_of_each_channel(levels):
    level = RNG.integers(0, levels, (3, 2, 5, 2))
    raw = RNG.normal(0, 2, (3, 2, 5, 2 * levels))
    by_level = raw.reshape(3, 2, 5, 2, levels)  # the levels of a channel lie side by side
    expected = np.take_along_axis(log_softmax(by_level, -1), level[..., None], -1).sum(axis=(1, 2, 3, 4))
    likelihood = Categorical(levels)
    x = to_unit(level.astype("uint8"), levels - 1)
    np.testing.assert_allclose(likelihood.log_prob(raw, x), expected, rtol=1e-4)
    mean = (softmax(by_level, -1) * np.arange(levels) / (levels - 1)).sum(-1)
    np.testing.assert_allclose(likelihood.mean(raw.astype("float32")), mean, rtol=1e-4, atol=1e-6)


def test_categorical_finds_every_stored_value_again():
    stored = np.arange(256, dtype="uint8")[:, None]
    raw = np.where(np.eye(256), 50.0, 0.0).astype("float32")  # example i is sure of level i
    log_p = Categorical(256).log_prob(raw, to_unit(stored, 255.0))
    np.testing.assert_allclose(log_p, 0, atol=1e-4)


def test_probabilities_of_all_inputs_sum_to_one():
    bits = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T.astype("float32")
    raw = RNG.normal(size=(1, 3)).repeat(8, 0).astype("float32")
    assert np.exp(Bernoulli().log_prob(raw, bits)).sum() == pytest.approx(1, rel=1e-5)
    pairs = np.array(np.meshgrid(range(4), range(4))).reshape(2, -1).T
    raw = RNG.normal(size=(1, 8)).repeat(16, 0).astype("float32")
    assert np.exp(Categorical(4).log_prob(raw, pairs / np.float32(3))).sum() == pytest.approx(1, rel=1e-5)


def test_names_give_likelihoods():
    assert [type(likelihoods.get(n)) for n in ("bernoulli", "gaussian", "categorical")] == [
        Bernoulli,
        Gaussian,
        Categorical,
    ]
    own = Gaussian(0.2)
    assert likelihoods.get(own) is own


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: likelihoods.get("gausian"), "gausian"),
        (lambda: likelihoods.get(["gaussian"]), "likelihood"),
        (lambda: Gaussian(scale=0), "scale"),
        (lambda: Gaussian(scale=float("nan")), "scale"),
        (lambda: Categorical(levels=1), "levels"),
    ],
)
def test_mistakes_are_named(mistake, words):
    with pytest.raises(InputError, match=words):
        mistake()


def test_to_unit_divides_integers_and_keeps_floats():
    stored = np.arange(256, dtype="uint8")
    np.testing.assert_allclose(to_unit(stored), stored / 255, rtol=1e-6)
    np.testing.assert_allclose(to_unit(stored.astype("int64"), 16.0), stored / 16, rtol=1e-6)
    floats = np.array([-1.5, 0.25, 300.0])
    for kind in ("float16", "float32", "float64"):
        np.testing.assert_array_equal(to_unit(floats.astype(kind)), floats)
    for x in (stored, floats, keras.ops.cast(floats, "bfloat16")):
        assert to_unit(x).dtype == "float32"


def test_the_brightest_stored_value_is_one():
    for pixel_max in range(1, 256):
        assert float(to_unit(np.uint8(pixel_max), pixel_max)) == pytest.approx(1, abs=1e-7)
        assert float(to_unit(np.uint8(pixel_max), pixel_max)) <= 1


def test_sum_per_example_keeps_the_batch_only():
    x = RNG.normal(size=(4, 3, 2, 2)).astype("float16")
    total = sum_per_example(x)
    assert total.dtype == "float32"
    np.testing.assert_allclose(total, x.astype(float).sum(axis=(1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.3, squash=True), Categorical(4)], ids=type)
def test_draws_have_the_probabilities_of_the_likelihood(likelihood):
    """The share of draws below each of some thresholds, against sums and integrals of exp(log_prob)."""
    raw = RNG.normal(size=(1, 3 * likelihood.parameters)).astype("float32")
    found = np.asarray(likelihood.draw(np.repeat(raw, 20_000, axis=0), Draws(1)))
    assert found.shape == (20_000, 3)
    if isinstance(likelihood, Gaussian):
        expected = stats.norm.cdf(0.5, expit(raw[0]), 0.3)
        np.testing.assert_allclose((found < 0.5).mean(0), expected, atol=0.015)
        return
    for value in np.linspace(0, 1, 2 if isinstance(likelihood, Bernoulli) else 4, dtype="float32"):
        log_p = np.asarray(likelihood.value_log_prob(raw, np.full((1, 3), value)))
        np.testing.assert_allclose(np.isclose(found, value).mean(0), np.exp(log_p[0]), atol=0.015)


def test_gaussian_per_value_is_scipys():
    raw, x = RNG.normal(0, 2, (5, 3, 4)), RNG.normal(size=(5, 3, 2))
    mean, deviation = raw[..., :2], np.sqrt(0.1**2 + np.exp(raw[..., 2:]))
    likelihood = GaussianPerValue(floor=0.1)
    expected = stats.norm.logpdf(x, mean, deviation).sum((1, 2))
    np.testing.assert_allclose(likelihood.log_prob(raw, x.astype("float32")), expected, rtol=1e-4)
    draws = np.stack([likelihood.draw(raw, Draws(seed)) for seed in range(400)])
    np.testing.assert_allclose(draws.mean(0), mean, atol=5 * deviation.max() / 20)
    np.testing.assert_allclose(draws.std(0), deviation, rtol=0.25)


@pytest.mark.parametrize("levels", [2, 9, 256])
def test_logistic_mixture_is_the_difference_of_scipys_distributions(levels):
    level, raw = RNG.integers(0, levels, (6, 2)), RNG.normal(0, 1, (6, 2 * 3 * 4))
    level[:2] = [[0, levels - 1], [levels - 1, 0]]
    logits, means, scales = np.moveaxis(raw.reshape(6, 2, 3, 4), 2, 0)
    means, scales = means + 0.5, np.exp(np.maximum(scales - 2, -7))
    x, half = level / (levels - 1), 0.5 / (levels - 1)
    above = np.where(level == levels - 1, np.inf, x + half)[..., None]
    below = np.where(level == 0, -np.inf, x - half)[..., None]
    mass = stats.logistic.cdf(above, means, scales) - stats.logistic.cdf(below, means, scales)
    expected = np.log((softmax(logits, -1) * mass).sum(-1)).sum(-1)
    likelihood = LogisticMixture(levels, components=4)
    np.testing.assert_allclose(likelihood.log_prob(raw, x.astype("float32")), expected, rtol=2e-3)


def test_logistic_mixture_sums_to_one_and_draws_as_often_as_it_says():
    raw, levels = np.tile(RNG.normal(0, 1, (1, 1, 6)), (20_000, 1, 1)).astype("float32"), 6
    likelihood = LogisticMixture(levels, components=2)
    values = np.linspace(0, 1, levels, dtype="float32")[:, None, None]
    chances = np.exp(likelihood.log_prob(raw[:levels], values))
    assert chances.sum() == pytest.approx(1.0, abs=1e-4)
    drawn = np.rint(np.array(likelihood.draw(raw, Draws(1))).ravel() * (levels - 1)).astype(int)
    counts = np.bincount(drawn, minlength=levels)
    np.testing.assert_allclose(counts / len(raw), chances, atol=0.015)


@pytest.mark.parametrize("far", [-60.0, 60.0])
def test_logistic_mixture_is_finite_with_gradients_far_out(far):
    raw = keras.Variable(np.full((1, 1, 6), far, "float32"))
    with tf.GradientTape() as tape:
        log_p = LogisticMixture(256, 2).log_prob(raw.value, np.full((1, 1, 1), 0.5, "float32"))
    assert np.isfinite(log_p).all() and np.isfinite(tape.gradient(log_p, raw.value)).all()


def test_spread_likelihoods_refuse_sizes_without_a_meaning():
    with pytest.raises(InputError, match="floor must be > 0"):
        GaussianPerValue(0)
    with pytest.raises(InputError, match="components at least 1"):
        LogisticMixture(256, 0)
