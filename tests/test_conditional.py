"""The class-conditional variational autoencoder: a `VariationalAutoencoder` whose networks take a condition."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

import kerasae
from kerasae.errors import InputError
from kerasae.models import VariationalAutoencoder

RNG = np.random.default_rng(0)
X = RNG.random((8, 6)).astype("float32")
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])
ONE_HOT = np.eye(3, dtype="float32")[Y]


def conditional(classes=3, likelihood="bernoulli", **options):
    networks = kerasae.networks.dense((6,), 2, (5,), posterior="gaussian", condition=classes)
    return VariationalAutoencoder(*networks, likelihood, **options)


def plain(likelihood="bernoulli"):
    return VariationalAutoencoder(*kerasae.networks.dense((6,), 2, (5,), posterior="gaussian"), likelihood)


def dense(network, x):
    """NumPy's forward pass through two dense layers, the first with a rectifier."""
    first, first_bias, last, last_bias = network.get_weights()
    return np.maximum(x @ first + first_bias, 0) @ last + last_bias


def terms(model, x, y, noise, target=None):
    """(−log p(x | z, y), KL) of each example by NumPy, y [B, K] or None."""
    joined = (lambda v: v) if y is None else (lambda v: np.concatenate([v, y], axis=1))
    mean, log_var = np.split(dense(model.encoder, joined(x)), 2, axis=1)
    logits = dense(model.decoder, joined(mean + np.exp(log_var / 2) * noise))
    log_p = np.sum((x if target is None else target) * logits - np.logaddexp(0, logits), axis=1)
    return -log_p, 0.5 * np.sum(mean**2 + np.exp(log_var) - 1 - log_var, axis=1)


def noise_of(model):
    return model.random(training=False).normal((8, 2)).numpy()


@pytest.mark.parametrize("y", [Y, Y[:, None], ONE_HOT, Y.astype("float32")], ids=["[B]", "[B, 1]", "one-hot", "floats"])
def test_objective_is_numpys(y):
    model = conditional(beta=0.3)
    reconstruction, kl = terms(model, X, ONE_HOT, noise_of(model))
    model.compile("sgd")
    found = model.evaluate(X, y, verbose=0, return_dict=True)
    assert found["reconstruction"] == pytest.approx(reconstruction.mean(), rel=1e-5)
    assert found["kl"] == pytest.approx(kl.mean(), rel=1e-4)
    assert found["loss"] == pytest.approx(reconstruction.mean() + 0.3 * kl.mean(), rel=1e-5)


def test_sample_weights_weigh_examples():
    model = conditional()
    weight = RNG.random(8).astype("float32")
    total = sum(terms(model, X, ONE_HOT, noise_of(model)))
    model.compile("sgd")
    assert model.evaluate(X, Y, sample_weight=weight, verbose=0, return_dict=True)["loss"] == pytest.approx(
        np.mean(total * weight), rel=1e-5
    )
    weightless, kept = conditional(), {"sample_weight": np.float32([1] * 4 + [0] * 4), "batch_size": 8, "verbose": 0}
    twin = conditional()
    twin.set_weights(weightless.get_weights())
    changed = X.copy()
    changed[4:] = 0.5
    for one, x in ((weightless, X), (twin, changed)):
        keras.utils.set_random_seed(1)
        one.seed_generator.state.assign([1, 1])
        one.compile(keras.optimizers.SGD(0.1))
        one.fit(x, Y, shuffle=False, **kept)
    for a, b in zip(weightless.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_methods_take_the_condition():
    model = conditional()
    z = np.asarray(model.encode(X, Y))
    mean = np.split(dense(model.encoder, np.concatenate([X, ONE_HOT], axis=1)), 2, axis=1)[0]
    np.testing.assert_allclose(z, mean, rtol=1e-4, atol=1e-5)
    logits = dense(model.decoder, np.concatenate([z, ONE_HOT], axis=1))
    for found in (model.decode(z, Y), model.reconstruct(X, Y), model.reconstruct(X, Y, batch_size=3)):
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-4, atol=1e-5)
    assert model.score(X, Y).shape == (8,) and model.bound(X, y=Y, samples=3).shape == (8,)
    assert np.any(np.abs(np.asarray(model.decode(z, (Y + 1) % 3)) - model.decode(z, Y)) > 1e-3)


def test_samples_take_one_class_or_many():
    model = conditional()
    one = model.sample(4, y=2, seed=1)
    np.testing.assert_array_equal(one, model.sample(4, y=[2] * 4, seed=1))
    np.testing.assert_array_equal(one, model.sample(4, y=np.eye(3)[[2] * 4], seed=1))
    assert np.any(np.asarray(one) != model.sample(4, y=1, seed=1))
    assert np.any(np.asarray(one) != model.sample(4, y=2, seed=2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(X, verbose=0), r"take a condition; give \(x, y\)"),
        (lambda m: m.encode(X), r"take a condition; give \(x, y\)"),
        (lambda m: m.decode(np.zeros((8, 2))), r"decode takes \(z, y\)"),
        (lambda m: m.sample(4), r"decode takes \(z, y\)"),
        (lambda m: m.fit(X, Y + 1, verbose=0), "expected classes 0 to 2.*Received: 1 to 3"),
        (lambda m: m.encode(X, Y - 1), "expected classes 0 to 2.*Received: -1 to 1"),
        (lambda m: m.decode(np.zeros((8, 2)), Y + 1), "expected classes 0 to 2.*Received: 1 to 3"),
        (lambda m: m.sample(4, y=3), "expected classes 0 to 2.*Received: 3 to 3"),
        (lambda m: m.sample(4, y=[0.5] * 4), "expected classes 0 to 2.*Received: 0.5 to 0.5"),
        (lambda m: m.sample(4, y=[0, 1]), "one condition per example, 4. Received: 2"),
        (lambda m: m.encode(X, Y[:5]), "one condition per example, 8. Received: 5"),
        (lambda m: m.encode(X, np.zeros((8, 4))), r"numbers \[B, 3\]. Received: \(8, 4\)"),
    ],
)
def test_mistakes_are_refused(call, message):
    model = conditional()
    model.compile("sgd")
    with pytest.raises(InputError, match=message):
        call(model)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.fit(X, Y, verbose=0),
        lambda m: m.evaluate(X, Y, verbose=0),
        lambda m: m.encode(X, Y),
        lambda m: m.score(X, Y),
        lambda m: m.bound(X, y=Y),
        lambda m: m.decode(np.zeros((8, 2)), Y),
        lambda m: m.sample(4, y=2),
    ],
)
def test_a_condition_is_refused_by_a_model_that_takes_none(call):
    model = plain()
    model.compile("sgd")
    with pytest.raises(InputError, match="has no use for y"):
        call(model)


def test_pairs_train_towards_the_clean_one():
    model = plain()
    noisy = np.clip(X + RNG.normal(0, 0.2, X.shape), 0, 1).astype("float32")
    reconstruction, kl = terms(model, noisy, None, noise_of(model), target=X)
    model.compile("sgd")
    found = model.evaluate(noisy, X, verbose=0, return_dict=True)
    assert found["reconstruction"] == pytest.approx(reconstruction.mean(), rel=1e-5)
    assert found["kl"] == pytest.approx(kl.mean(), rel=1e-4)


@pytest.fixture(scope="module")
def trained():
    """(model, real images in [0, 1], their classes)."""
    x, y = kerasae.data.load("digits").train.arrays()
    keras.utils.set_random_seed(3)
    networks = kerasae.networks.dense((8, 8, 1), 4, (64,), posterior="gaussian", condition=10)
    model = VariationalAutoencoder(*networks, "bernoulli", 16.0)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(x, y, batch_size=64, epochs=40, verbose=0)
    return model, x / 16.0, y


def test_sampled_digits_are_of_the_class_that_was_asked_for(trained, capsys):
    """A logistic regression of real digits recognises all of 500; by chance it would 10 %."""
    model, x, y = trained
    judge = LogisticRegression(max_iter=300).fit(x.reshape(len(x), -1), y)
    asked = np.arange(500) % 10
    sampled = np.asarray(model.sample(500, y=asked, seed=1)).reshape(500, -1)
    found = np.mean(judge.predict(sampled) == asked)
    threes = np.asarray(model.sample(50, y=3, seed=2))
    same_style = np.asarray(model.decode(np.repeat(np.zeros((1, 4), "float32"), 10, axis=0), np.arange(10)))
    spread = threes.std(0).mean()
    with capsys.disabled():
        print(f"\nclass of samples {found:.3f}, deviation of threes {spread:.3f}")
    assert found > 0.8
    assert np.mean(judge.predict(threes.reshape(50, -1)) == 3) > 0.8 and spread > 0.03  # z varies the style
    assert np.mean(judge.predict(same_style.reshape(10, -1)) == np.arange(10)) >= 0.8  # y the class


def test_saves_and_loads(trained, tmp_path):
    model, x, y = trained
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.sample(5, y=3, seed=1), model.sample(5, y=3, seed=1))
    np.testing.assert_array_equal(again.score(x[:20], y[:20]), model.score(x[:20], y[:20]))


def test_the_loop_trains_it_as_fit_does(tmp_path):
    data = tf.data.Dataset.from_tensors((X, Y)).repeat()
    plan = kerasae.training.Plan(epochs=2, steps_per_epoch=3)
    weights = []
    for way in ("fit", "loop"):
        keras.utils.set_random_seed(1)
        model = conditional()
        model.compile(keras.optimizers.SGD(0.1))
        if way == "fit":
            model.fit(data, epochs=2, steps_per_epoch=3, verbose=0)
        else:
            kerasae.training.train(model, lambda step: data, plan, kerasae.training.Checkpoints(tmp_path))
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
