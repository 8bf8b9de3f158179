"""Walks through latent spaces: places against SciPy and geometry, and the command's pictures."""

import types

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm

import kerasae
from kerasae.applications import between, conditions, plane, traversals
from kerasae.applications.latent import places
from kerasae.errors import InputError
from kerasae.models import VariationalAutoencoder
from kerasae.plots import mosaic, sphere
from pipelines import latent, train

RNG = np.random.default_rng(0)


def mirror(code_shape=(2,), support="reals"):
    """A model that decodes a code to itself."""
    posterior = types.SimpleNamespace(support=support)
    decode = lambda z: keras.ops.convert_to_tensor(z)  # noqa: E731
    return types.SimpleNamespace(conditional=False, code_shape=code_shape, decode=decode, posterior=posterior)


def test_a_map_has_equally_likely_strips_from_top_left_to_bottom_right():
    found = plane(mirror(), side=4)
    assert found.shape == (4, 4, 2)
    np.testing.assert_allclose(norm.cdf(found[0, :, 0]), [0.125, 0.375, 0.625, 0.875], atol=1e-6)
    np.testing.assert_allclose(norm.cdf(found[:, 0, 1]), [0.875, 0.625, 0.375, 0.125], atol=1e-6)


def test_a_map_of_the_sphere_has_unit_vectors_from_pole_to_pole():
    found = places(mirror((3,), "sphere"), 6).reshape(6, 6, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)
    assert found[0, :, 2].min() > 0.9 and found[-1, :, 2].max() < -0.9
    np.testing.assert_allclose(np.diff(np.arctan2(found[2, :, 1], found[2, :, 0])), np.pi / 3, atol=1e-5)


def test_traversals_change_one_dimension_at_a_time():
    code, values = np.array([1.0, 2.0, 3.0]), np.array([-1.0, 5.0])
    found = traversals(mirror((3,)), code, values)
    expected = np.tile(code, (3, 2, 1))
    for dimension in range(3):
        expected[dimension, :, dimension] = values
    np.testing.assert_array_equal(found, expected.astype("float32"))
    assert traversals(mirror((3,)), code, values, dimensions=2).shape == (2, 2, 3)


@pytest.mark.parametrize("spherical", [False, True])
def test_paths_start_and_end_at_their_codes(spherical):
    a, b = RNG.normal(size=(2, 5, 4, 3)).astype("float32")
    found = between(a, b, 7, spherical)
    assert found.shape == (5, 7, 4, 3) and found.dtype == a.dtype
    np.testing.assert_allclose(found[:, 0], a, atol=1e-6)
    np.testing.assert_allclose(found[:, -1], b, atol=1e-6)


def test_great_circles_turn_evenly_and_stay_on_the_sphere():
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in RNG.normal(size=(2, 6, 3)))
    found = between(a, b, 9, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-9)
    angles = np.arccos(np.clip((found[:, 1:] * found[:, :-1]).sum(-1), -1, 1))
    np.testing.assert_allclose(angles, angles.mean(1, keepdims=True).repeat(8, 1), atol=1e-6)
    np.testing.assert_allclose(between(a, 2 * a, 3, spherical=True)[:, 1], 1.5 * a)  # parallel: a straight line


def test_classes_are_decoded_under_every_code():
    networks = kerasae.networks.dense((4, 4, 1), 2, (8,), posterior="gaussian", condition=3)
    model, codes = VariationalAutoencoder(*networks, pixel_max=15.0), RNG.normal(size=(5, 2)).astype("float32")
    found = conditions(model, codes, 3)
    np.testing.assert_allclose(found[2, 1], model.decode(codes[2:3], np.array([1]))[0], rtol=1e-5)
    with pytest.raises(InputError, match="is conditional"):
        plane(model)


def test_a_mosaic_lays_images_out_in_rows_and_columns():
    images = RNG.uniform(size=(2, 3, 4, 5, 1))
    picture = mosaic(images).axes[0].images[0].get_array()
    assert picture.shape == (2 * 4 + 1, 3 * 5 + 2) and (picture[4] == 1).all() and (picture[:, 5] == 1).all()
    np.testing.assert_allclose(picture[5:9, 12:17], images[1, 2, ..., 0])


def test_mistakes_are_refused():
    for call, words in (
        (lambda: plane(mirror((3,))), "expected codes of two dimensions"),
        (lambda: plane(mirror(), side=1), "side: expected at least 2"),
        (lambda: traversals(mirror(), np.zeros((2, 2)), np.zeros(3)), "expected a vector"),
        (lambda: between(np.zeros((1, 2)), np.ones((1, 2)), 1), "steps: expected at least 2"),
        (lambda: conditions(mirror(), np.zeros((1, 2)), 3), "takes no condition"),
        (lambda: mosaic(np.zeros((3, 4, 5, 1))), "expected .rows, columns"),
        (lambda: sphere(np.zeros((3, 2))), "expected .N, 3."),
    ):
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.parametrize(("posterior", "code"), [("auto", 2), ("von_mises_fisher", 3)])
def test_the_command_draws_what_applies(posterior, code, tmp_path):
    recipe = train.Recipe(
        variant="variational", posterior=posterior, code=code, widths=(16,), epochs=1, out=str(tmp_path / "run")
    )
    found = latent.run(latent.Recipe(run=str(train.run(recipe).path), examples=2, stops=3, side=4))
    assert found.figures["pictures"] == "map.png, codes.png, traversals.png, paths.png"
    assert all((found.path / name).exists() for name in found.figures["pictures"].split(", "))
    with Image.open(found.path / "paths.gif") as animation:
        assert animation.n_frames > 4 and animation.size == (224, 224)
