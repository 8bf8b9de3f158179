"""Estimate log Z of a Boltzmann machine, and the likelihood of examples, by annealed importance sampling."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from scipy.special import logsumexp

from kerasae.distributions.binary_hidden import bernoulli
from kerasae.errors import InputError
from kerasae.evaluate.probe import example_batches, public_method
from kerasae.layers.draws import Draws

MOST_HIDDEN = 20
"""Most hidden units whose 2^H states are summed."""

STATES = 2**12
"""Hidden states summed at a time."""


class LogZ(NamedTuple):
    """Hold an estimate of log Z in nats, and its standard error over chains."""

    value: float
    standard_error: float


def exact_log_z(model) -> float:
    """Compute log Z = log Σ_h Σ_v exp(−E(v, h)) by summing over all hidden states; nats.

    Args:
        model: a model with `distribution()`, such as `RestrictedBoltzmannMachine`, of at most 20 hidden units.

    Raises:
        InputError: for more hidden units, or no `distribution()`.

    Example:
        >>> exact_log_z(kerasae.models.RestrictedBoltzmannMachine((784,), 16))
    """
    machine = public_method(model, "distribution")()
    hidden = machine.kernel.shape[1]
    if hidden > MOST_HIDDEN:
        raise InputError(f"model: expected at most {MOST_HIDDEN} hidden units to sum over. Received: {hidden}")
    compiled = tf.function(machine.log_hidden, autograph=False)
    parts = [compiled(states(start, hidden)) for start in range(0, 2**hidden, STATES)]
    return float(logsumexp(np.concatenate(parts).astype("float64")))


def annealed_log_z(model, base, *, chains: int = 100, temperatures: int = 1000, seed: int = 0) -> LogZ:
    """Estimate log Z by annealed importance sampling; nats.

    Chains start at independent units, whose Z is known, and pass through `temperatures` distributions to the model:
    log Z ≈ log Z₀ + log mean w, log w = Σ_k F_{k−1}(v_{k−1}) − F_k(v_{k−1}); Neal (2001); Salakhutdinov and Murray,
    ICML 2008, section 4.1. w is unbiased, so log Z comes out too small in the mean, and likelihoods too great: give
    `reverse_log_likelihood` beside it. The standard error is that of log mean w over chains, by its first derivative.

    Args:
        model: as in `exact_log_z`, of any size.
        base: visible biases [V] of the independent units; `model.base_bias(training_examples)` are good ones.
        chains, temperatures: numbers, 2 and 1 or more.
        seed: of all draws; the same call gives the same numbers.

    Raises:
        InputError: a number out of range, or no `distribution()`.

    Example:
        >>> value, error = annealed_log_z(rbm, rbm.base_bias(images), chains=100, temperatures=10_000)
    """
    check_counts(2, chains=chains)
    machine, random = public_method(model, "distribution")(), Draws(keras.random.SeedGenerator(seed))
    base = ops.convert_to_tensor(base, "float32")
    anneal = annealing(machine, base, np.linspace(0.0, 1.0, temperatures + 1), random)
    log_w = np.asarray(anneal(machine.first_visible(base, chains, random)), "float64")
    w = np.exp(log_w - log_w.max())
    error = w.std(ddof=1) / w.mean() / math.sqrt(chains)
    return LogZ(float(machine.log_base_constant(base)) + logsumexp(log_w) - math.log(chains), float(error))


def reverse_log_likelihood(
    model, x, base, *, chains: int = 10, temperatures: int = 1000, batch_size: int = 100, seed: int = 0
) -> np.ndarray:
    """Estimate log p(x) from below by chains that start at the examples and heat up; [N], nats per example.

    log p(x) ≈ −F(x) − log Z₀ + log mean w, log w = Σ_k F_k(v_{k−1}) − F_{k−1}(v_{k−1}), v_{k−1} drawn from v_k. In the
    mean it is at most the log-likelihood of a model that draws by annealing from independent units, which nears the
    machine as temperatures grow: the reverse AIS estimator, Burda, Grosse and Salakhutdinov, AISTATS 2015, section 4.

    Args:
        model, base, temperatures, seed: as in `annealed_log_z`.
        x: examples [N, ...] or a split, in the form the model was trained on.
        chains: number of chains of each example; the bound tightens as it grows.
        batch_size: examples whose chains run at a time.

    Raises:
        InputError: a number out of range, or no `distribution()`.

    Example:
        >>> reverse_log_likelihood(rbm, test_images, rbm.base_bias(images)).mean()
    """
    check_counts(1, chains=chains)
    machine, random = public_method(model, "distribution")(), Draws(keras.random.SeedGenerator(seed))
    base = ops.convert_to_tensor(base, "float32")
    anneal = annealing(machine, base, np.linspace(1.0, 0.0, temperatures + 1), random)
    found = []
    for batch, _ in example_batches(x, batch_size):
        v = ops.reshape(model.prepare(batch).x, (len(batch), -1))
        log_w = np.asarray(anneal(ops.repeat(v, chains, axis=0)), "float64").reshape(len(batch), chains)
        found.append(logsumexp(log_w, axis=1) - math.log(chains) - np.asarray(machine.free_energy(v), "float64"))
    return np.concatenate(found) - float(machine.log_base_constant(base))


def reverse_log_z(model, x, base, **options) -> LogZ:
    """Estimate log Z from above by chains that start at examples: the mean of −F(x) − log p(x) over them; nats.

    log p(x) is that of `reverse_log_likelihood`, whose arguments these are. Examples that the model did not learn from,
    drawn at random, make −F(x) − log Z a lower bound of the mean log-likelihood. The standard error is over examples.

    Example:
        >>> value, error = reverse_log_z(rbm, test_images[:100], rbm.base_bias(images), temperatures=10_000)
    """
    energies = np.concatenate([np.asarray(model.score(batch), "float64") for batch, _ in example_batches(x, 256)])
    found = -energies - reverse_log_likelihood(model, x, base, **options)
    check_counts(2, examples=len(found))
    return LogZ(float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found))))


def annealing(machine, base, betas, random):
    """Build the function [B, V] → log weights [B] that takes chains through the inverse temperatures `betas`.

    At each it draws v by Gibbs sampling at the old temperature, and adds F_old(v) − F_new(v).
    """
    check_counts(1, temperatures=len(betas) - 1)
    betas = ops.convert_to_tensor(betas, "float32")

    def step(k, state):
        inputs, log_w = state
        old, new = (machine.tempered(betas[i], base) for i in (k, k + 1))
        v = old.draw_visible(bernoulli(betas[k] * inputs, random), random)
        inputs = machine.hidden_inputs(v)  # β times these are the inputs at any temperature
        change = old.visible_energy(v) - new.visible_energy(v)
        for sign, beta in ((-1.0, betas[k]), (1.0, betas[k + 1])):
            change = change + sign * ops.sum(ops.softplus(beta * inputs), axis=-1)
        return inputs, log_w + change

    @tf.function(autograph=False, reduce_retracing=True)
    def run(v):
        return ops.fori_loop(0, len(betas) - 1, step, (machine.hidden_inputs(v), ops.zeros_like(v[:, 0])))[1]

    return run


def states(start, hidden):
    """List states of binary units from number `start` on, one per row: float32 [n, hidden]."""
    numbers = np.arange(start, min(start + STATES, 2**hidden))
    return ((numbers[:, None] >> np.arange(hidden)) & 1).astype("float32")


def check_counts(least, **given):
    """Raise InputError for numbers below `least`."""
    for name, value in given.items():
        if value < least:
            raise InputError(f"{name}: expected at least {least}, received {value}; raise it.")
