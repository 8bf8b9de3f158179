"""The semi-supervised variational autoencoder: its two bounds by NumPy, unknown labels, what it refuses."""

import keras
import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.models import SemiSupervisedVariationalAutoencoder

RNG = np.random.default_rng(0)
X = RNG.random((8, 6)).astype("float32")
Y = np.array([0, 1, 2, -1, 1, -1, 0, -1])


def small(condition_encoder=True, **options):
    encoder, decoder = kerasae.networks.dense((6,), 2, (5,), posterior="gaussian", condition=3)
    if not condition_encoder:
        encoder, _ = kerasae.networks.dense((6,), 2, (5,), posterior="gaussian")
    return SemiSupervisedVariationalAutoencoder(encoder, decoder, "bernoulli", **options)


def layers_of(network, x):
    """NumPy's forward pass through dense layers with rectifiers between them."""
    weights = network.get_weights()
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        x = np.maximum(x, 0) if kernel is not weights[0] else x
        x = x @ kernel + bias
    return x


def log_q(model, x):
    logits = layers_of(model.classifier, x)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def labelled_bound(model, x, y, noise, conditional=True):
    """(−log p(x | y, z), KL) of eq. 6 by NumPy for examples x whose classes are all y."""
    condition = np.tile(np.eye(3)[y], (len(x), 1))
    given = np.concatenate([x, condition], 1) if conditional else x
    mean, log_var = np.split(layers_of(model.encoder, given), 2, axis=1)
    z = mean + np.exp(log_var / 2) * noise
    logits = layers_of(model.decoder, np.concatenate([z, condition], 1))
    return -np.sum(x * logits - np.logaddexp(0, logits), 1), 0.5 * np.sum(mean**2 + np.exp(log_var) - 1 - log_var, 1)


@pytest.mark.parametrize("conditional", [True, False], ids=["q(z | x, y)", "q(z | x)"])
def test_objective_is_eq_6_and_7_by_numpy(conditional):
    model = small(conditional, alpha=3.0)
    noise = model.random(False).normal((8, 3 if conditional else 1, 2)).numpy()
    each = [labelled_bound(model, X, y, noise[:, y if conditional else 0], conditional) for y in range(3)]
    costs, chances = np.stack([sum(parts) + np.log(3) for parts in each], 1), np.exp(log_q(model, X))
    unlabelled = np.sum(chances * (costs + log_q(model, X)), 1)
    bound = np.where(Y < 0, unlabelled, costs[np.arange(8), Y])
    classification = np.where(Y < 0, 0, -log_q(model, X)[np.arange(8), Y])
    terms = model(model.prepare(X, Y)).terms
    np.testing.assert_allclose(sum(terms[n] for n in model.terms[:3]), bound, rtol=1e-4)
    np.testing.assert_allclose(terms["classification"], classification, rtol=1e-4, atol=1e-6)
    model.compile("sgd")
    loss = model.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(np.mean(bound + 3 * classification), rel=1e-5)


def test_an_example_without_a_label_costs_the_least_by_the_posterior_of_the_classes():
    """U(x) over free q(y | x) has its minimum −log Σ_y exp(−L(x, y)) at q ∝ exp(−L): Bayes."""
    model = small()
    reconstruction, kl = model.terms_by_class(model.prepare(X))
    costs = np.asarray(reconstruction + kl) + np.float32(np.log(3))
    best = -np.log(np.exp(-costs).sum(1))
    found = sum(model.bound_terms(model.prepare(X), -costs).values())
    np.testing.assert_allclose(found, best, rtol=1e-5)
    assert np.all(np.asarray(model.score(X)) > best)


def test_unknown_labels_are_filled_in_with_the_most_likely_class():
    model = small()
    filled = np.where(Y < 0, np.asarray(model.probabilities(X)).argmax(1), Y)
    for method in (model.encode, model.reconstruct):
        np.testing.assert_array_equal(method(X, Y), method(X, filled))
        np.testing.assert_array_equal(method(X), method(X, [-1] * 8))
        np.testing.assert_array_equal(method(X), method(X, np.asarray(model.probabilities(X)).argmax(1)))
    np.testing.assert_allclose(model.feature_encoder()(X), model.encode(X), rtol=1e-6)
    np.testing.assert_allclose(model.probabilities(X, batch_size=3), np.exp(log_q(model, X)), rtol=1e-5)


def test_samples_without_a_class_are_of_all_classes():
    model = small()
    drawn, seeds = np.asarray(model.sample(300, seed=1)), [np.asarray(model.sample(300, y, seed=1)) for y in range(3)]
    shares = [np.mean(np.all(np.isclose(drawn, one, atol=1e-6), axis=1)) for one in seeds]
    assert sum(shares) == pytest.approx(1) and min(shares) > 0.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small().decode(np.zeros((1, 2)), [-1]), "expected classes 0 to 2.*Received: -1"),
        (lambda: small().encode(X, Y - 1), "expected classes -1 to 2.*Received: -2"),
        (lambda: small(classifier=kerasae.networks.dense((6,), 4)[0]), "give.*logit|gives \\(4,\\)"),
        (
            lambda: SemiSupervisedVariationalAutoencoder(*kerasae.networks.dense((6,), 2, posterior="gaussian")),
            "condition=K",
        ),
        (lambda: small(alpha=-1.0), "alpha must be ≥ 0"),
    ],
)
def test_mistakes_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_ten_labels_of_two_clouds_are_enough(tmp_path):
    """Two clouds that two labels name: what has no label shows where they end; saved and loaded it is the same."""
    keras.utils.set_random_seed(0)
    y = np.arange(400) % 2
    x = np.where(y[:, None], [0.9, 0.1, 0.9, 0.1], [0.1, 0.9, 0.1, 0.9]) + RNG.normal(0, 0.2, (400, 4))
    x, known = np.clip(x, 0, 1).astype("float32"), np.where(np.arange(400) < 4, y, -1)
    pair = kerasae.networks.dense((4,), 2, (16,), posterior="gaussian", condition=2)
    model = SemiSupervisedVariationalAutoencoder(*pair, alpha=10.0)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(x, known, batch_size=50, epochs=15, verbose=0)
    assert np.mean(np.asarray(model.probabilities(x)).argmax(1) == y) > 0.98
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.probabilities(x), model.probabilities(x))
    np.testing.assert_array_equal(again.score(x, known), model.score(x, known))
