"""Augmentation against SciPy's ndimage, its random numbers against published outputs and statistics."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import tensorflow as tf

from kerasae.data import ElasticDistortion, RandomAffine, batches, load
from kerasae.data.draws import splitmix64, uniform
from kerasae.errors import InputError

SEEDS = tf.constant([[3, i] for i in range(6)], tf.int32)
IMAGES = np.random.default_rng(0).random((6, 11, 14, 2), np.float32)
EVERYTHING = RandomAffine(shift=0.2, rotate=40, scale=0.3, shear=15)
NEIGHBOURS = (EVERYTHING, ElasticDistortion(alpha=20, sigma=2))


def test_splitmix64_gives_the_published_sequence():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert splitmix64(tf.constant([1234567], tf.uint64), 4).numpy()[0].tolist() == published


def test_uniform_numbers_are_uniform_and_independent():
    seeds = tf.stack([tf.fill([20000], 7), tf.range(20000)], axis=1)
    a, b = uniform(seeds, 3, 1).numpy(), uniform(seeds, 3, 2).numpy()
    other = uniform(seeds + [[1, 0]], 3, 1).numpy()
    columns = np.concatenate([a, b, other, np.roll(a, 1, axis=0)], axis=1)
    assert a.min() >= 0 and a.max() < 1
    assert min(scipy.stats.kstest(column, "uniform").pvalue for column in columns.T) > 1e-4
    assert abs(np.corrcoef(columns.T) - np.eye(12)).max() < 0.035  # five standard deviations


def by_scipy(image, transform):
    """The image under [[a, b, c], [d, e, f]] from output (x, y) to input; SciPy counts (row, column)."""
    a, b, c, d, e, f = transform[:6]
    matrix, offset = [[e, d], [b, a]], [f, c]
    channels = [
        scipy.ndimage.affine_transform(image[..., k], matrix, offset, order=1, mode="grid-constant")
        for k in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def test_affine_equals_scipy():
    moved = EVERYTHING(IMAGES, SEEDS).numpy()
    transforms = EVERYTHING.transforms(SEEDS, 11, 14).numpy().astype(np.float64)
    for image, transform, got in zip(IMAGES, transforms, moved, strict=True):
        np.testing.assert_allclose(got, by_scipy(image, transform), atol=2e-5)
    assert abs(moved - IMAGES).max() > 0.1


def test_transforms_undo_rotation_shear_factor_and_shift_about_the_centre():
    """Build the forward map of the docstring from its parameters; the inverse in use must undo it."""
    u = 2 * uniform(SEEDS, 5, 1).numpy().astype(np.float64) - 1
    centre = np.array([(14 - 1) / 2, (11 - 1) / 2])
    for row, transform in zip(u, EVERYTHING.transforms(SEEDS, 11, 14).numpy(), strict=True):
        angle, slant = np.radians(40) * row[0], np.tan(np.radians(15) * row[1])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        forward = turn @ [[1, slant], [0, 1]] * (1 + 0.3 * row[2])
        shift = 0.2 * row[3:] * [14, 11]
        for point in ([0.0, 0.0], [5.0, 2.0], [13.0, 10.0]):
            moved = forward @ (np.array(point) - centre) + centre + shift
            back = transform[:6].reshape(2, 3) @ [*moved, 1]
            np.testing.assert_allclose(back, point, atol=1e-4)


def test_a_shift_by_whole_pixels_moves_and_fills_with_zeros():
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[0, 4, 3] = 200
    affine = RandomAffine(shift=0.25)
    seeds = tf.constant([[0, 5]], tf.int32)
    x, y = -affine.transforms(seeds, 8, 8).numpy()[0, [2, 5]]
    moved = affine(image, seeds).numpy().astype(float)[0, ..., 0]
    rows, columns = np.mgrid[:8, :8]
    assert moved.sum() == pytest.approx(200, abs=2)
    assert (moved * rows).sum() / moved.sum() == pytest.approx(4 + y, abs=0.05)
    assert (moved * columns).sum() / moved.sum() == pytest.approx(3 + x, abs=0.05)


@pytest.mark.parametrize("augment", [RandomAffine(), ElasticDistortion(alpha=0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16])
def test_nothing_to_do_changes_nothing(augment, dtype):
    images = np.random.default_rng(1).integers(0, 256, (6, 5, 9, 3)).astype(dtype)
    result = augment(images, SEEDS)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, images)


def test_elastic_field_is_smoothed_noise_and_the_sampling_equals_scipy():
    elastic = ElasticDistortion(alpha=20, sigma=2)
    field = elastic.field(SEEDS, 11, 14).numpy()
    noise = 2 * uniform(SEEDS, 2 * 11 * 14, 2).numpy().reshape(6, 2, 11, 14) - 1
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 0, 2, 2), mode="constant")
    np.testing.assert_allclose(field, 20 * smooth, atol=1e-4)
    bent = elastic(IMAGES, SEEDS).numpy()
    for image, shift, got in zip(IMAGES, field, bent, strict=True):
        at = np.mgrid[:11, :14] + shift
        for k in range(2):
            expected = scipy.ndimage.map_coordinates(image[..., k], at, order=1, mode="grid-constant")
            np.testing.assert_allclose(got[..., k], expected, atol=2e-5)
    assert abs(field).max() > 1.5


@pytest.mark.parametrize("augment", NEIGHBOURS)
def test_a_sample_does_not_depend_on_its_batch(augment):
    together = augment(IMAGES, SEEDS).numpy()
    alone = np.concatenate([augment(IMAGES[i : i + 1], SEEDS[i : i + 1]).numpy() for i in range(6)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    same = augment(np.repeat(IMAGES[:1], 6, axis=0), SEEDS).numpy()
    assert all(abs(same[0] - other).max() > 0.05 for other in same[1:])


@pytest.mark.parametrize("augment", NEIGHBOURS)
def test_uint8_is_rounded_not_cut(augment):
    images = np.random.default_rng(1).integers(0, 256, (6, 11, 14, 1), np.uint8)
    exact = augment(images.astype(np.float32), SEEDS).numpy()
    np.testing.assert_array_equal(augment(images, SEEDS).numpy(), np.round(exact))


@pytest.mark.parametrize("augment", NEIGHBOURS)
def test_inside_batches(augment):
    split = load("digits").train
    images, _ = next(iter(batches(split, 16, seed=2, start_step=5, augment=augment)))
    plain, _ = next(iter(batches(split, 16, seed=2, start_step=5)))
    seeds = tf.constant([[2, 80 + i] for i in range(16)], tf.int32)
    np.testing.assert_array_equal(images, augment(plain, seeds))
    assert images.shape == (16, 8, 8, 1) and images.dtype == tf.uint8


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RandomAffine(shift=2), "shift"),
        (lambda: RandomAffine(rotate=-1), "rotate"),
        (lambda: RandomAffine(scale=1.0), "scale"),
        (lambda: RandomAffine(shear=90), "shear"),
        (lambda: RandomAffine(shear=float("nan")), "shear"),
        (lambda: RandomAffine(rotate="15"), "rotate"),
        (lambda: ElasticDistortion(sigma=0), "sigma"),
        (lambda: ElasticDistortion(alpha=-1), "alpha"),
        (lambda: EVERYTHING(np.zeros((2, 8, 8), np.uint8), SEEDS), "images"),
        (lambda: EVERYTHING(np.zeros((2, 8, 8, 1), np.int64), SEEDS), "images"),
    ],
)
def test_refusals(make, says):
    with pytest.raises(InputError, match=f"{says}: expected .*received"):
        make()
