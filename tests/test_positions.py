"""Position codes against NumPy loops and SciPy's values."""

import numpy as np
import pytest

from kerasae.errors import InputError
from kerasae.ops import resize_positions, sincos_positions


@pytest.mark.parametrize(("grid", "width"), [((3, 3), 8), ((2, 5), 16), ((4, 1), 4), ((14, 14), 192)])
def test_codes_are_sines_and_cosines_of_column_then_row(grid, width):
    codes = sincos_positions(grid, width)
    quarter = width // 4
    expected = np.zeros((grid[0] * grid[1], width))
    for row in range(grid[0]):
        for column in range(grid[1]):
            for i in range(quarter):
                frequency = 1 / 10000 ** (i / quarter)
                expected[row * grid[1] + column, i::quarter] = [
                    np.sin(column * frequency),
                    np.cos(column * frequency),
                    np.sin(row * frequency),
                    np.cos(row * frequency),
                ]
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, expected, atol=1e-6)


def test_a_width_that_cannot_be_quartered():
    with pytest.raises(InputError, match="width=6"):
        sincos_positions((2, 2), 6)


def test_resizing_keeps_what_is_constant_and_what_is_the_same_size():
    codes = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    np.testing.assert_allclose(resize_positions(codes, (2, 3), (2, 3)), codes, atol=1e-5)
    constant = np.tile(codes[:1], (6, 1))
    np.testing.assert_allclose(resize_positions(constant, (2, 3), (4, 7)), np.tile(codes[:1], (28, 1)), atol=1e-5)


def test_resizing_is_cubic_along_the_right_axis():
    """A ramp of columns stays a ramp inside, and knows nothing of rows."""
    ramp = np.tile(np.arange(8.0, dtype="float32"), (6, 1)).reshape(48, 1)
    resized = np.asarray(resize_positions(ramp, (6, 8), (6, 16))).reshape(6, 16)
    np.testing.assert_allclose(resized[0, 4:12], (np.arange(4, 12) + 0.5) / 2 - 0.5, atol=1e-4)
    np.testing.assert_allclose(resized, np.tile(resized[:1], (6, 1)), atol=1e-5)
