"""The low-variance target against scikit-learn's principal component analysis."""

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA

from kerasae.errors import InputError
from kerasae.layers import LowVariance

RNG = np.random.default_rng(0)


def patches(count=300):
    """Patches [count, 4, 6] whose values depend on each other, far from 0."""
    mixed = RNG.normal(size=(count, 24)) @ (RNG.normal(size=(24, 24)) * np.linspace(0.1, 1.5, 24))
    return (mixed + 3.0).reshape(count, 4, 6).astype("float32")


def without_leading(rows, variance):
    """Rows minus their mean and minus their part in the fewest components that explain the share."""
    pca = PCA().fit(rows.astype("float64"))
    count = next(k for k in range(1, 99) if pca.explained_variance_ratio_[:k].sum() >= variance)
    leading = pca.components_[:count]
    centred = rows - pca.mean_
    return centred - centred @ leading.T @ leading, pca.mean_


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("variance", [0.3, 0.6, 0.85])
def test_leading_components_are_taken_away(whole, variance):
    x = patches()
    layer = LowVariance(variance, whole)
    layer.adapt(x)
    expected, mean = without_leading(x.reshape(-1, 24 if whole else 6), variance)
    assert 0 < np.mean(expected**2) < (1 - variance) * x.var()
    np.testing.assert_allclose(layer(x), expected.reshape(x.shape), atol=1e-4)
    np.testing.assert_allclose(layer.shift(layer(x)), (expected + mean).reshape(x.shape), atol=1e-4)
    np.testing.assert_allclose(layer(layer.shift(layer(x))), layer(x), atol=1e-4)  # a projection


def test_batches_are_as_good_as_one_array():
    x = patches()
    one, many = LowVariance(0.7), LowVariance(0.7)
    one.adapt(x)
    many.adapt(x[i : i + 70] for i in range(0, 300, 70))
    np.testing.assert_allclose(many.projection, one.projection, atol=1e-6)
    np.testing.assert_allclose(many.center, one.center, atol=1e-6)


def test_before_it_is_adapted_it_changes_nothing_and_nothing_is_trained():
    layer, x = LowVariance(), patches(3)
    np.testing.assert_array_equal(layer(x), x)
    assert layer.trainable_weights == [] and len(layer.weights) == 2


def test_components_are_saved(tmp_path):
    x = patches()
    layer = LowVariance(0.7, whole=True)
    layer.adapt(x)
    inputs = keras.Input((4, 6))
    keras.Model(inputs, layer(inputs)).save(tmp_path / "target.keras")
    again = keras.saving.load_model(tmp_path / "target.keras", safe_mode=True)
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize("variance", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_a_wrong_share(variance):
    with pytest.raises(InputError, match=f"variance={variance}"):
        LowVariance(variance)


def test_too_few_patches():
    with pytest.raises(InputError, match="more images than values in one. Received: 24 images"):
        LowVariance(whole=True).adapt(patches(24))
    with pytest.raises(InputError, match="Received: 4 patches"):
        LowVariance().adapt(patches(1))
    with pytest.raises(InputError, match="Received: 0 patches"):
        LowVariance().adapt(iter([]))


def test_nothing_to_find_or_nothing_left():
    with pytest.raises(InputError, match="equal"):
        LowVariance().adapt(np.ones((30, 4, 6)))
    with pytest.raises(InputError, match="variance=0.999.*all 6 components"):
        LowVariance(0.999).adapt(RNG.normal(size=(300, 4, 6)))
