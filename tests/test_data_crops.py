"""Random crops against Pillow's bicubic resizing, their boxes against the distribution that is promised."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasae.data import RandomFlip, RandomResizedCrop
from kerasae.errors import InputError

COUNT = 400
SEEDS = tf.stack([tf.fill([COUNT], 5), tf.range(COUNT)], axis=1)
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 20, 28, 3)).astype("uint8")


@pytest.mark.parametrize("scale", [(0.05, 0.2), (0.2, 1.0)])
def test_a_crop_is_pillows(scale):
    crop, images = RandomResizedCrop(scale), IMAGES.astype("float32")
    for image, box, given in zip(images, crop.boxes(SEEDS, 20, 28).numpy(), crop(images, SEEDS).numpy(), strict=True):
        for channel in range(3):
            np.testing.assert_allclose(by_pillow(image[..., channel], box), given[..., channel], atol=0.01)


def by_pillow(image, box):
    top, left, rows, columns = box
    cut = Image.fromarray(image).crop((left, top, left + columns, top + rows))
    return np.asarray(cut.resize(image.shape[::-1], Image.Resampling.BICUBIC))


def test_where_nothing_fits_the_centre_is_taken():
    crop = RandomResizedCrop((0.9, 1.0), (0.2, 0.3))
    assert crop.boxes(SEEDS, 10, 40).numpy().tolist() == [[0.0, 18.0, 10.0, 3.0]] * COUNT


def test_bytes_are_rounded_and_cut_at_their_limits():
    crop = RandomResizedCrop((0.05, 0.2))
    exact = crop(IMAGES.astype("float32"), SEEDS).numpy()
    assert exact.min() < -5 and exact.max() > 260  # a cubic overshoots
    assert (crop(IMAGES, SEEDS).numpy() == np.clip(np.round(exact), 0, 255)).all()


def test_boxes_have_the_area_and_the_ratio_asked_for():
    height = width = 200
    crop = RandomResizedCrop((0.2, 0.45), (0.5, 2.0))
    top, left, rows, columns = crop.boxes(SEEDS, height, width).numpy().T
    area, ratio = rows * columns / (height * width), np.log(columns / rows) / np.log(2.0)
    assert area.min() > 0.19 and area.max() < 0.46 and abs(ratio).max() < 1.02
    assert abs(area.mean() - 0.325) < 0.02 and abs(ratio.mean()) < 0.1 and abs(ratio.std() - 3**-0.5) < 0.05
    assert top.min() >= 0 and (top + rows).max() <= height and (left + columns).max() <= width
    assert abs(np.mean(top / (height - rows)) - 0.5) < 0.06 and abs(np.mean(left / (width - columns)) - 0.5) < 0.06


def test_floats_are_resized_without_rounding():
    crop = RandomResizedCrop((0.3, 0.3), (1.0, 1.0))
    ramp = np.broadcast_to(np.arange(20, dtype="float32")[:, None, None], (1, 20, 20, 1))
    (top, _, rows, _), given = crop.boxes(SEEDS[:1], 20, 20).numpy()[0], crop(ramp, SEEDS[:1]).numpy()[0, :, 0, 0]
    places = top + (np.arange(20) + 0.5) * rows / 20 - 0.5
    np.testing.assert_allclose(given[4:-4], places[4:-4], atol=1e-4)  # a cubic keeps a ramp, away from its ends


def test_half_of_the_images_are_mirrored():
    flipped = RandomFlip()(IMAGES, SEEDS).numpy()
    turned = (flipped == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((flipped == IMAGES).all(axis=(1, 2, 3)) ^ turned).all()
    assert abs(turned.mean() - 0.5) < 0.1


def test_a_sample_does_not_depend_on_its_batch():
    for augment in (RandomResizedCrop(), RandomFlip()):
        assert (augment(IMAGES, SEEDS).numpy()[7:9] == augment(IMAGES[7:9], SEEDS[7:9]).numpy()).all()


@pytest.mark.parametrize("bounds", [{"scale": (0.5, 0.2)}, {"scale": (0.0, 1.0)}, {"ratio": (2.0, 1.0)}])
def test_bounds_out_of_range_are_refused(bounds):
    with pytest.raises(InputError, match=next(iter(bounds))):
        RandomResizedCrop(**bounds)


def test_no_pixel_passes_the_largest_that_is_stored():
    images = np.random.default_rng(0).choice(np.uint8([0, 16]), (200, 8, 8, 1))  # all edges
    seeds = np.stack([np.zeros(200), np.arange(200)], axis=1).astype("int32")
    assert np.max(RandomResizedCrop((0.3, 0.6))(images, seeds)) > 16
    assert np.max(RandomResizedCrop((0.3, 0.6), maximum=16)(images, seeds)) == 16
