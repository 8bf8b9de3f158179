"""Tangents against closed forms, the field of a denoising autoencoder against the score of a Gaussian, pictures."""

import cases
import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances

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


def test_the_score_may_have_a_deviation_for_each_value():
    model, x = models.Autoencoder(*networks.dense((2,), 2, ())), RNG.normal(size=(4, 2)).astype("float32")
    found = evaluate.score_field(model, x, np.array([0.5, 2.0]))
    np.testing.assert_allclose(found[:, 0], evaluate.score_field(model, x, 0.5)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], evaluate.score_field(model, x, 2.0)[:, 1], rtol=1e-5)


SMOOTH = [row for row in cases.MODELS if getattr(row.target, "has_tangents", False)]


@pytest.mark.parametrize("row", [row for row in SMOOTH if not row.target.has_tokens], ids=lambda row: row.id)
def test_what_says_that_it_has_tangents_has_them(row):
    model = row.build()
    if model.has_tangents and not model.conditional:
        directions, lengths = evaluate.tangents(model, row.x[:2], 1)
        np.testing.assert_allclose(np.sum(np.square(directions.reshape(2, -1)), axis=1), 1, rtol=1e-4)
        assert (lengths > 0).all()


@pytest.mark.parametrize("code", [1, 2, 5])
def test_maps_are_scikit_learns(code):
    """PCA but for signs; MDS is not worse than where it starts; codes of two numbers are shown as they are."""
    model, x = models.Autoencoder(*networks.dense((6,), code, ())), RNG.normal(size=(40, 6)).astype("float32")
    rows, panels = evaluate.planar_maps(model, x, most=25, seed=1)
    assert len(rows) == 25 and len(set(rows)) == 25
    again, other = (evaluate.planar_maps(model, x, most=25, seed=seed)[0] for seed in (1, 2))
    np.testing.assert_array_equal(again, rows)
    assert set(other) != set(rows)
    shown, codes = x[rows], np.asarray(model.encode(x[rows]))
    np.testing.assert_allclose(np.abs(panels["data, PCA"]), np.abs(PCA(2).fit_transform(shown)), atol=1e-4)
    distances = pairwise_distances(shown)
    stress = {name: ((pairwise_distances(panels[name]) - distances) ** 2).sum() for name in ("data, PCA", "data, MDS")}
    assert stress["data, MDS"] < 0.9 * stress["data, PCA"]
    if code == 2:
        np.testing.assert_array_equal(panels["codes"], codes)
    if code == 1:
        np.testing.assert_allclose(
            np.abs(panels["codes"]), np.abs(np.pad(codes - codes.mean(), ((0, 0), (0, 1)))), atol=1e-5
        )
    if code == 5:
        np.testing.assert_allclose(np.abs(panels["codes, PCA"]), np.abs(PCA(2).fit_transform(codes)), atol=1e-4)


@pytest.mark.parametrize("x", [np.zeros((2, 6), "float32"), np.full((5, 6), np.inf, "float32")])
def test_what_cannot_be_mapped_is_refused(x):
    with pytest.raises(InputError):
        evaluate.planar_maps(models.Autoencoder(*networks.dense((6,), 2, ())), x)


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
    manifold = plots.manifold(points, arrows, points + 1, curve=points).axes[0]
    ways, *dots = manifold.collections
    np.testing.assert_allclose(ways.U, (arrows - points - 1)[:, 0])
    for drawn, wanted in zip(dots, (points, points + 1, arrows), strict=True):
        np.testing.assert_allclose(drawn.get_offsets(), wanted)
    np.testing.assert_allclose(manifold.lines[0].get_xydata(), points)
    figure = plots.maps({"codes": points, "PCA": arrows}, np.array([0, 2, 2, 9, 0, 9]), list("abcdefghij"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "c", "j"]
    panels = plots.maps({"codes": points, "PCA": arrows}, np.arange(6)).axes
    assert [a.get_title() for a in panels] == ["codes", "PCA"]
    np.testing.assert_allclose(panels[1].collections[0].get_offsets(), arrows)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.tangents(np.zeros((2, 4, 4, 1)), np.zeros((3, 2, 4, 4, 1))),
        lambda: plots.field(np.zeros((2, 3)), np.zeros((2, 3))),
        lambda: plots.manifold(np.zeros((2, 2)), np.zeros((3, 2))),
        lambda: plots.maps({}),
        lambda: plots.maps({"a": np.zeros((2, 2)), "b": np.zeros((3, 2))}),
    ],
)
def test_other_shapes_are_refused(draw):
    with pytest.raises(InputError):
        draw()
