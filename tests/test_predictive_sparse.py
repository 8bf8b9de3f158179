"""Predictive sparse decomposition: FISTA against scikit-learn, the objective against NumPy, what predictions lose."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import sparse_encode

import kerasae
from kerasae.errors import InputError
from kerasae.models import PredictiveSparseDecomposition
from kerasae.ops import fista, shrink

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 6)).astype("float32")


def unit_atoms(count, width):
    atoms = RNG.normal(size=(count, width)).astype("float32")
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def model_of(**options):
    keras.utils.set_random_seed(3)
    model = PredictiveSparseDecomposition((6,), 10, **options)
    model.dictionary.center.assign(np.linspace(-0.3, 0.4, 6))
    model.predictor.gain.assign(np.linspace(0.5, 1.5, 10))
    return model


def loss(x, z, atoms, weight):
    return 0.5 * np.square(x - z @ atoms).sum(1) + weight * np.abs(z).sum(1)


def test_shrink_moves_towards_zero():
    np.testing.assert_allclose(shrink(np.float32([-2, -0.5, 0.5, 3]), 1.0), [-1, 0, 0, 2])


@pytest.mark.parametrize("weight", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(4, 6), (15, 6), (40, 12)])
def test_fista_finds_the_codes_of_the_lasso(weight, shape):
    atoms, x = unit_atoms(*shape), RNG.normal(size=(7, shape[1])).astype("float32")
    expected = sparse_encode(x, atoms, algorithm="lasso_lars", alpha=weight, max_iter=10000)
    found = tf.function(lambda x: fista(x, atoms, weight, steps=1000), jit_compile=True)(x)
    assert np.abs(loss(x, found, atoms, weight) / loss(x, expected, atoms, weight) - 1).max() < 1e-3
    if weight > 0.1:  # below, codes far apart have nearly the same loss
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_fista_descends_and_starts_where_it_is_told():
    atoms = unit_atoms(15, 6)
    losses = [loss(X, np.asarray(fista(X, atoms, 0.3, steps=n)), atoms, 0.3).mean() for n in (0, 5, 20, 100)]
    assert losses == sorted(losses, reverse=True) and losses[0] > 1.2 * losses[-1]
    best = fista(X, atoms, 0.3, steps=2000)
    np.testing.assert_allclose(fista(X, atoms, 0.3, steps=1, start=best), best, atol=1e-3)


def test_the_best_code_minimises_all_three_terms():
    """No small change of z* lowers the loss, and the terms are those of z*."""
    model = model_of(sparsity_weight=0.4, prediction_weight=0.7, steps=500)
    layer = model.dictionary
    w, b, atoms, center = (np.asarray(v, dtype=float) for v in (layer.kernel, layer.bias, layer.atoms, layer.center))
    f = np.linspace(0.5, 1.5, 10) * np.tanh((X - center) @ w + b)

    def parts(z):
        return np.square(X - center - z @ atoms).sum(1), np.abs(z).sum(1), np.square(z - f).sum(1)

    def total(z):
        return np.dot([1, 0.4, 0.7], parts(z))

    np.testing.assert_allclose(model.encode(X), f, rtol=1e-4, atol=1e-5)
    z = np.asarray(model.best_code(model.prepare(X).x, model.encode(X), 500), dtype=float)
    terms = model.objective(model.prepare(X), training=True)
    for name, expected in zip(model.terms, parts(z), strict=True):
        np.testing.assert_allclose(terms[name], expected, rtol=1e-3, atol=1e-5)
    changes = RNG.normal(scale=1e-2, size=(200, 10))
    assert all(np.all(total(z + change) > total(z) - 1e-6) for change in changes)
    assert np.any(z == 0) and np.any(z != 0)


def test_infer_gives_the_codes_of_the_lasso():
    model = model_of(sparsity_weight=0.4)
    atoms, center = np.asarray(model.dictionary.atoms), np.asarray(model.dictionary.center)
    expected = sparse_encode(X - center, atoms, algorithm="lasso_lars", alpha=0.2, max_iter=10000)
    np.testing.assert_allclose(model.infer(X, steps=1000), expected, atol=0.02)


def test_predictions_come_close_to_inference_on_digits():
    """The code of one product reconstructs nearly as well as the code of 200 iterations, far better than untrained."""
    source = kerasae.data.load("digits")
    (train, _), (test, _) = source.train.arrays(), source.test.arrays()
    keras.utils.set_random_seed(1)
    model = PredictiveSparseDecomposition((8, 8, 1), 64, pixel_max=16.0, sparsity_weight=0.2)
    model.dictionary.center.assign((train.mean(0) / 16.0).ravel())
    x = test / 16.0
    baseline = np.square(x - train.mean(0) / 16.0).sum() / len(x)

    def left(codes):
        """Share of the variance that the codes leave, and the loss of the lasso."""
        error = np.square(np.asarray(model.decode(codes)) - x).sum() / len(x)
        return error / baseline, error + 0.2 * np.abs(codes).sum() / len(x)

    before, _ = left(model.encode(test))
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(train, batch_size=100, epochs=30, verbose=0)
    codes = model.infer(test)
    (predicted, loss_predicted), (inferred, loss_inferred) = left(model.encode(test)), left(codes)
    print("share of the variance left: before", before, "predicted", predicted, "inferred", inferred)
    print("loss", loss_predicted, loss_inferred, "active", np.mean(codes != 0))
    assert predicted < 1.3 * inferred < 0.1 and before > 0.2 and np.mean(codes != 0) < 0.5
    assert loss_inferred < loss_predicted < 1.5 * loss_inferred


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"sparsity_weight": -1.0}, "sparsity_weight must be ≥ 0.0"),
        ({"prediction_weight": -1.0}, "prediction_weight must be ≥ 0.0"),
        ({"steps": 0}, "steps must be positive"),
        ({"pixel_max": 0.0}, "pixel_max must be > 0"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)
