"""Position codes against NumPy loops and SciPy's values."""

import math

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


@pytest.mark.parametrize(("grid", "width"), [((2, 2), 7), ((2, 2), 2), ((5,), 3), ((2, 2, 2), 4)])
def test_a_width_without_an_even_part_for_every_axis(grid, width):
    with pytest.raises(InputError, match=f"width={width}"):
        sincos_positions(grid, width)


@pytest.mark.parametrize(
    ("grid", "width", "parts"), [((7,), 10, [10]), ((2, 3), 6, [4, 2]), ((2, 3, 4), 16, [6, 6, 4])]
)
def test_axes_share_the_width_the_last_axis_first(grid, width, parts):
    codes, place = sincos_positions(grid, width), 0
    for where in np.ndindex(*grid):
        expected = []
        for part, at in zip(parts, reversed(where), strict=True):
            angles = [at / 10000 ** (2 * i / part) for i in range(part // 2)]
            expected += [*map(math.sin, angles), *map(math.cos, angles)]
        np.testing.assert_allclose(codes[place], expected, atol=1e-6)
        place += 1


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


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_resizing_a_volume_is_cubic_along_each_axis_alone(axis):
    grid, larger = [3, 4, 5], [3, 4, 5]
    grid[axis], larger[axis] = 8, 16
    ramp = np.moveaxis(np.broadcast_to(np.arange(8.0), (*(n for i, n in enumerate(grid) if i != axis), 8)), -1, axis)
    resized = np.asarray(resize_positions(ramp.reshape(-1, 1), grid, larger)).reshape(larger)
    lines = np.moveaxis(resized, axis, -1).reshape(-1, 16)
    np.testing.assert_allclose(lines[0, 4:12], (np.arange(4, 12) + 0.5) / 2 - 0.5, atol=1e-4)
    np.testing.assert_allclose(lines, np.tile(lines[:1], (len(lines), 1)), atol=1e-4)


def test_resizing_a_signal_is_resizing_an_image_of_one_row():
    codes = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    np.testing.assert_array_equal(resize_positions(codes, (6,), (9,)), resize_positions(codes, (1, 6), (1, 9)))
    with pytest.raises(InputError, match="1 axes.*2"):
        resize_positions(codes, (6,), (2, 3))
