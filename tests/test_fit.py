"""What `fit` and the public methods take, what they mean by it, and what they refuse."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasae import distributions, models, networks
from kerasae.errors import InputError
from kerasae.models.contract import Batch
from kerasae.models.contract.terms import logged

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (12, 6, 4, 1)).astype("uint8")


def plain(likelihood="gaussian", **options):
    return models.Autoencoder(*networks.dense((6, 4, 1), 3, (8,)), likelihood, **options)


def compiled(model, optimizer="sgd", **options):
    model.compile(optimizer, run_eagerly=True, **options)
    return model


# ---- y, weights and metrics


def test_fit_of_noisy_and_clean_reconstructs_the_clean():
    model, noisy = compiled(plain()), X / 255 + RNG.normal(0, 0.1, X.shape).astype("float32")
    logs = model.evaluate(noisy, X, verbose=0, return_dict=True)
    rebuilt = np.asarray(model.reconstruct(noisy), dtype=float)
    expected = (0.5 * (rebuilt - X / 255) ** 2 + 0.5 * np.log(2 * np.pi)).sum(axis=(1, 2, 3)).mean()
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    before = model.get_weights()
    model.fit(noisy, X, verbose=0)
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("y", [np.arange(12) % 3, np.zeros((12, 6, 4, 2), "float32")], ids=["labels", "shape"])
def test_a_y_that_means_nothing_is_refused(y):
    with pytest.raises(InputError, match="Autoencoder: has no use for y"):
        compiled(plain()).fit(X, y, verbose=0)


def test_masked_autoencoders_take_no_target():
    networks_of = networks.vit_tiny((8, 8, 1), patch=4)
    model = compiled(models.MaskedAutoencoder(*networks_of))
    images = np.zeros((4, 8, 8, 1), "uint8")
    with pytest.raises(InputError, match="has no use for y.*give x alone"):
        model.train_on_batch(images, images)


def test_weights_of_examples_count_in_the_loss_and_the_terms():
    model, weight = compiled(plain()), np.linspace(0, 2, 12).astype("float32")
    each = np.asarray(model.score(X))
    logs = model.evaluate(X, sample_weight=weight, batch_size=12, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(np.mean(weight * each), rel=1e-5)
    assert logs["reconstruction"] == pytest.approx(np.average(each, weights=weight), rel=1e-5)


def test_weights_of_held_out_examples_count_without_a_target():
    model, weight = compiled(plain()), np.linspace(0, 2, 12).astype("float32")
    history = model.fit(X, epochs=1, validation_data=(X, None, weight), validation_batch_size=12, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(np.mean(weight * np.asarray(model.score(X))), rel=1e-5)


def test_metrics_compare_the_target_with_the_reconstruction():
    metrics = [keras.metrics.MeanSquaredError(name="mse")]
    model = plain()
    model.compile("sgd", metrics=metrics)
    history = model.fit(X, epochs=2, validation_data=(X,), verbose=0).history
    assert set(history) == {"loss", "reconstruction", "mse", "val_loss", "val_reconstruction", "val_mse"}
    expected = np.mean((np.asarray(model.reconstruct(X)) - X / 255) ** 2)
    assert history["val_mse"][-1] == pytest.approx(expected, rel=1e-4)


# ---- values that cannot be meant

FLOATS = (X / 255).astype("float32")
REFUSED = {
    r"floats in \[0, 1\] under Bernoulli.*0 to 25": lambda: plain("bernoulli").score(255 * FLOATS),
    r"floats in \[0, 1\] under Categorical": lambda: models.Autoencoder(
        *networks.dense((6, 4, 1), 3, (8,), pixel_parameters=256), "categorical"
    ).encode(255 * FLOATS),
    "all integers are 0 or 1, which pixel_max=255": lambda: compiled(plain("bernoulli")).fit(X % 2, verbose=0),
    r"integers in 0…15, as pixel_max=15": lambda: plain("bernoulli", pixel_max=15).encode(X),
    r"examples of shape \(6, 4, 1\). Received: \(6, 4\); add the channel axis": lambda: plain().score(X[..., 0]),
    r"examples of shape \(6, 4, 1\). Received: \(4, 6, 1\); build the": lambda: plain().encode(X.reshape(-1, 4, 6, 1)),
    "the decoder ends in sigmoid, which Bernoulli applies itself": lambda: models.Autoencoder(
        networks.dense((6,), 3)[0],
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(6, "sigmoid")]),
        "bernoulli",
    ),
    "batch_size must be": lambda: plain().encode(X, batch_size=0),
}


@pytest.mark.parametrize("words", REFUSED)
def test_values_that_cannot_be_meant_are_refused(words):
    with pytest.raises(InputError, match=words):
        REFUSED[words]()


def test_values_that_can_be_meant_are_taken():
    black = np.zeros_like(X)
    assert np.isfinite(plain("bernoulli").score(black)).all()  # no image of zeros and ones
    dim = black.copy()
    dim[0, 0] = 1
    assert np.isfinite(plain("bernoulli").score(dim)).all()  # one dim picture is no set of binary data
    wide = 5 * RNG.normal(size=X.shape).astype("float32")
    assert np.isfinite(plain().score(wide)).all()
    sigmoid = keras.Sequential([keras.Input((3,)), keras.layers.Dense(6, "sigmoid")])
    models.Autoencoder(networks.dense((6,), 3)[0], sigmoid, distributions.Gaussian(0.5))


def two_inputs(name):
    x, other = keras.Input((6,)), keras.Input((2,), name=name)
    return keras.Model([x, other], keras.layers.Dense(3)(keras.layers.Concatenate()([x, other])))


def test_an_encoder_with_two_inputs_is_understood_or_refused():
    decoder = networks.dense((6,), 3)[1]
    with pytest.raises(InputError, match="a further input 'speed', of which the model does not know"):
        models.Autoencoder(two_inputs("speed"), decoder)
    with pytest.raises(InputError, match="a condition must reach the decoder"):
        models.Autoencoder(two_inputs("condition"), decoder)
    with pytest.raises(InputError, match="takes no mask"):
        models.Autoencoder(two_inputs("mask"), decoder)


def test_a_layer_of_both_networks_is_refused_before_it_is_trained():
    shared, x, z = keras.layers.Dense(4), keras.Input((4,)), keras.Input((4,))
    with pytest.raises(InputError, match="share the layer .*TiedDense"):
        models.Autoencoder(keras.Model(x, shared(x)), keras.Model(z, shared(z)))


# ---- one preparation, one call


def test_a_batch_is_prepared_once(monkeypatch):
    model, seen = compiled(plain()), []
    real = type(model).prepare
    monkeypatch.setattr(type(model), "prepare", lambda self, *args: seen.append(args) or real(self, *args))
    for call in (model.encode, model.reconstruct, model.score, lambda x: model.train_on_batch(x)):
        seen.clear()
        call(X)
        assert len(seen) == 1
    assert isinstance(model.prepare(X), Batch) and model.prepare(X).y is None


def test_a_step_on_a_batch_prepares_the_training_once(monkeypatch):
    """`train_on_batch` asks Keras for its function at every step; what layers write is looked for before the first."""
    model, seen = plain(), []
    model.compile("sgd", micro_batches=2)
    monkeypatch.setattr(model, "forward_once", lambda: seen.append(1))
    for _ in range(3):
        model.train_on_batch(X)
    assert len(seen) == 1


def test_penalties_of_every_call_of_a_network_count():
    """A variant that encodes twice pays for both calls."""

    class Twice(models.Autoencoder):
        def objective(self, batch, training=False):
            self.encoded(batch._replace(x=0.5 * batch.x), training)
            return super().objective(batch, training)

    x = keras.Input((5,))
    encoder = keras.Model(x, keras.layers.Dense(2, activity_regularizer=keras.regularizers.L2(0.2))(x))
    model = compiled(Twice(encoder, networks.dense((5,), 2, ())[1]))
    data = RNG.normal(size=(6, 5)).astype("float32")
    loss, terms = model.losses_of(model.prepare(data), training=False)
    squares = [(np.asarray(encoder(part)) ** 2).sum(1).mean() for part in (data, 0.5 * data)]
    assert float(loss - np.mean(terms["reconstruction"])) == pytest.approx(0.2 * sum(squares), rel=1e-3)


def test_calling_a_model_in_training_uses_its_dropout():
    x, z = keras.Input((5,)), keras.Input((4,))
    pair = keras.Model(x, keras.layers.Dropout(0.5)(keras.layers.Dense(4)(x))), keras.Model(z, keras.layers.Dense(5)(z))
    model, data = models.Autoencoder(*pair), RNG.normal(size=(6, 5)).astype("float32")
    np.testing.assert_array_equal(model(data), model.reconstruct(data))
    assert np.any(np.asarray(model(data, training=True)) != np.asarray(model(data)))


def test_free_bits_hold_the_loss_and_not_what_is_logged():
    model = models.VariationalAutoencoder(*networks.dense((6, 4, 1), 3, (8,), posterior="gaussian"), free_bits=5.0)
    batch = model.prepare(X)
    found = model(batch, training=True)
    loss = next(iter(model.players().values())).loss(found.terms, None, True)
    kl = float(np.mean(logged(found.terms["kl"])))
    assert kl < 10 and float(loss) == pytest.approx(float(np.mean(found.terms["reconstruction"])) + 15, rel=1e-5)
    with pytest.raises(InputError, match="kl is a statistic of the whole batch"):
        model.compile("adam", micro_batches=2)


def test_the_bound_of_many_samples_is_higher_and_score_is_none():
    model = models.VariationalAutoencoder(*networks.dense((6, 4, 1), 3, (8,), posterior="gaussian"), "gaussian")
    one, many = (np.asarray(model.bound(X, samples)) for samples in (1, 500))
    assert one.shape == (12,) and np.mean(many) > np.mean(one)
    np.testing.assert_array_equal(model.bound(X, 500, batch_size=12), many)


def test_a_layer_that_writes_statistics_is_refused_in_parts():
    x = keras.Input((5,))
    encoder = keras.Model(x, keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(2)(x)))
    model = models.Autoencoder(encoder, networks.dense((5,), 2, ())[1])
    model.compile("sgd", micro_batches=2)
    with pytest.raises(InputError, match="norm/moving_mean is a statistic of each part"):
        model.fit(np.zeros((8, 5), "float32"), verbose=0)


# ---- classifier, files


def test_freezing_a_classifier_leaves_its_autoencoder_trainable():
    model = compiled(plain())
    frozen = models.Classifier(model.feature_encoder(), 3, freeze=True)
    assert len(model.trainable_weights) == 8 and len(frozen.trainable_weights) == 2
    frozen.compile("sgd", models.SmoothedCrossentropy(), run_eagerly=True)
    before = model.get_weights()
    frozen.fit(X, np.arange(12) % 3, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(X, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before[:8], model.get_weights()[:8], strict=True) if a.ndim > 1)


def test_keras_own_loader_finds_the_classes_and_a_fitted_model_is_exported(tmp_path):
    model = compiled(plain())
    model.fit(X, verbose=0)
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "exported", verbose=False)
    np.save(tmp_path / "x.npy", FLOATS)
    code = (
        "import json, numpy as np, kerasae, keras, tensorflow as tf; x = np.load('x.npy'); "
        "model = keras.saving.load_model('model.keras'); loaded = tf.saved_model.load('exported'); "
        "served = loaded.serve(x); "
        "print(json.dumps([np.asarray(model(x)).ravel().tolist(), served.numpy().ravel().tolist()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for found in json.loads(done.stdout.splitlines()[-1]):
        np.testing.assert_allclose(np.reshape(found, X.shape), model(FLOATS), rtol=1e-4, atol=1e-5)
