"""RandAugment: its operations against Pillow's, its draws against the recipe's formulas, its purity."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from kerasae.data import RandAugment
from kerasae.data.rand_augment import OPERATIONS, apply
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
COUNT = 12
# Colours of every kind: full range, low contrast, one value only, few values.
IMAGES = np.concatenate(
    [
        RNG.integers(0, 256, (5, 19, 23, 3)),
        RNG.integers(90, 140, (4, 19, 23, 3)),
        np.full((1, 19, 23, 3), 77),
        RNG.choice([3, 200], (2, 19, 23, 3)),
    ]
).astype(np.uint8)
LEVELS = RNG.uniform(0, 10, COUNT).astype(np.float32)
LEVELS[:2] = 0, 10
SIGNS = np.where(np.arange(COUNT) % 2, 1, -1).astype(np.float32)
FILL = (124, 116, 104)
SEEDS = tf.constant([[5, i] for i in range(COUNT)], tf.int32)
MANY = tf.constant([[5, i] for i in range(20 * COUNT)], tf.int32)


def solarize_add(image, amount):
    return image.point([min(255, i + amount) if i < 128 else i for i in range(256)] * len(image.getbands()))


def strength(level, sign):
    return max(0.1, 1 + sign * float(np.float32(level) / np.float32(10) * np.float32(0.9)))


PILLOW = {
    "auto_contrast": lambda image, level, sign: ImageOps.autocontrast(image),
    "equalize": lambda image, level, sign: ImageOps.equalize(image),
    "invert": lambda image, level, sign: ImageOps.invert(image),
    "posterize": lambda image, level, sign: ImageOps.posterize(image, max(1, 4 - int(level / 10 * 4))),
    "solarize": lambda image, level, sign: ImageOps.solarize(image, 256 - int(level / 10 * 256)),
    "solarize_add": lambda image, level, sign: solarize_add(image, min(128, int(level / 10 * 110))),
    "color": lambda image, level, sign: ImageEnhance.Color(image).enhance(strength(level, sign)),
    "contrast": lambda image, level, sign: ImageEnhance.Contrast(image).enhance(strength(level, sign)),
    "brightness": lambda image, level, sign: ImageEnhance.Brightness(image).enhance(strength(level, sign)),
    "sharpness": lambda image, level, sign: ImageEnhance.Sharpness(image).enhance(strength(level, sign)),
}


def affine(image, matrix):
    return image.transform(image.size, Image.AFFINE, matrix, resample=Image.BICUBIC, fillcolor=FILL)


MOVED = {
    "rotate": lambda image, x: image.rotate(30 * x, resample=Image.BICUBIC, fillcolor=FILL),
    "shear_x": lambda image, x: affine(image, (1, 0.3 * x, 0, 0, 1, 0)),
    "shear_y": lambda image, x: affine(image, (1, 0, 0, 0.3 * x, 1, 0)),
    "translate_x": lambda image, x: affine(image, (1, 0, 0.45 * image.size[0] * x, 0, 1, 0)),
    "translate_y": lambda image, x: affine(image, (1, 0, 0, 0, 1, 0.45 * image.size[1] * x)),
}


def applied(name, images=IMAGES):
    operation = tf.fill([len(images)], OPERATIONS.index(name))
    fill = FILL[: images.shape[-1]]
    return apply(tf.constant(images), operation, tf.constant(LEVELS), tf.constant(SIGNS), fill).numpy()


def test_every_operation_is_compared():
    assert sorted([*PILLOW, *MOVED]) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", PILLOW)
def test_colours_equal_pillow(name):
    got = applied(name)
    for image, level, sign, ours in zip(IMAGES, LEVELS, SIGNS, got, strict=True):
        np.testing.assert_array_equal(ours, PILLOW[name](Image.fromarray(image), level, sign))
    assert (got != IMAGES).any()


@pytest.mark.parametrize("name", ["auto_contrast", "equalize", "contrast", "sharpness", "brightness"])
def test_grey_images_equal_pillow(name):
    images = np.ascontiguousarray(IMAGES[..., :1])
    got = applied(name, images)
    for image, level, sign, ours in zip(images, LEVELS, SIGNS, got, strict=True):
        np.testing.assert_array_equal(ours[..., 0], PILLOW[name](Image.fromarray(image[..., 0]), level, sign))


@pytest.mark.parametrize("name", MOVED)
def test_moves_equal_pillow_at_the_border_too(name):
    """But for a step of one where float32 falls on the other side of a whole number."""
    got = applied(name).astype(int)
    wanted = [
        np.asarray(MOVED[name](Image.fromarray(image), sign * level / 10))
        for image, level, sign in zip(IMAGES, LEVELS, SIGNS, strict=True)
    ]
    assert abs(got - wanted).max() <= 1 and (got != wanted).mean() < 0.001
    assert (got != IMAGES).mean() > 0.5 and (got == FILL).all(-1).mean() > 0.02


def test_what_no_operation_touches_stays():
    operation = tf.constant([-1, OPERATIONS.index("invert")] * 6)
    got = apply(tf.constant(IMAGES), operation, tf.constant(LEVELS), tf.constant(SIGNS), 0.0).numpy()
    np.testing.assert_array_equal(got[::2], IMAGES[::2])
    np.testing.assert_array_equal(got[1::2], 255 - IMAGES[1::2])


def test_draws_are_those_of_the_recipe():
    seeds = tf.stack([tf.fill([20000], 3), tf.range(20000)], axis=1)
    draws = RandAugment(count=2, magnitude=6, deviation=1.5, probability=0.5).draws(seeds)
    assert len(draws) == 2 and abs(np.corrcoef(draws[0][1], draws[1][1])[0, 1]) < 0.035
    for operation, level, sign in draws:
        counts = np.bincount(operation.numpy() + 1, minlength=16)
        assert counts[0] / 20000 == pytest.approx(0.5, abs=0.02)
        np.testing.assert_allclose(counts[1:] / 20000, 0.5 / 15, atol=0.007)
        assert np.mean(sign) == pytest.approx(0, abs=0.04)
        assert np.median(level) == pytest.approx(6, abs=0.06)
        assert np.mean(np.abs(level - 6) < 1.5) == pytest.approx(0.6827, abs=0.02)
        assert level.numpy().max() <= 10


def test_a_sample_does_not_depend_on_its_batch():
    augment = RandAugment()
    together = augment(IMAGES, SEEDS).numpy()
    alone = np.concatenate([augment(IMAGES[i : i + 1], SEEDS[i : i + 1]).numpy() for i in range(COUNT)])
    np.testing.assert_array_equal(together, alone)
    same = augment(np.repeat(IMAGES[:1], COUNT, axis=0), SEEDS).numpy()
    assert len({image.tobytes() for image in same}) > COUNT // 2


def test_other_ranges_of_values():
    """Digits of 0 … 16 and floats of 0 … 1 undergo what the same picture of 0 … 255 undergoes."""
    seeds = tf.constant([[1, i] for i in range(40)], tf.int32)
    digits = RNG.integers(0, 16, (40, 9, 9, 1)).astype(np.uint8)
    bytes_ = np.round(digits * (255 / 15)).astype(np.uint8)
    wanted = RandAugment()(bytes_, seeds).numpy()
    np.testing.assert_array_equal(RandAugment(maximum=15)(digits, seeds), np.round(wanted * (15 / 255)))
    floats = RandAugment(maximum=1)((bytes_ / 255).astype(np.float32), seeds)
    np.testing.assert_allclose(floats, wanted / 255, atol=1e-6)
    assert (wanted != bytes_).any()


def test_what_comes_from_outside_has_the_colour_asked_for():
    """As a share of the largest value, in every channel its own."""
    black = np.zeros_like(IMAGES)
    changed = RandAugment(count=1, probability=1.0, fill=(0.485, 0.456, 0.406))(np.repeat(black, 20, 0), MANY).numpy()
    colours = np.unique(changed.reshape(-1, 3), axis=0)
    assert set(map(tuple, colours)) >= {(0, 0, 0), FILL}


BAD = [{"magnitude": 11}, {"count": 0}, {"probability": 2}, {"maximum": 0}, {"fill": 2}, {"fill": (0.5, -0.1, 0.5)}]


@pytest.mark.parametrize("arguments", BAD)
def test_refusals(arguments):
    with pytest.raises(InputError, match=f"{next(iter(arguments))}: expected .*received"):
        RandAugment(**arguments)


def test_vectors_and_colours_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="images: expected"):
        RandAugment()(np.zeros((2, 8), np.uint8), SEEDS[:2])
    with pytest.raises(InputError, match="fill: expected a number or one per channel, 3; received"):
        RandAugment(fill=(0.5, 0.5))(IMAGES, SEEDS)
