"""The drawn data set with known factors."""

import itertools

import numpy as np
import pytest

import kerasae
from kerasae.data.shapes import FACTORS, drawn

AREAS = {0: 1.6**2, 1: np.pi / 2, 2: 3 * np.sqrt(3) / 4}
"""Shape → its area at scale 1."""


@pytest.fixture(scope="module")
def source():
    return kerasae.data.load("shapes")


def test_every_combination_is_there_once(source):
    (train, y_train), (test, y_test) = source.train.arrays(), source.test.arrays()
    images, factors = np.concatenate([train, test]), np.concatenate([y_train, y_test])
    assert images.shape == (3840, 16, 16, 1) and images.dtype == np.uint8 and len(test) == 768
    assert {*map(tuple, factors)} == {*itertools.product(*(v.astype("float32").tolist() for v in FACTORS.values()))}
    assert len(np.unique(images.reshape(3840, -1), axis=0)) == 3840
    assert source.info.label_kind == "numbers" and source.info.label_names == tuple(FACTORS)


def test_area_and_centre_are_the_factors(source):
    images, factors = source.test.arrays()
    kind, scale, _, x, y = factors.T
    ink = images[..., 0] / 255.0
    area = ink.sum(axis=(1, 2))
    expected = np.vectorize(AREAS.get)(kind) * scale**2
    np.testing.assert_allclose(area, expected, rtol=0.05)
    places = np.arange(16)
    np.testing.assert_allclose((ink.sum(axis=1) @ places) / area, x, atol=0.06)
    np.testing.assert_allclose((ink.sum(axis=2) @ places) / area, y, atol=0.06)


def test_the_angle_turns_the_long_axis_of_an_ellipse():
    for angle in FACTORS["angle"]:
        ink = drawn(np.array([[1, 4.0, angle, 7.5, 7.5]], "float32"))[0, ..., 0] / 255.0
        right, down = np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5)
        moments = [(ink * a * b).sum() for a, b in ((right, right), (down, down), (right, down))]
        found = np.rad2deg(0.5 * np.arctan2(2 * moments[2], moments[0] - moments[1]))
        assert found == pytest.approx(angle, abs=1.0)


def test_it_is_the_same_every_time(source):
    assert kerasae.data.load("shapes").info.fingerprint == source.info.fingerprint
    with pytest.raises(kerasae.errors.InputError, match="expected shapes"):
        kerasae.data.load("shapes:2")
