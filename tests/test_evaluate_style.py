"""Slant and width of strokes against drawn strokes, and how much of them a change of class keeps."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from kerasae.errors import InputError
from kerasae.evaluate import slant, stroke_width, style_kept

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("columns", [-9, -3, 0, 6, 12])
def test_slant_is_that_of_a_drawn_line(columns):
    image = np.zeros((40, 40))
    for step in range(31):  # from row 35 up to row 5
        image[35 - step, 20 + round(columns * step / 30)] = 1
    assert slant(image[None])[0] == pytest.approx(columns / 30, abs=0.02)


def test_slant_is_a_regression_of_columns_on_rows():
    x = RNG.random((1, 6, 5))
    rows, columns = np.indices((6, 5))
    slope = np.polyfit(rows.ravel(), columns.ravel(), 1, w=np.sqrt(x[0].ravel()))[0]
    assert slant(x)[0] == pytest.approx(-slope, rel=1e-9)
    assert slant(np.zeros((1, 4, 4)))[0] == slant(np.eye(4)[None, :1])[0] == 0


@pytest.mark.parametrize("width", [1, 2, 2.5, 4.25, 7])
def test_width_is_that_of_a_drawn_bar_with_grey_edges(width):
    coverage = np.clip(width - np.arange(20.0), 0, 1)  # of the columns from the tenth on
    image = np.tile(np.concatenate([np.zeros(10), coverage]), (8, 1))
    np.testing.assert_allclose(stroke_width(np.stack([image, 3 * image])), width)
    assert stroke_width(image.T[None])[0] == pytest.approx(width) and stroke_width(np.zeros((1, 3, 3)))[0] == 0


def test_style_is_correlated_within_pairs_of_classes():
    old, new = RNG.integers(0, 3, 600), RNG.integers(0, 3, 600)
    style, noise = RNG.normal(size=600), RNG.normal(size=600)
    after = style + 0.5 * noise + 20.0 * new
    before = style + 10.0 * old
    assert style_kept(before, after, old, new) == pytest.approx(1 / np.sqrt(1.25), abs=0.03)
    assert abs(style_kept(before, noise + 20.0 * new, old, new)) < 0.1
    one = np.zeros(600, int)
    assert style_kept(before, after, one, one) == pytest.approx(pearsonr(before, after)[0])
    assert style_kept(before, np.ones(600), old, new) == 0


def test_other_than_grey_images_are_refused():
    with pytest.raises(InputError, match=r"expected grey images \[N, H, W\]. Received: shape \(2, 3\)"):
        slant(np.zeros((2, 3)))
