"""What a code holds, against closed forms of a linear Gaussian model."""

import doctest

import keras
import numpy as np
import pytest
from cases import AUTOENCODERS
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import code_information, information
from kerasae.layers.draws import Draws

DISCRETE = ("CodePriorAutoencoder",)
CHAINS = ("RestrictedBoltzmannMachine", "GenerativeStochasticNetwork", "DeepBeliefNetwork")
"""Models that sample without a density over codes: indices of a codebook, and by a Markov chain."""

W = np.array([[1.0, 0.5], [-0.3, 0.8], [0.2, -1.0]], np.float32)


@pytest.fixture(scope="module")
def linear():
    """x = W z + N(0, I), with its exact posterior N(S Wᵀ x, S), S = (I + WᵀW)⁻¹ as a full covariance."""
    z = keras.Input((2,))
    decoder = keras.Model(z, keras.layers.Dense(3, use_bias=False)(z))
    decoder.layers[-1].set_weights([W.T])
    x = keras.Input((3,))
    posterior = kerasae.distributions.GaussianPosterior()
    dense = keras.layers.Dense(4)
    encoder = keras.Model(x, dense(x))
    covariance = np.linalg.inv(np.eye(2) + W.T @ W)
    mean = W @ covariance  # x @ mean; the covariance's diagonal alone, so q is not exact
    dense.set_weights([np.hstack([mean, np.zeros((3, 2))]), np.r_[0, 0, np.log(np.diag(covariance))]])
    return kerasae.models.VariationalAutoencoder(encoder, decoder, "gaussian", posterior=posterior)


@pytest.fixture(scope="module")
def x():
    noise = np.random.default_rng(0)
    return (noise.normal(size=(1500, 2)) @ W.T + noise.normal(size=(1500, 3))).astype(np.float32)


def test_rate_and_distortion_have_their_closed_forms(linear, x):
    covariance = np.linalg.inv(np.eye(2) + W.T @ W)
    variances, means = np.diag(covariance), x @ W @ covariance
    rate = 0.5 * (means**2 + variances - 1 - np.log(variances)).sum(axis=1).mean()
    error = ((x - means @ W.T) ** 2).sum(axis=1).mean() + (W**2 * variances).sum()
    found = code_information(linear, x, samples=100)
    assert found.rate == pytest.approx(rate, abs=1e-4)
    assert found.distortion == pytest.approx(0.5 * error + 1.5 * np.log(2 * np.pi), abs=0.03)
    assert (found.active_units, found.units) == (2, 2)


def test_information_is_that_of_a_linear_gaussian_channel(linear, x):
    """z = mean(x) + noise with x Gaussian: I = ½ log |C + V| / |V|, C the covariance of the means."""
    covariance = np.linalg.inv(np.eye(2) + W.T @ W)
    spread = np.cov((x @ W @ covariance).T)
    noise = np.diag(np.diag(covariance))
    expected = 0.5 * np.log(np.linalg.det(spread + noise) / np.linalg.det(noise))
    found = code_information(linear, x)
    assert 0.5 < expected < 2 and found.mutual_information == pytest.approx(expected, abs=0.08)
    assert found.aggregate_divergence == pytest.approx(found.rate - found.mutual_information)
    assert found.most_information == pytest.approx(np.log(1500))


def test_information_is_the_average_over_all_pairs(linear, x):
    encoded = information.posterior_parameters(linear, x[:50])
    mean, deviation = encoded[:, :2], np.exp(0.5 * encoded[:, 2:])
    z = np.asarray(linear.posterior.draw(encoded, Draws(3)))
    log_q = norm.logpdf(z[:, None], mean, deviation).sum(-1)
    expected = np.mean(np.diag(log_q) - (logsumexp(log_q, axis=1) - np.log(50)))
    assert information.mutual_information(linear, encoded, seed=3) == pytest.approx(expected, abs=1e-4)


def test_a_mixture_as_prior_has_its_rate_estimated():
    """KL(N(0, I) ‖ mixture) by a draw each, against the density of the mixture in SciPy."""
    keras.utils.set_random_seed(0)
    networks = kerasae.networks.dense((3,), code=2, widths=(), posterior="gaussian")
    model = kerasae.models.VariationalAutoencoder(*networks, "gaussian", prior=kerasae.models.MixturePrior(3))
    encoded = np.zeros((4000, 4), np.float32)
    z = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)
    expected = np.mean(multivariate_normal(np.zeros(2)).logpdf(z) - np.asarray(model.code_prior().log_prob(z)))
    assert information.mean_divergence(model, encoded) == pytest.approx(expected, abs=0.1)


def test_units_that_do_not_move_are_not_active():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(20_000, 3)) * np.sqrt([0.5, 0.0105, 0.0095])
    assert information.active_units(means) == 2


def test_collapse_is_said_in_words():
    assert not information.collapse(0.2, 1)
    assert "0.05 nats" in information.collapse(0.05, 3) and "no active unit" in information.collapse(3.0, 0)


@pytest.mark.parametrize("case", AUTOENCODERS, ids=lambda case: case.id)
def test_samples_are_decoded_draws_of_the_prior_that_is_named(case):
    """A variant that samples from another prior than N(0, I) must say so."""
    if not case.target.generative:
        pytest.skip("does not sample")
    model = case.build()
    if model.code_prior() is None:
        assert case.target.__name__ in (*DISCRETE, *CHAINS)
        return
    y = None if case.y is None or not model.conditional else np.asarray(case.y)[:2]
    n = 2 if y is None else len(y)
    decoded = model.decode(model.code_prior().draw((n, *model.code_shape), Draws(5)), y)
    np.testing.assert_allclose(model.sample(n, y, seed=5), decoded, rtol=1e-5, atol=1e-6)


def test_other_models_are_refused():
    with pytest.raises(InputError, match="posterior"):
        code_information(kerasae.models.Autoencoder(*kerasae.networks.dense((3,), code=2)), np.zeros((2, 3), "float32"))


def test_examples_run():
    finder = doctest.DocTestFinder(recurse=False)
    for function in (information.active_units, information.collapse):
        (example,) = finder.find(function, globs={"np": np, **vars(information)})
        assert doctest.DocTestRunner().run(example).failed == 0
