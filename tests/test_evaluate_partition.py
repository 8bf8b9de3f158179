"""Annealed importance sampling, against sums over all states in NumPy."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

from kerasae import evaluate, models, networks
from kerasae.errors import InputError

RNG = np.random.default_rng(0)


def machine(visible, hidden, likelihood="bernoulli", spread=1.0):
    rbm = models.RestrictedBoltzmannMachine((visible,), hidden, likelihood, pixel_max=1.0)
    for weight in rbm.trainable_weights:
        weight.assign(spread * RNG.normal(size=weight.shape))
    return rbm


def parameters(rbm):
    return [np.asarray(w, dtype=float) for w in (rbm.kernel, rbm.visible_bias, rbm.hidden_bias)]


def all_states(count):
    return np.array(list(itertools.product([0.0, 1.0], repeat=count)))


def summed(rbm):
    """log Z by the sum over all pairs (v, h)."""
    w, b, c = parameters(rbm)
    v, h = all_states(len(b)), all_states(len(c))
    return logsumexp(v @ w @ h.T + (v @ b)[:, None] + (h @ c)[None])


def test_the_sum_over_hidden_states_is_that_over_both_sides():
    for visible, hidden in ((6, 4), (3, 13)):  # 2^13 states are more than one part
        rbm = machine(visible, hidden)
        assert evaluate.exact_log_z(rbm) == pytest.approx(summed(rbm), abs=1e-4)


def test_gaussian_units_are_integrated_out():
    """Against a sum over a grid of one visible unit."""
    rbm, grid = machine(1, 3, "gaussian"), np.linspace(-30, 30, 60_001)
    log_p = -np.asarray(rbm.score(grid[:, None].astype("float32"), batch_size=10_000), dtype=float)
    assert evaluate.exact_log_z(rbm) == pytest.approx(logsumexp(log_p) + np.log(grid[1] - grid[0]), abs=1e-3)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_annealing_comes_within_its_error_of_the_sum(likelihood):
    rbm = machine(12, 8, likelihood, spread=0.7)
    exact = evaluate.exact_log_z(rbm)
    base = RNG.normal(size=12)  # any will do
    value, error = evaluate.annealed_log_z(rbm, base, chains=500, temperatures=200, seed=1)
    assert 0 < error < 0.15 and abs(value - exact) < 4 * error
    rough = evaluate.annealed_log_z(rbm, base, chains=500, temperatures=5, seed=1)
    assert rough.standard_error > 2 * error


def test_one_temperature_is_importance_sampling_by_hand():
    """With Z₀ and the weights F₀ − F of all states, the mean weight is Z / Z₀."""
    rbm, base = machine(4, 3), np.array([0.5, -1.0, 0.0, 2.0])
    w, b, c = parameters(rbm)
    v = all_states(4)
    log_p0 = v @ base - np.logaddexp(0, base).sum()
    log_z0 = np.logaddexp(0, base).sum() + 3 * np.log(2)
    log_weights = (v @ b + np.logaddexp(0, v @ w + c).sum(1)) - (v @ base + 3 * np.log(2))
    assert log_z0 + logsumexp(log_p0 + log_weights) == pytest.approx(summed(rbm))
    value, error = evaluate.annealed_log_z(rbm, base, chains=20_000, temperatures=1, seed=2)
    deviation = np.sqrt(np.exp(logsumexp(log_p0 + 2 * log_weights) - 2 * logsumexp(log_p0 + log_weights)) - 1)
    assert error == pytest.approx(deviation / np.sqrt(20_000), rel=0.25)
    assert abs(value - summed(rbm)) < 4 * error


def test_reverse_chains_bound_the_likelihood_from_below():
    rbm, states = machine(8, 5, spread=1.5), all_states(8).astype("float32")
    exact = -np.asarray(rbm.score(states), dtype=float) - summed(rbm)

    def estimate(x, chains, temperatures):
        options = {"chains": chains, "temperatures": temperatures, "batch_size": 64, "seed": 1}
        return evaluate.reverse_log_likelihood(rbm, x, np.zeros(8), **options)

    np.testing.assert_allclose(estimate(states[::10], 200, 300), exact[::10], atol=0.25)
    half = evaluate.reverse_log_z(rbm, states[::10], np.zeros(8), chains=200, temperatures=300, batch_size=64, seed=1)
    differences = exact[::10] + summed(rbm) - estimate(states[::10], 200, 300)
    assert half.value == pytest.approx(differences.mean(), abs=1e-4) and abs(half.value - summed(rbm)) < 0.1
    assert half.standard_error == pytest.approx(differences.std(ddof=1) / np.sqrt(len(differences)), rel=1e-3)
    # The mean over the machine's own examples, by its exact probabilities, is minus the entropy.
    rough = estimate(np.tile(states, (20, 1)), 1, 3).reshape(20, -1) @ np.exp(exact)
    assert rough.mean() < np.exp(exact) @ exact - 0.3
    # exp of the estimates is unbiased for the annealing model, whose probabilities of all states sum to 1.
    assert np.exp(estimate(states, 4000, 3)).sum() == pytest.approx(1.0, abs=0.05)


def test_the_same_seed_gives_the_same_estimate_and_another_another():
    rbm = machine(5, 3)
    one, same, other = (evaluate.annealed_log_z(rbm, np.zeros(5), chains=9, temperatures=4, seed=s) for s in (1, 1, 2))
    assert one == same and one != other


def test_mistakes_are_named():
    small, large = machine(3, 2), machine(3, 21)
    plain = models.Autoencoder(*networks.dense((3,), 2, ()))
    for words, wrong in {
        "at most 20 hidden units": lambda: evaluate.exact_log_z(large),
        "chains: expected at least 2": lambda: evaluate.annealed_log_z(small, np.zeros(3), chains=1),
        "temperatures: expected at least 1": lambda: evaluate.annealed_log_z(small, np.zeros(3), temperatures=0),
        "a model with distribution": lambda: evaluate.exact_log_z(plain),
    }.items():
        with pytest.raises(InputError, match=words):
            wrong()
