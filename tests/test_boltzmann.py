"""Restricted Boltzmann machines, against sums over all states of small ones."""

import itertools
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logsumexp

import kerasae
from kerasae import models
from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.training.checkpoint import Checkpoints
from kerasae.training.loop import Interrupted, Plan, train

RNG = np.random.default_rng(0)
V, H = 5, 3
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=V)), "float32")


def machine(likelihood="bernoulli", spread=1.0, **options):
    keras.utils.set_random_seed(3)
    rbm = models.RestrictedBoltzmannMachine((V,), options.pop("hidden", H), likelihood, **options)
    for weight in rbm.trainable_weights:
        weight.assign(spread * RNG.normal(size=weight.shape))
    return rbm


def parameters(rbm):
    return [np.asarray(w, dtype=float) for w in (rbm.kernel, rbm.visible_bias, rbm.hidden_bias)]


def log_joint(rbm, v, h):
    """−E(v, h) of a binary machine for all pairs: [len(v), len(h)]."""
    w, b, c = parameters(rbm)
    return v @ w @ h.T + (v @ b)[:, None] + (h @ c)[None]


def all_hidden(hidden=H):
    return np.array(list(itertools.product([0.0, 1.0], repeat=hidden)))


def log_likelihood(rbm, v):
    """Exact log p(v), by the sum over all states."""
    hidden = all_hidden(rbm.code_shape[0])
    return logsumexp(log_joint(rbm, v, hidden), axis=1) - logsumexp(log_joint(rbm, STATES, hidden))


def test_free_energy_is_minus_the_log_of_the_sum_over_hidden_states():
    rbm = machine()
    exact = -logsumexp(log_joint(rbm, STATES, all_hidden()), axis=1)
    np.testing.assert_allclose(rbm.score(STATES), exact, rtol=1e-4, atol=1e-4)
    w, b, c = parameters(rbm)
    np.testing.assert_allclose(rbm.encode(STATES), expit(STATES @ w + c), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rbm.decode(all_hidden().astype("float32")), expit(all_hidden() @ w.T + b), rtol=1e-4)


def test_free_energy_of_gaussian_units_integrates_the_joint_density():
    """−E(v, h) = vᵀWh + cᵀh − ½‖v − b‖²."""
    rbm, v = machine("gaussian"), RNG.normal(size=(4, V)).astype("float32")
    w, b, c = parameters(rbm)
    joint = v @ w @ all_hidden().T + all_hidden() @ c - 0.5 * ((v - b) ** 2).sum(1)[:, None]
    np.testing.assert_allclose(rbm.score(v), -logsumexp(joint, axis=1), rtol=1e-4)
    np.testing.assert_allclose(rbm.decode(all_hidden().astype("float32")), all_hidden() @ w.T + b, rtol=1e-4)


def test_gibbs_sampling_comes_to_the_distribution_of_the_model():
    rbm = machine(spread=0.7)
    v = np.asarray(rbm.gibbs(tf.zeros((20_000, V)), 30, Draws(1)))
    share = np.array([(v == state).all(1).mean() for state in STATES])
    exact = np.exp(log_likelihood(rbm, STATES))
    assert np.abs(share - exact).max() < 0.015 and np.abs(share - exact).sum() < 0.06


def test_the_gradient_of_long_chains_is_that_of_the_likelihood():
    """CD-k with k = 30 and many chains, against the exact gradient of the mean log p(v)."""
    rbm, rows = machine(spread=0.5, steps=30), STATES[[1, 7, 7, 20]]
    data = np.tile(rows, (5000, 1))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(rbm(rbm.prepare(data), training=True).terms["contrast"])
    found = tape.gradient(loss, [rbm.kernel.value, rbm.visible_bias.value, rbm.hidden_bias.value])
    w, b, c = parameters(rbm)
    p, hidden = np.exp(log_likelihood(rbm, STATES)), expit(STATES @ w + c)
    seen = expit(rows @ w + c)
    exact = [
        -(rows.T @ seen / len(rows) - (STATES * p[:, None]).T @ hidden),
        -(rows.mean(0) - p @ STATES),
        -(seen.mean(0) - p @ hidden),
    ]
    for mine, theirs in zip(found, exact, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=0.02)


def test_the_likelihood_of_a_small_machine_nears_the_entropy_of_the_data():
    """Four patterns of equal share, entropy log 4; the exact likelihood, by persistent chains."""
    rbm = machine(spread=0.1, hidden=6, chains=64, steps=5)
    data = np.tile(STATES[[0, 9, 22, 31]], (16, 1))
    before = log_likelihood(rbm, data).mean()
    rate = keras.optimizers.schedules.CosineDecay(0.1, 600)
    rbm.compile(keras.optimizers.Adam(rate), steps_per_execution=50)
    rbm.fit(tf.data.Dataset.from_tensors(data).repeat(600), steps_per_epoch=600, verbose=0)
    after = log_likelihood(rbm, data).mean()
    assert before < -3.2 and after > -np.log(4) - 0.25, (before, after)


def compiled(**options):
    keras.utils.set_random_seed(3)
    rbm = models.RestrictedBoltzmannMachine((8, 8, 1), 6, pixel_max=16.0, **options)
    rbm.compile(keras.optimizers.SGD(0.05, momentum=0.5))
    return rbm


def test_persistent_chains_are_in_checkpoints_and_the_same_after_a_kill(tmp_path):
    split = kerasae.data.load("digits").train.subset(np.arange(64))

    def run(folder, stop_after=None):
        def interrupt(progress, wait):
            if stop_after and progress.step >= stop_after:
                os.kill(os.getpid(), signal.SIGTERM)

        rbm = compiled(chains=10)
        train(
            rbm,
            lambda step: kerasae.data.batches(split, 16, seed=1, start_step=step, labels=False),
            Plan(3, 4),
            Checkpoints(folder),
            on_chunk=interrupt,
        )
        return rbm

    whole = run(tmp_path / "whole")
    for stop_after in (3, 7):
        with pytest.raises(Interrupted):
            run(tmp_path / "cut", stop_after)
    resumed = run(tmp_path / "cut")
    assert np.any(np.asarray(whole.chain_units) != np.asarray(compiled(chains=10).chain_units))
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)


def test_machines_are_layers_of_a_stack_that_shares_their_weights(tmp_path):
    images, _ = kerasae.data.load("digits").train.arrays()
    bottom, top = compiled(), models.RestrictedBoltzmannMachine((6,), 4)
    stack = models.StackedAutoencoder([bottom, top])
    np.testing.assert_allclose(stack.encode(images), top.encode(bottom.encode(images)), rtol=1e-5, atol=1e-6)
    stack.compile("adam", run_eagerly=True)
    before = np.asarray(bottom.kernel)
    stack.train_on_batch(images[:32])
    assert np.any(np.asarray(bottom.kernel) != before)
    stack.save(tmp_path / "stack.keras")
    again = keras.saving.load_model(tmp_path / "stack.keras")
    np.testing.assert_array_equal(again.encode(images), stack.encode(images))


def test_learns_digits():
    """Reconstructions closer than the mean image, and features no worse than the pixels with 100 labels."""
    from sklearn.linear_model import LogisticRegression

    source = kerasae.data.load("digits")
    (images, labels), (test, truth) = source.train.arrays(), source.test.arrays()
    keras.utils.set_random_seed(1)
    rbm = models.RestrictedBoltzmannMachine((8, 8, 1), 64, pixel_max=16.0)
    rbm.adapt(images)
    rbm.compile(keras.optimizers.SGD(0.2, momentum=0.5), steps_per_execution=20)
    rbm.fit(images, batch_size=32, epochs=40, verbose=0)
    x = test / 16.0
    error = np.mean((np.asarray(rbm.reconstruct(test)) - x) ** 2)
    assert error < 0.5 * np.mean((x - (images / 16.0).mean(0)) ** 2)

    def accuracy(codes, others):
        few = LogisticRegression(max_iter=2000).fit(np.asarray(codes)[:100], labels[:100])
        return few.score(np.asarray(others), truth)

    pixels = [data.reshape(len(data), -1) / 16.0 for data in (images, test)]
    assert accuracy(rbm.encode(images), rbm.encode(test)) > accuracy(*pixels) - 0.03
    assert rbm.sample(4, seed=0, steps=5).shape == (4, 8, 8, 1)


def test_mistakes_are_named():
    for words, wrong in {
        "likelihood must be": lambda: models.RestrictedBoltzmannMachine((4,), 2, "categorical"),
        "hidden must be positive": lambda: models.RestrictedBoltzmannMachine((4,), 0),
        "contrast is a statistic of the whole batch": lambda: compiled(chains=4).compile("sgd", micro_batches=2),
        "is not conditional": lambda: machine().sample(2, y=1),
    }.items():
        with pytest.raises(InputError, match=words):
            wrong()
