"""Recirculation, against its rule in NumPy, and on the encoder problem."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

import kerasae
from kerasae import models
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(5, 4)).astype("float32")


def model(**options):
    keras.utils.set_random_seed(3)
    return models.Recirculation((4,), 3, pixel_max=1.0, **options)


def weights(network):
    """V [V, H], c, W [H, V], b."""
    return [np.asarray(w, dtype=float) for w in (*network.encoder.weights, *network.decoder.weights)]


def changes(network, y0, keep):
    """ΔV, Δc, ΔW, Δb of one example by the rule."""
    v, c, w, b = weights(network)
    h1 = expit(y0 @ v + c)
    y2 = keep * y0 + (1 - keep) * expit(h1 @ w + b)
    h3 = keep * h1 + (1 - keep) * expit(y2 @ v + c)
    return np.outer(y2, h1 - h3), h1 - h3, np.outer(h1, y0 - y2), y0 - y2


@pytest.mark.parametrize("options", [{}, {"micro_batches": 5}, {"jit_compile": True}], ids=str)
def test_a_step_of_sgd_is_the_rule(options):
    network = model(regression=0.6)
    network.compile(keras.optimizers.SGD(0.7), **options)
    before = weights(network)
    expected = [np.mean(parts, axis=0) for parts in zip(*(changes(network, y, 0.6) for y in X), strict=True)]
    network.train_on_batch(X)
    for old, new, change in zip(before, weights(network), expected, strict=True):
        np.testing.assert_allclose(new - old, 0.7 * change, atol=1e-6)


def test_the_term_is_the_cross_entropy():
    network = model()
    v, c, w, b = weights(network)
    p = expit(expit(X @ v + c) @ w + b)
    expected = -(X * np.log(p) + (1 - X) * np.log(1 - p)).sum(1)
    np.testing.assert_allclose(network.score(X), expected, rtol=1e-5)
    np.testing.assert_allclose(network.reconstruct(X), p, rtol=1e-5)


def test_with_transposed_weights_it_nears_backpropagation():
    """λ → 1 and V = Wᵀ: (1 − λ) times the gradient of the cross-entropy for W, (1 − λ)² for V."""
    network = model(regression=0.999)
    network.decoder.layers[-1].kernel.assign(tf.transpose(network.encoder.layers[-1].kernel))
    with tf.GradientTape() as tape:
        logits = network.decoder(network.encoder(X))
        loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(X, logits))
    trained = [network.encoder.layers[-1].kernel.value, network.decoder.layers[-1].kernel.value]
    encoder, decoder = tape.gradient(loss, trained)
    rule = [np.sum(parts, axis=0) for parts in zip(*(changes(network, y, 0.999) for y in X.astype(float)), strict=True)]
    np.testing.assert_allclose(rule[2] / 1e-3, -decoder, rtol=2e-2, atol=1e-3)
    cosine = np.sum(rule[0] * -encoder) / np.linalg.norm(rule[0]) / np.linalg.norm(encoder)
    assert cosine > 0.99 and np.linalg.norm(rule[0]) / np.linalg.norm(encoder) == pytest.approx(1e-6, rel=0.05)


def is_solved(network):
    """Whether every pattern comes back with each unit on its side of one half, and its own the greatest."""
    patterns = np.eye(8)
    found = np.asarray(network.reconstruct(patterns.astype("uint8")))
    return np.array_equal(found > 0.5, patterns == 1) and np.array_equal(found.argmax(1), np.arange(8))


def test_recirculation_solves_the_encoder_problem():
    x = kerasae.data.load("onehot:8").test.arrays()[0]
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        network = models.Recirculation((8,), 3, pixel_max=1.0)
        assert not is_solved(network)
        network.compile(keras.optimizers.SGD(20.0), steps_per_execution=500)
        network.fit(tf.data.Dataset.from_tensors(x).repeat(), steps_per_epoch=1000, verbose=0, shuffle=False)
        assert is_solved(network), seed


def test_the_encoder_problem_holds_every_pattern_equally_often():
    source = kerasae.data.load("onehot:8")
    train, test = (split.arrays()[0] for split in (source.train, source.test))
    assert source.info.max_value == 1 and source.info.shape == (8,) and len(train) >= 1000
    np.testing.assert_array_equal(test, np.eye(8))
    assert np.all(train.sum(0) == len(train) / 8) and np.all(train.sum(1) == 1)


def test_mistakes_are_named():
    for words, wrong in {
        "a whole number from 2 to 4096": lambda: kerasae.data.load("onehot:1"),
        "onehot: expected a whole number": lambda: kerasae.data.load("onehot:many"),
        "expected onehot:N": lambda: kerasae.data.load("onehot"),
        "regression must be": lambda: model(regression=1.0),
        "likelihood must be": lambda: models.Recirculation.of_networks(
            *kerasae.networks.dense((4,), 2), "gaussian", 1.0
        ),
    }.items():
        with pytest.raises(InputError, match=words):
            wrong()
