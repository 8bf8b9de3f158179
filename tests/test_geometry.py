"""Tangents against closed forms, the field of a denoising autoencoder against the score of a Gaussian, pictures."""

import keras
import numpy as np
import pytest

from kerasae import evaluate, layers, models, networks, plots
from kerasae.errors import InputError

RNG = np.random.default_rng(0)


def test_tangents_are_singular_vectors_of_the_jacobian():
    encoder, decoder = networks.dense((3, 2, 1), 4, (), code_activation="sigmoid")
    model, x = models.Autoencoder(encoder, decoder), RNG.uniform(size=(5, 3, 2, 1)).astype("float32")
    kernel, z = encoder.layers[-1].get_weights()[0], np.asarray(encoder(x))
    directions, lengths = evaluate.tangents(model, x, count=3)
    assert directions.shape == (5, 3, 3, 2, 1)
    for found, size, code in zip(directions.reshape(5, 3, 6), lengths, z, strict=True):
        _, expected, rows = np.linalg.svd((code * (1 - code))[:, None] * kernel.T)
        np.testing.assert_allclose(size, expected[:3], rtol=1e-4)
        np.testing.assert_allclose(np.abs(np.sum(found * rows[:3], axis=1)), 1, rtol=1e-3)


def test_tangents_of_a_model_are_in_its_own_units():
    encoder, decoder = networks.dense((4,), 2, ())
    plain = models.Autoencoder(encoder, decoder)
    own = models.Autoencoder(encoder, decoder, pixel_max=layers.Standardization([1.0] * 4, [7.0] * 4))
    x = RNG.normal(size=(2, 4)).astype("float32")
    np.testing.assert_allclose(evaluate.tangents(own, x, 1)[1], evaluate.tangents(plain, x, 1)[1], rtol=1e-4)
    with pytest.raises(InputError, match="expected 1 to 2"):
        evaluate.tangents(plain, x, 3)


def test_the_field_of_a_linear_denoising_autoencoder_is_the_score_of_a_gaussian():
    """Of data N(0, s²) with noise σ² it is −x / (s² + σ²)."""
    keras.utils.set_random_seed(0)
    s, noise = 1.5, 0.7
    x = (RNG.normal(size=(20_000, 2)) * s).astype("float32")
    networks_ = networks.dense((2,), 2, (), activation="linear")
    model = models.DenoisingAutoencoder(*networks_, corruption=layers.GaussianCorruption(noise))
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 1000)))
    model.fit(x, batch_size=200, epochs=10, verbose=0)
    points = RNG.normal(size=(50, 2)).astype("float32")
    expected = -points / (s**2 + noise**2)
    found = evaluate.score_field(model, points, noise)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize(("x", "noise"), [(np.zeros((2, 2), int), 1.0), (np.zeros((2, 2)), 0.0)])
def test_what_has_no_score_is_refused(x, noise):
    with pytest.raises(InputError):
        evaluate.score_field(models.Autoencoder(*networks.dense((2,), 1)), x, noise)


def test_pictures_show_what_they_are_given():
    x, directions = RNG.random((2, 4, 4, 1)), RNG.normal(size=(2, 3, 4, 4, 1))
    axes = plots.tangents(x, directions).axes
    drawn = np.asarray(axes[5].images[0].get_array())
    np.testing.assert_allclose(drawn, 0.5 + 0.5 * directions[1, 0, ..., 0] / np.abs(directions[1, 0]).max())
    assert [a.get_title() for a in axes[:4]] == ["example", "1", "2", "3"]
    points, arrows = RNG.normal(size=(6, 2)), RNG.normal(size=(6, 2))
    field = plots.field(points, arrows, points + 1).axes[0]
    np.testing.assert_allclose(field.collections[1].U, arrows[:, 0])
    np.testing.assert_allclose(field.collections[0].get_offsets(), points + 1)
    panels = plots.maps({"codes": points, "PCA": arrows}, np.arange(6)).axes
    assert [a.get_title() for a in panels] == ["codes", "PCA"]
    np.testing.assert_allclose(panels[1].collections[0].get_offsets(), arrows)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.tangents(np.zeros((2, 4, 4, 1)), np.zeros((3, 2, 4, 4, 1))),
        lambda: plots.field(np.zeros((2, 3)), np.zeros((2, 3))),
        lambda: plots.maps({}),
        lambda: plots.maps({"a": np.zeros((2, 2)), "b": np.zeros((3, 2))}),
    ],
)
def test_other_shapes_are_refused(draw):
    with pytest.raises(InputError):
        draw()
