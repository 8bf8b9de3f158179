"""Generative stochastic networks, against their chain by hand and against a stationary distribution."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

from kerasae import layers, models, networks
from kerasae.errors import InputError
from kerasae.layers.draws import Draws

RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, (6, 4)).astype("float32")


def model(shape=4, code=3, **options):
    keras.utils.set_random_seed(3)
    pair = networks.dense((shape,), code, (), code_activation="tanh")
    given = {"corruption": layers.SaltAndPepperCorruption(0.4), "walkback": 3, "code_noise": 0.5, **options}
    return models.GenerativeStochasticNetwork(*pair, "bernoulli", 1.0, **given)


def test_the_term_is_the_chain_by_hand():
    """The same draws, in NumPy: corruption, noise of the code, the units drawn, and the clean x as the aim of all."""
    network, random = model(), Draws(0)
    v, c, w, b = (np.asarray(k, dtype=float) for k in (*network.encoder.weights, *network.decoder.weights))
    x, found = X.astype(float), 0.0
    for _ in range(3):
        u = np.asarray(random.uniform(X.shape))
        corrupted = np.where(u < 0.4, u >= 0.2, x)
        z = np.tanh(corrupted @ v + c) + 0.5 * np.asarray(random.normal((6, 3)))
        p = expit(z @ w + b)
        found = found - (X * np.log(p) + (1 - X) * np.log(1 - p)).sum(1) / 3
        x = (np.asarray(random.uniform(X.shape)) < p).astype(float)
    np.testing.assert_allclose(network(network.prepare(X)).terms["reconstruction"], found, rtol=1e-4)


def test_one_step_without_noise_is_the_denoising_autoencoder():
    network = model(walkback=1, code_noise=0.0, corruption=layers.MaskingCorruption(0.0))
    plain = models.Autoencoder(network.encoder, network.decoder, "bernoulli", 1.0)
    ours, theirs = (one(one.prepare(X)).terms["reconstruction"] for one in (network, plain))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_array_equal(network.reconstruct(X), plain.reconstruct(X))


def test_no_gradient_goes_from_one_step_to_the_step_before():
    """With a mean of the steps' gradients, each from its own start, taken apart."""
    network = model()
    batch, random = network.prepare(X), Draws(0)
    weights = [w.value for w in network.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network.objective(batch)["reconstruction"])
    whole, x, parts = tape.gradient(loss, weights), batch.x, []
    for _ in range(3):
        with tf.GradientTape() as tape:
            parameters = network.parameters_after(batch._replace(x=x), random)
            loss = -tf.reduce_sum(network.likelihood.log_prob(parameters, X))
        parts.append(tape.gradient(loss, weights))
        x = network.likelihood.draw(parameters, random)
    for mine, each in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_allclose(mine, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)


def test_chains_come_to_the_shares_of_the_data():
    """Of independent units, which the decoder can hold exactly: arXiv 1305.6663, theorem 1.

    All examples are known, so that training sees their exact shares of 0.75 and 0.3.
    """
    data = np.array([[i < 15, j < 6] for i in range(20) for j in range(20)], dtype="uint8")
    network = model(2, 4, code_noise=0.0, walkback=1, corruption=layers.SaltAndPepperCorruption(0.5))
    network.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, 600)), steps_per_execution=50)
    network.fit(tf.data.Dataset.from_tensors(data).repeat(), steps_per_epoch=600, verbose=0, shuffle=False)
    drawn = np.asarray(network.sample(4000, seed=1, batch_size=4000, steps=40))
    np.testing.assert_allclose(drawn.mean(0), [0.75, 0.3], atol=0.03)


def test_a_chain_yields_every_step_and_its_last_is_a_sample():
    network = model()
    steps = [np.asarray(step) for step in network.chain(X, 4, seed=2)]
    again = [np.asarray(step) for step in network.chain(X, 4, seed=2)]
    assert len(steps) == 4 and all(step.shape == X.shape for step in steps)
    np.testing.assert_array_equal(steps, again)
    assert np.any(steps[2] != steps[3])


def test_mistakes_are_named():
    for words, wrong in {
        "walkback must be": lambda: model(walkback=0),
        "code_noise must be": lambda: model(code_noise=-1.0),
        "is not conditional": lambda: model().sample(2, y=1),
        "steps must be": lambda: next(model().chain(X, 0)),
    }.items():
        with pytest.raises(InputError, match=words):
            wrong()
