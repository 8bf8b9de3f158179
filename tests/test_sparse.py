"""Sparse autoencoders: the penalty against SciPy, its gradient against the notes, the activity that it leads to."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.stats import entropy

import kerasae
from kerasae.distributions import bernoulli_kl
from kerasae.errors import InputError
from kerasae.models import SparseAutoencoder
from pipelines import train

X = np.random.default_rng(0).integers(0, 16, (9, 6)).astype("uint8")


def networks_of(activation="sigmoid"):
    return kerasae.networks.dense((6,), 4, (5,), activation="tanh", code_activation=activation)


def model_of(**options):
    return SparseAutoencoder(*networks_of(), **{"pixel_max": 15.0, **options})


@pytest.mark.parametrize("target", [0.05, 0.5, 0.9])
def test_divergence_is_scipys(target):
    mean = np.float32([1e-4, 0.05, 0.3, 0.5, 0.99])
    expected = [entropy([target, 1 - target], [m, 1 - m]) for m in mean.astype(float)]
    np.testing.assert_allclose(bernoulli_kl(target, mean), expected, rtol=1e-4, atol=1e-6)


def test_divergence_is_finite_where_a_unit_is_never_or_always_active():
    mean = tf.constant([0.0, 1.0])
    assert np.isfinite(bernoulli_kl(0.05, mean)).all() and bernoulli_kl(0.05, mean).dtype == "float32"


def test_term_is_of_the_mean_over_the_batch():
    model = model_of(target_activity=0.1)
    term = model.objective(model.prepare(X))["sparsity"]
    means = np.array(model.encode(X)).astype(float).mean(0)
    expected = sum(entropy([0.1, 0.9], [m, 1 - m]) for m in means)
    assert float(term.value) == pytest.approx(expected, rel=1e-5)
    assert model.statistics == ("sparsity",)


def test_gradient_is_the_one_of_the_notes():
    """d/dz_ij of Σ KL is (−ρ/ρ̂_j + (1 − ρ)/(1 − ρ̂_j)) / B, whichever example i."""
    model, z = model_of(target_activity=0.2), tf.Variable(tf.random.uniform((7, 4), 0.05, 0.95, seed=1))
    with tf.GradientTape() as tape:
        value = model.sparsity_term(z).value
    means = z.numpy().mean(0)
    expected = np.tile((-0.2 / means + 0.8 / (1 - means)) / 7, (7, 1))
    np.testing.assert_allclose(tape.gradient(value, z), expected, rtol=1e-4)


def test_l1_is_per_example_and_takes_any_code():
    model = SparseAutoencoder(*networks_of(None), pixel_max=15.0, penalty="l1")
    term = model.objective(model.prepare(X))["sparsity"]
    np.testing.assert_allclose(term, np.abs(model.encode(X)).sum(-1), rtol=1e-5)
    assert model.statistics == () and set(model.knobs()) == {"sparsity_weight"}
    model.compile("adam", micro_batches=3)
    assert np.isfinite(model.train_on_batch(X)).all()


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "softmax"])
def test_codes_that_can_leave_the_unit_interval_are_refused(activation):
    with pytest.raises(InputError, match="must end in a sigmoid"):
        SparseAutoencoder(*networks_of(activation), pixel_max=15.0)


@pytest.mark.parametrize(
    ("ends", "sound"),
    [
        ([layers.Activation("sigmoid")], True),
        ([layers.Dense(4, "sigmoid"), layers.Reshape((4,))], True),
        ([keras.Sequential([keras.Input((4,)), layers.Dense(4, "sigmoid")])], True),
        ([layers.Dense(4, "sigmoid"), layers.LayerNormalization()], False),
        ([layers.Dense(4, "sigmoid"), layers.Dense(4)], False),
    ],
)
def test_the_last_layer_that_computes_decides(ends, sound):
    encoder = keras.Sequential([keras.Input((6,)), layers.Dense(4), *ends])
    if sound:
        SparseAutoencoder(encoder, networks_of()[1])
    else:
        with pytest.raises(InputError, match="must end in a sigmoid"):
            SparseAutoencoder(encoder, networks_of()[1])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"penalty": "l2"}, "penalty must be one of kl, l1. Received: 'l2'"),
        ({"target_activity": 0.0}, "target_activity must be"),
        ({"target_activity": 1.0}, "target_activity must be"),
        ({"sparsity_weight": -0.1}, "sparsity_weight must be ≥ 0.0"),
        ({"penalty": "l1", "target_activity": 0.1}, "has no target_activity"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)


def trained_on_digits(train, **options):
    keras.utils.set_random_seed(1)
    activation = "relu" if options.get("penalty") == "l1" else "sigmoid"
    networks = kerasae.networks.dense((8, 8, 1), 64, (), code_activation=activation)
    model = SparseAutoencoder(*networks, pixel_max=16.0, **options)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(train, batch_size=128, epochs=30, verbose=0)
    return model


def test_learns_digits_with_units_that_are_rarely_active():
    """Beats the mean image; the mean activity of the units is the one asked for; "l1" lowers it, too."""
    source = kerasae.data.load("digits")
    (train, _), (test, _) = source.train.arrays(), source.test.arrays()
    baseline = np.mean((train.mean(0) - test) ** 2) / 16.0**2

    def figures(**options):
        model = trained_on_digits(train, **options)
        codes = np.array(model.encode(test))
        return np.mean((model.reconstruct(test) - test / 16.0) ** 2) / baseline, codes

    (error, codes), (free_error, free_codes) = (
        figures(sparsity_weight=1.0, target_activity=0.1),
        figures(sparsity_weight=0),
    )
    (l1_error, l1_codes), (dense_error, dense_codes) = (figures(penalty="l1", sparsity_weight=w) for w in (0.2, 0.0))
    print("kl", error, codes.mean(), "none", free_error, free_codes.mean())
    print("l1", l1_error, np.mean(l1_codes > 0), "none", dense_error, np.mean(dense_codes > 0))
    assert error < 0.5 and l1_error < 0.5
    assert np.abs(codes.mean(0) - 0.1).max() < 0.05 and codes.mean() < 0.5 * free_codes.mean()
    assert np.mean(l1_codes > 0) < 0.7 * np.mean(dense_codes > 0)


def test_the_command_gives_the_mean_activity_of_the_units():
    model, source = model_of(target_activity=0.2), SimpleNamespace(test=X, has_test=True, info=SimpleNamespace(kind=""))
    found = train.measure(SimpleNamespace(epoch=1, seconds=1.0), model, source)
    means = np.asarray(model.encode(X), float).mean(axis=0)
    expected = {"activity": means.mean(), "activity_least": means.min(), "activity_greatest": means.max()}
    assert {name: found[f"test_{name}"] for name in expected} == pytest.approx(expected, rel=1e-5)
    plain = SparseAutoencoder(*networks_of(), pixel_max=15.0, penalty="l1")
    assert "test_activity" not in train.measure(SimpleNamespace(epoch=1, seconds=1.0), plain, source)


def test_activity_is_of_the_whole_data_set():
    """A last, smaller batch counts by its examples."""
    same = SimpleNamespace(encode=lambda x: x, pixel_max=1)
    found = kerasae.evaluate.unit_activity(same, np.float32([[1, 0], [0, 0], [1, 1]]), batch_size=2)
    assert found == pytest.approx({"activity": 0.5, "activity_least": 1 / 3, "activity_greatest": 2 / 3})
