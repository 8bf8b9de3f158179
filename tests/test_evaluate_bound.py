import doctest
import types

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import bound, evidence_lower_bound, importance_nll, nll_summary

W = np.array([[1.0, 0.5], [-0.3, 0.8], [0.2, -1.0]])
NOISE = 0.7


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z, NOISE² I); q is the exact posterior, widened by `wide`."""

    def __init__(self, wide=1.0):
        self.wide, self.calls = wide, []
        self.marginal = multivariate_normal(np.zeros(3), W @ W.T + NOISE**2 * np.eye(3))
        self.covariance = np.linalg.inv(np.eye(2) + W.T @ W / NOISE**2)

    def log_weight(self, x, samples, seed):
        self.calls.append((len(x), samples, seed))
        root = np.linalg.cholesky(self.covariance) * self.wide
        mean = x @ W @ self.covariance / NOISE**2
        e = np.random.default_rng(seed).normal(size=(samples, len(x), 2))
        z = mean + e @ root.T
        log_q = norm.logpdf(e).sum(-1) - np.log(np.diag(root)).sum()
        return norm.logpdf(x, z @ W.T, NOISE).sum(-1) + norm.logpdf(z).sum(-1) - log_q


@pytest.fixture(scope="module")
def x():
    return LinearGaussian().marginal.rvs(60, random_state=0)


def constant(value=-3.25):
    return types.SimpleNamespace(log_weight=lambda x, samples, seed: np.full((samples, len(x)), value))


def test_exact_posterior_gives_the_exact_likelihood_for_any_number_of_samples(x):
    model = LinearGaussian()
    for samples in (1, 2, 7):
        nll = importance_nll(model, x, samples, batch_size=25, chunk=3)
        np.testing.assert_allclose(nll, -model.marginal.logpdf(x), atol=1e-9)


def test_estimate_matches_the_closed_form_within_its_standard_error(x):
    model = LinearGaussian(wide=1.5)
    samples = 4000
    nll = importance_nll(model, x, samples, batch_size=30, chunk=1000)
    weights = np.exp(model.log_weight(x, samples, 99) + -model.marginal.logpdf(x))  # mean 1
    error = weights.std(axis=0, ddof=1) / np.sqrt(samples)
    z = (nll + model.marginal.logpdf(x)) / error
    assert np.abs(z).max() < 4.5 and abs(z.mean()) < 4.5 / np.sqrt(len(x))
    assert error.max() < 0.05  # the test is sharp: 5 % more or fewer samples counted would be seen


def test_one_sample_is_minus_the_log_weight(x):
    model = LinearGaussian(wide=2.0)
    nll = importance_nll(model, x, samples=1, batch_size=100)
    [(_, draws, seed)] = model.calls
    assert draws == 1
    np.testing.assert_array_equal(nll, -model.log_weight(x, 1, seed)[0])
    np.testing.assert_array_equal(evidence_lower_bound(model, x, samples=1), -nll)


@pytest.mark.parametrize("samples", [1, 2, 3, 50, 199, 200])
@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_constant_weights_give_that_constant(samples, chunk):
    data = np.zeros((5, 2))
    nll = importance_nll(constant(), data, samples, batch_size=2, chunk=chunk)
    np.testing.assert_allclose(nll, np.full(5, 3.25), rtol=0, atol=1e-12)
    elbo = evidence_lower_bound(constant(), data, samples, batch_size=2, chunk=chunk)
    np.testing.assert_allclose(elbo, np.full(5, -3.25), rtol=0, atol=1e-12)


def test_every_draw_of_every_chunk_is_counted_once(x):
    model = LinearGaussian(wide=2.0)
    nll = importance_nll(model, x, samples=10, batch_size=40, chunk=4)
    calls = model.calls[:]
    assert [(size, draws) for size, draws, _ in calls] == [
        (40, 4),
        (40, 4),
        (40, 2),
        (20, 4),
        (20, 4),
        (20, 2),
    ]
    assert len({seed for *_, seed in calls}) == 6
    weights = [np.concatenate([model.log_weight(part, d, s) for _, d, s in group])
               for part, group in ((x[:40], calls[:3]), (x[40:], calls[3:]))]  # fmt: skip
    expected = np.concatenate([np.log(10) - logsumexp(w, axis=0) for w in weights])
    np.testing.assert_allclose(nll, expected, atol=1e-10)
    elbo = evidence_lower_bound(model, x, samples=10, batch_size=40, chunk=4)
    np.testing.assert_allclose(elbo, np.concatenate([w.mean(0) for w in weights]), atol=1e-10)


def test_more_samples_tighten_the_bound_and_the_elbo_lies_below(x):
    model = LinearGaussian(wide=2.0)
    true = -model.marginal.logpdf(x).mean()
    one, many = (importance_nll(model, x, s).mean() for s in (1, 500))
    assert true - 0.05 < many < true + 0.05 < one
    assert -evidence_lower_bound(model, x, samples=500).mean() > many + 0.1


def test_seed_decides(x):
    model = LinearGaussian(wide=2.0)
    first, again, other = (importance_nll(model, x, 5, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_extreme_weights_neither_overflow_nor_vanish():
    np.testing.assert_allclose(importance_nll(constant(-5000.0), np.zeros((2, 2)), 60, chunk=7), 5000.0)
    assert np.all(np.isposinf(importance_nll(constant(-np.inf), np.zeros((2, 2)), 60, chunk=7)))


def test_variational_autoencoder_against_integration_over_its_code():
    keras.utils.set_random_seed(0)
    networks = kerasae.networks.dense((6,), code=2, widths=(8,), posterior="gaussian")
    model = kerasae.models.VariationalAutoencoder(*networks, "bernoulli", pixel_max=1)
    x = np.random.default_rng(0).integers(0, 2, (5, 6)).astype(np.uint8)
    model.encoder.set_weights([0.1 * w for w in model.encoder.get_weights()])  # q(z|x) covers the posterior
    model.decoder.set_weights([1.5 * w for w in model.decoder.get_weights()])  # p(x|z) depends on z
    line = np.linspace(-6, 6, 241)
    z = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    p = np.clip(np.asarray(model.decode(z.astype(np.float32)), np.float64), 1e-7, 1 - 1e-7)
    log_joint = np.log(p) @ x.T + np.log1p(-p) @ (1 - x.T) + norm.logpdf(z).sum(1, keepdims=True)
    expected = -(logsumexp(log_joint, axis=0) + 2 * np.log(line[1] - line[0]))
    nll = importance_nll(model, x, samples=4000, batch_size=2, chunk=2000)
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(nll, expected, atol=0.1)


def test_summary_is_mean_and_standard_error():
    nll = np.array([80.0, 90.0, 100.0, 94.0])
    found = nll_summary(nll)
    assert found["mean"] == 91.0 and found["examples"] == 4
    squares = 11**2 + 1 + 9**2 + 3**2
    assert found["standard_error"] == pytest.approx(np.sqrt(squares / 3 / 4))
    assert np.isnan(nll_summary(nll[:1])["standard_error"])
    with pytest.raises(InputError, match="nll"):
        nll_summary(nll[:0])


def test_mistakes_are_named(x):
    transposed = types.SimpleNamespace(log_weight=lambda x, s, seed: np.zeros((len(x), s)))
    fewer = types.SimpleNamespace(log_weight=lambda x, s, seed: np.zeros((s - 1, len(x))))
    for model, word in (
        (object(), "log_weight"),
        (transposed, "shape"),
        (fewer, "shape"),
        (constant(np.nan), "NaN"),
    ):
        with pytest.raises(InputError, match=word):
            importance_nll(model, x, samples=7)
    with pytest.raises(InputError, match="samples"):
        importance_nll(constant(), x, samples=0)


def test_examples_run():
    failed, tried = doctest.testmod(bound, extraglobs={"np": np})
    assert failed == 0 and tried >= 5
