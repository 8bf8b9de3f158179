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
from kerasae.models import boltzmann
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


def centred_by_hand(gradients, visible, hidden):
    """The gradients of W, b and c of a centred machine: Melchior, Fischer and Wiskott (2016), algorithm 1, by loops."""
    w, b, c = (np.array(g, dtype=float) for g in gradients)
    kernel = np.zeros_like(w)
    for i, j in np.ndindex(*w.shape):
        kernel[i, j] = w[i, j] - visible[i] * c[j] - b[i] * hidden[j]
    return kernel, b - kernel @ hidden, c - kernel.T @ visible


@pytest.mark.parametrize("options", [{}, {"micro_batches": 2}, {"jit_compile": True}], ids=str)
def test_centred_steps_are_those_of_the_centred_machine(options):
    """Two machines draw the same chains; the second's gradients are centred by hand, with the new running means."""
    plain, rbm = machine(spread=0.5), machine(spread=0.5, centring=0.2)
    data = STATES[[1, 7, 9, 20]]
    for ours, theirs in zip(rbm.trainable_weights, plain.trainable_weights, strict=True):
        theirs.assign(ours)
    for one in (plain, rbm):
        one.compile(keras.optimizers.SGD(1.0), **options)
        one.seed_generator.state.assign([5, 0])
    before, c = parameters(rbm), np.asarray(rbm.hidden_bias, dtype=float)
    plain.train_on_batch(data)
    rbm.train_on_batch(data)
    gradients = [old - new for old, new in zip(before, parameters(plain), strict=True)]
    visible = 0.8 * 0.5 + 0.2 * data.mean(0)
    hidden = 0.8 * 0.5 + 0.2 * expit(data @ before[0] + c).mean(0)
    np.testing.assert_allclose(rbm.visible_offset, visible, rtol=1e-5)
    np.testing.assert_allclose(rbm.hidden_offset, hidden, rtol=1e-5)
    expected = centred_by_hand(gradients, visible, hidden)
    for old, new, gradient in zip(before, parameters(rbm), expected, strict=True):
        np.testing.assert_allclose(old - new, gradient, atol=1e-5)


def test_a_centred_step_treats_ink_and_paper_alike():
    """A step on 1 − v, of the machine with the states of v exchanged, gives the same machine with exchanged states."""
    data, flipped = STATES[[1, 7, 9, 20]], 1 - STATES[[1, 7, 9, 20]]
    rbm, twin = (machine(spread=0.5, centring=1.0, steps=1) for _ in range(2))
    w, b, c = parameters(rbm)
    twin.kernel.assign(-w), twin.visible_bias.assign(-b), twin.hidden_bias.assign(c + w.sum(0))
    after = []
    for one, x in ((rbm, data), (twin, flipped)):
        chain = STATES[[3, 5, 11, 30]] if one is rbm else 1 - STATES[[3, 5, 11, 30]]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(one.free_energy(x)) - tf.reduce_mean(one.free_energy(chain))
        weights = [one.kernel.value, one.visible_bias.value, one.hidden_bias.value]
        mean = x.mean(0), np.asarray(one.encode(x)).mean(0)
        moved = boltzmann.centred(*tape.gradient(loss, weights), *mean)
        after.append([w - np.asarray(g, dtype=float) for w, g in zip(parameters(one), moved, strict=True)])
    (w, b, c), (w2, b2, c2) = after
    np.testing.assert_allclose(w2, -w, atol=1e-5)
    np.testing.assert_allclose(b2, -b, atol=1e-5)
    np.testing.assert_allclose(c2, c + w.sum(0), atol=1e-5)


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
        "optimizer must be SGD": lambda: machine(centring=0.1).compile("adam"),
        "centring must be a share": lambda: models.RestrictedBoltzmannMachine((4,), 2, centring=1.5),
        "hidden must be positive": lambda: models.RestrictedBoltzmannMachine((4,), 0),
        "contrast is a statistic of the whole batch": lambda: compiled(chains=4).compile("sgd", micro_batches=2),
        "is not conditional": lambda: machine().sample(2, y=1),
    }.items():
        with pytest.raises(InputError, match=words):
            wrong()
