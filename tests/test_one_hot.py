"""One-hot codes and full-covariance Gaussians: against SciPy, by counting, and in a model that learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import softmax

import kerasae
from kerasae.distributions import (
    FullGaussianPosterior,
    GaussianPerValue,
    OneHotPosterior,
    StandardNormal,
    UniformOneHot,
)
from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models import MixturePrior, VariationalAutoencoder
from kerasae.networks import share_variance
from pipelines import train

RNG = np.random.default_rng(0)
FULL = RNG.normal(0, 0.7, (4, 9)).astype("float32")
"""Means and triangles of four Gaussians in three dimensions."""


def moments(encoded):
    """Mean and covariance, element by element."""
    factor, place = np.zeros((3, 3)), 3
    for row in range(3):
        for column in range(row + 1):
            factor[row, column] = np.exp(encoded[place]) if row == column else encoded[place]
            place += 1
    return encoded[:3], factor @ factor.T


def test_full_gaussian_is_scipys():
    z = RNG.normal(size=(5, 4, 3)).astype("float32")
    found = FullGaussianPosterior().log_prob(FULL, z)
    expected = [[stats.multivariate_normal(*moments(e)).logpdf(z[s, b]) for b, e in enumerate(FULL)] for s in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_full_gaussian_draws_have_its_moments():
    z = np.array(FullGaussianPosterior().draw(FULL, Draws(1), 20_000))
    for i, encoded in enumerate(FULL):
        mean, covariance = moments(encoded)
        error = 5 * np.sqrt(np.diag(covariance) / len(z))
        assert (np.abs(z[:, i].mean(0) - mean) < error).all()
        np.testing.assert_allclose(np.cov(z[:, i].T), covariance, atol=0.06 * np.abs(covariance).max())


def test_full_gaussian_divergence_is_the_closed_form_of_its_moments():
    found = FullGaussianPosterior().kl(FULL, StandardNormal())
    for i, encoded in enumerate(FULL):
        mean, covariance = moments(encoded)
        expected = 0.5 * (mean @ mean + np.trace(covariance) - 3 - np.linalg.slogdet(covariance)[1])
        assert float(found[i, 0]) == pytest.approx(expected, rel=1e-4)


def test_a_diagonal_full_gaussian_is_the_plain_one():
    plain = np.concatenate([FULL[:, :3], 2 * FULL[:, 3:6]], -1)  # log-variances are twice the log-deviations
    full = np.zeros_like(FULL)
    full[:, :3], full[:, [3, 5, 8]] = FULL[:, :3], FULL[:, 3:6]
    plain_kl = np.sum(kerasae.distributions.GaussianPosterior().kl(plain, StandardNormal()), -1)
    np.testing.assert_allclose(FullGaussianPosterior().kl(full, StandardNormal())[:, 0], plain_kl, rtol=1e-5)


def test_one_hot_draws_are_as_frequent_as_their_chances():
    logits = RNG.normal(size=(1, 8)).astype("float32")
    posterior = OneHotPosterior(classes=4)
    z = np.array(posterior.draw(logits, Draws(2), 20_000)).reshape(-1, 2, 4)
    np.testing.assert_allclose(z.max(-1), 1, atol=1e-6)
    np.testing.assert_allclose(z.mean(0).ravel(), np.array(posterior.mean(logits))[0], atol=0.02)
    np.testing.assert_allclose(posterior.mean(logits)[0], softmax(logits.reshape(2, 4), -1).ravel(), rtol=1e-5)


def test_one_hot_divergence_is_scipys_relative_entropy():
    logits = RNG.normal(size=(3, 8)).astype("float32")
    found = OneHotPosterior(classes=4).kl(logits, UniformOneHot(classes=4))
    expected = [[stats.entropy(softmax(part), np.full(4, 0.25)) for part in row.reshape(2, 4)] for row in logits]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_gradient_of_a_one_hot_draw_is_that_of_the_relaxed_one():
    logits = tf.Variable(RNG.normal(size=(1, 4)).astype("float32"))
    weights = tf.constant(RNG.normal(size=(1, 4)).astype("float32"))
    noise = -np.log(-np.log(np.array(Draws(5).uniform((1, 1, 4)))))[:, 0]
    with tf.GradientTape(persistent=True) as tape:
        drawn = tf.reduce_sum(weights * OneHotPosterior(4, 0.5).draw(logits, Draws(5)))
        relaxed = tf.reduce_sum(weights * tf.nn.softmax((logits + noise) / 0.5))
    np.testing.assert_allclose(tape.gradient(drawn, logits), tape.gradient(relaxed, logits), rtol=1e-3, atol=1e-6)


def test_one_hot_codes_learn_the_classes_and_come_back(tmp_path):
    keras.utils.set_random_seed(4)
    centres = RNG.integers(0, 2, (4, 12)).astype("float32")
    x = centres[RNG.integers(0, 4, 600)]
    posterior = OneHotPosterior(classes=4)
    networks = kerasae.networks.dense((12,), 4, (32,), posterior=posterior)
    model = VariationalAutoencoder(*networks, "bernoulli", posterior=posterior, beta=0.5)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(x, batch_size=50, epochs=40, verbose=0).history
    assert history["reconstruction"][-1] < 0.5 * history["reconstruction"][0]
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.sample(4, seed=1), model.sample(4, seed=1))
    np.testing.assert_array_equal(again.bound(x[:3], 5), model.bound(x[:3], 5))


def test_mixture_prior_is_scipys_and_draws_its_components():
    prior = MixturePrior(3, spread=4.0, seed=1)
    prior.build((None, 2))
    prior.log_variances.assign(RNG.normal(0, 0.5, (3, 2)))
    bound, z = prior.bind(None, None), RNG.normal(0, 3, (5, 2)).astype("float32")
    means, deviations = np.array(prior.means), np.exp(0.5 * np.array(prior.log_variances))
    each = stats.norm.pdf(z[:, None], means, deviations).prod(-1)
    np.testing.assert_allclose(bound.log_prob(z), np.log(each.mean(-1)), rtol=1e-4)
    draws = np.array(bound.draw((20_000, 2), Draws(3)))
    np.testing.assert_allclose(draws.mean(0), means.mean(0), atol=0.15)


def test_one_shared_variance_learns_the_noise_of_the_data():
    keras.utils.set_random_seed(6)
    x = (RNG.normal(size=(2000, 1)) * [1.0, 2.0, -1.0] + RNG.normal(0, 0.3, (2000, 3))).astype("float32")
    networks = share_variance(*kerasae.networks.dense((3,), 1, (), posterior="gaussian"))
    model = VariationalAutoencoder(*networks, GaussianPerValue())
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, batch_size=200, epochs=60, verbose=0)
    found = np.array(model.decoder.predict(np.zeros((1, 1)), verbose=0))[0, 3:]
    assert len(set(found)) == 1 and np.exp(0.5 * found[0]) == pytest.approx(0.3, rel=0.15)


POSTERIORS = {
    "full_gaussian": ("FullGaussianPosterior", "StandardNormal"),
    "von_mises_fisher": ("VonMisesFisherPosterior", "UniformSphere"),
    "one_hot": ("OneHotPosterior", "UniformOneHot"),
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_commands_build_a_posterior_and_its_prior(name):
    recipe = train.Recipe(
        variant="variational", posterior=name, code=4, **({"classes": 2} if name == "one_hot" else {})
    )
    model = train.build(recipe, digits())
    assert (type(model.posterior).__name__, type(model.prior).__name__) == POSTERIORS[name]


@pytest.mark.parametrize("likelihood", ["gaussian_shared", "gaussian_per_value", "logistic_mixture"])
@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_commands_build_learned_priors_and_spreads(likelihood, prior):
    recipe = train.Recipe(variant="variational", likelihood=likelihood, prior=prior, components=3, code=4, widths=(8,))
    model = train.build(recipe, digits())
    assert model.prior.components == 3
    x = RNG.integers(0, 17, (4, 8, 8, 1)).astype("uint8")
    assert np.isfinite(model.score(x)).all() and model.sample(2, seed=1).shape == (2, 8, 8, 1)
    assert getattr(model.likelihood, "levels", 17) == 17


def digits():
    return kerasae.data.load("digits").info


@pytest.mark.parametrize(
    "fields",
    [{"posterior": "one_hot"}, {"prior": "vamp"}, {"components": 5}, {"classes": 3}],
    ids=lambda fields: next(iter(fields)),
)
def test_distributions_of_codes_are_refused_where_they_have_no_effect(fields):
    (name,) = fields
    with pytest.raises(InputError, match=f"{name}: has no effect on plain"):
        train.check(train.Recipe(**fields), kerasae.data.load("digits"))


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="10 classes must divide the code"):
        kerasae.networks.dense((6,), 4, (), posterior="one_hot")
    networks = kerasae.networks.dense((6,), 4, (), posterior="gaussian")
    with pytest.raises(InputError, match="of another kind .reals. than those of UniformOneHot .one-hot."):
        VariationalAutoencoder(*networks, prior="one_hot")
    with pytest.raises(InputError, match="classes must be at least 2"):
        OneHotPosterior(classes=1)
    with pytest.raises(InputError, match="temperature must be > 0"):
        OneHotPosterior(temperature=0)
    with pytest.raises(InputError, match="numbers of a triangle"):
        FullGaussianPosterior().mean(np.zeros((1, 6)))
    with pytest.raises(InputError, match="components must be ≥ 1"):
        MixturePrior(0)
    with pytest.raises(InputError, match="was built for codes of"):
        prior = MixturePrior(2)
        prior.build((None, 3))
        VariationalAutoencoder(*networks, prior=prior)
