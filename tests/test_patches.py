"""Patches and masks against NumPy: loops over patches, and a transcription of the masking of the paper's code."""

import math

import keras
import mae_reference
import numpy as np
import pytest

from kerasae.errors import InputError
from kerasae.ops import gather_tokens, group_masking, normalize_patches, patchify, random_masking, unpatchify
from kerasae.ops.patches import visible_count

RNG = np.random.default_rng(0)


def by_loop(images, p, q):
    """Patches row by row, each flattened row, column, channel."""
    rows, columns = images.shape[1] // p, images.shape[2] // q
    cut = [images[:, i * p : (i + 1) * p, j * q : (j + 1) * q] for i in range(rows) for j in range(columns)]
    return np.stack([patch.reshape(len(images), -1) for patch in cut], axis=1)


@pytest.mark.parametrize(
    ("shape", "patch"),
    [((8, 8, 3), 4), ((6, 10, 1), (3, 2)), ((4, 6, 5), (1, 6)), ((5, 3, 2), 1), ((2, 7, 1), (2, 7))],
)
def test_patches_come_row_by_row_and_go_back(shape, patch):
    images = RNG.normal(size=(3, *shape)).astype("float32")
    p, q = (patch, patch) if isinstance(patch, int) else patch
    patches = np.asarray(patchify(images, patch))
    np.testing.assert_array_equal(patches, by_loop(images, p, q))
    np.testing.assert_array_equal(unpatchify(patches, patch, (shape[0] // p, shape[1] // q)), images)


@pytest.mark.parametrize(
    ("shape", "patch"),
    [((12, 2), 4), ((6, 1), (6,)), ((4, 6, 3), (2, 3)), ((4, 6, 2, 3), 2), ((2, 6, 5, 1), (1, 3, 5))],
)
def test_patches_of_any_rank_are_slices_in_order(shape, patch):
    x = RNG.normal(size=(3, *shape)).astype("float32")
    sides = (patch,) * (len(shape) - 1) if isinstance(patch, int) else patch
    grid = tuple(n // p for n, p in zip(shape, sides, strict=False))
    patches = np.asarray(patchify(x, patch))
    for number, where in enumerate(np.ndindex(*grid)):
        place = tuple(slice(i * p, (i + 1) * p) for i, p in zip(where, sides, strict=True))
        np.testing.assert_array_equal(patches[:, number], x[(slice(None), *place)].reshape(3, -1))
    np.testing.assert_array_equal(unpatchify(patches, patch, grid), x)


@pytest.mark.parametrize(
    ("size", "patch", "says"),
    [
        ((500,), 16, "window of 500 .* patch 16; .*: 496 and 512; choose another window"),
        ((4, 4, 5), 2, "volume of 4×4×5 .* 4×4×4 and 4×4×6"),
        ((4, 4, 4), (2, 2), "one for each of 3 axes"),
        ((8,), (2, 2), "one for each of 1 axes"),
    ],
)
def test_a_patch_that_does_not_fit_a_signal_or_volume(size, patch, says):
    with pytest.raises(InputError, match=says):
        patchify(np.zeros((1, *size, 1), "float32"), patch)


def test_a_linear_layer_on_patches_is_a_strided_convolution():
    images = RNG.normal(size=(2, 6, 8, 3)).astype("float32")
    kernel = RNG.normal(size=(3, 2, 3, 5)).astype("float32")
    convolved = keras.ops.conv(images, kernel, strides=(3, 2), padding="valid")
    tokens = np.asarray(patchify(images, (3, 2))) @ kernel.reshape(-1, 5)
    np.testing.assert_allclose(tokens, np.reshape(convolved, (2, 8, 5)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "patch", "nearest"),
    [
        ((28, 28), 8, "24×24 and 32×32"),
        ((5, 9), (4, 3), "4×9 and 8×9"),
        ((3, 8), 4, "4×8;"),
        ((30, 33), (10, 16), "30×32 and 30×48"),
    ],
)
def test_an_image_that_the_patch_does_not_divide(size, patch, nearest):
    with pytest.raises(InputError) as error:
        patchify(np.zeros((1, *size, 1), "float32"), patch)
    p, q = (patch, patch) if isinstance(patch, int) else patch
    assert all(text in str(error.value) for text in (f"{size[0]}×{size[1]}", f"{p}×{q}", nearest))


@pytest.mark.parametrize("patch", [0, -1, 2.5, (2,), (2, 0), (1, 2, 3)])
def test_what_is_no_patch(patch):
    with pytest.raises((InputError, TypeError)):
        patchify(np.zeros((1, 4, 4, 1), "float32"), patch)


# ---- masking


def reference_masking(noise, ratio):
    """The steps of the paper's code: argsort, keep the first, sort a mask of ones back."""
    count, n = noise.shape
    keep = int(n * (1 - ratio))
    shuffle = np.argsort(noise, axis=1)
    restore = np.argsort(shuffle, axis=1)
    mask = np.ones((count, n))
    mask[:, :keep] = 0
    return shuffle[:, :keep], restore, np.take_along_axis(mask, restore, axis=1)


@pytest.mark.parametrize(("n", "ratio"), [(196, 0.75), (16, 0.5), (7, 0.6), (2, 0.5), (10, 0.1)])
def test_masking_is_that_of_the_paper(n, ratio):
    noise = RNG.uniform(size=(5, n)).astype("float32")
    for ours, theirs in zip(random_masking(noise, ratio), reference_masking(noise, ratio), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_masking_hides_one_and_keeps_what_has_least_noise():
    ids_keep, ids_restore, mask = random_masking(np.array([[0.3, 0.9, 0.1, 0.7]], "float32"), 0.5)
    assert np.array(ids_keep).tolist() == [[2, 0]] and np.array(ids_restore).tolist() == [[1, 3, 0, 2]]
    assert np.array(mask).tolist() == [[0.0, 1.0, 0.0, 1.0]] and mask.dtype == "float32"


def test_restoring_undoes_the_shuffle():
    tokens = RNG.normal(size=(4, 9, 3)).astype("float32")
    noise = RNG.uniform(size=(4, 9)).astype("float32")
    shuffled = np.take_along_axis(tokens, np.argsort(noise, axis=1)[..., None], axis=1)
    np.testing.assert_array_equal(gather_tokens(shuffled, random_masking(noise, 0.5)[1]), tokens)


def test_gathering_takes_each_example_its_own_tokens():
    tokens = RNG.normal(size=(3, 5, 2)).astype("float32")
    ids = np.array([[4, 0], [1, 1], [2, 3]])
    np.testing.assert_array_equal(gather_tokens(tokens, ids), np.take_along_axis(tokens, ids[..., None], axis=1))


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_a_ratio_outside_zero_and_one(ratio):
    with pytest.raises(InputError, match="mask_ratio"):
        visible_count(16, ratio)


@pytest.mark.parametrize(("n", "ratio", "left"), [(4, 0.9, "visible"), (1, 0.5, "visible"), (4, 1e-17, "hidden")])
def test_a_ratio_that_leaves_nothing(n, ratio, left):
    with pytest.raises(InputError, match=f"no {left} patch of {n}"):
        visible_count(n, ratio)


# ---- targets


def test_targets_are_normalised_with_the_unbiased_variance():
    patches = RNG.uniform(size=(2, 3, 5)).astype("float32")
    exact = (patches - patches.mean(-1, keepdims=True)) / np.sqrt(patches.var(-1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(normalize_patches(patches), exact, rtol=1e-4, atol=1e-5)
    biased = (patches - patches.mean(-1, keepdims=True)) / np.sqrt(patches.var(-1, keepdims=True) + 1e-6)
    assert np.abs(normalize_patches(patches) - biased).max() > 0.1


def test_a_patch_of_one_colour_is_normalised_to_zero():
    np.testing.assert_array_equal(normalize_patches(np.full((1, 2, 4), 0.5, "float32")), np.zeros((1, 2, 4)))


# ---- masks in groups


@pytest.mark.parametrize(
    ("grid", "group", "ratio"), [((4, 4), 2, 0.75), ((4, 8), 4, 0.5), ((6, 4), 2, 0.6), ((3, 5), 1, 0.7)]
)
def test_groups_are_hidden_together(grid, group, ratio):
    count, groups = grid[0] * grid[1], grid[0] * grid[1] // group**2
    noise = RNG.uniform(size=(20, count)).astype("float32")
    ids_keep, ids_restore, mask = map(np.asarray, group_masking(noise, ratio, grid, group))
    visible = int(groups * (1 - ratio)) * group**2
    assert ids_keep.shape == (20, visible)
    np.testing.assert_array_equal(mask, [mae_reference.group_mask(row, ratio, grid, group) for row in noise])
    for row, keep, restore, hidden in zip(noise, ids_keep, ids_restore, mask, strict=True):
        order = np.argsort(restore)  # visible patches, then hidden ones, each by their own noise
        np.testing.assert_array_equal(order[:visible], keep)
        np.testing.assert_array_equal(hidden[order], np.arange(count) >= visible)
        assert np.all(np.diff(row[order[:visible]]) > 0) and np.all(np.diff(row[order[visible:]]) > 0)


@pytest.mark.parametrize(("grid", "group", "ratio"), [((12,), 3, 0.5), ((4, 2, 6), 2, 0.7)])
def test_groups_of_signals_and_volumes_are_hidden_together(grid, group, ratio):
    noise = RNG.uniform(size=(5, math.prod(grid))).astype("float32")
    ids_keep, _, mask = map(np.asarray, group_masking(noise, ratio, grid, group))
    groups = math.prod(grid) // group ** len(grid)
    hidden = mask.reshape(5, *grid)
    for where in np.ndindex(*(n // group for n in grid)):
        block = hidden[(slice(None), *(slice(i * group, (i + 1) * group) for i in where))].reshape(5, -1)
        assert np.all(block == block[:, :1])
    assert np.all(mask.sum(axis=1) == (groups - int(groups * (1 - ratio))) * group ** len(grid))
    np.testing.assert_array_equal(np.take_along_axis(mask, ids_keep, axis=1), np.zeros_like(ids_keep))


def test_groups_of_one_patch_are_random_masking():
    noise = RNG.normal(size=(5, 12)).astype("float32")
    for ours, plain in zip(group_masking(noise, 0.7, (3, 4), 1), random_masking(noise, 0.7), strict=True):
        np.testing.assert_array_equal(ours, plain)


def test_the_last_of_the_hidden_are_any_of_them():
    """Each patch equally often, as a decoder needs that predicts some of the hidden patches only."""
    noise = RNG.uniform(size=(4000, 16)).astype("float32")
    _, ids_restore, _ = group_masking(noise, 0.5, (4, 4), 2)
    share = np.mean(np.asarray(ids_restore) == 15, axis=0)  # 1/16 each, standard deviation 0.004
    assert np.all(np.abs(share - 1 / 16) < 0.02)


@pytest.mark.parametrize(("grid", "group"), [((4, 6), 4), ((3, 3), 2), ((4, 4), 0), ((4, 4), 2.0), ((4, 4), -2)])
def test_a_group_that_does_not_divide_the_grid(grid, group):
    with pytest.raises(InputError, match=f"mask_group.*{grid[0]}×{grid[1]}.*Received: mask_group={group}"):
        group_masking(np.zeros((1, grid[0] * grid[1])), 0.5, grid, group)


def test_a_ratio_that_leaves_no_group():
    with pytest.raises(InputError, match="no visible group of 4"):
        group_masking(np.zeros((1, 16)), 0.8, (4, 4), 2)
