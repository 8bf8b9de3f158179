"""MixUp, CutMix and random erasing: label arithmetic, areas and distributions against NumPy and SciPy."""

import pickle

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from kerasae.data import Chain, CutMix, Mixing, MixUp, RandomAffine, RandomErasing, RandomFlip, batches, load
from kerasae.data.mixing import cut_boxes
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 12, 10, 3)).astype(np.uint8)
LABELS = np.array([0, 3, 1, 3, 2, 0])
SEEDS = tf.constant([[4, i] for i in range(6)], tf.int32)
MANY = tf.stack([tf.fill([20000], 4), tf.range(20000)], axis=1)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_mixup_blends_images_and_labels_alike(per_sample, seed):
    mix = MixUp(4, 0.8, per_sample=per_sample)
    seeds = SEEDS + [[seed, 0]]
    images, targets = mix(IMAGES, LABELS, seeds)
    shares = mix.draws(seeds, 12, 10)[1].numpy().astype(float)
    assert len(set(shares)) == (6 if per_sample else 1)
    for i, share in enumerate(shares):
        expected = share * IMAGES[i] + (1 - share) * IMAGES[5 - i].astype(float)
        np.testing.assert_allclose(images[i], expected, atol=0.51)
        target = np.zeros(4)
        target[LABELS[i]] += share
        target[LABELS[5 - i]] += 1 - share
        np.testing.assert_allclose(targets[i], target, atol=1e-6)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_cutmix_labels_are_the_shares_of_the_pixels(per_sample, seed):
    ramp = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 12, 10, 1))
    images, targets = CutMix(6, per_sample=per_sample)(ramp, np.arange(6), SEEDS + [[seed, 0]])
    for i in range(6):
        counts = np.bincount(images[i].numpy().ravel(), minlength=6) / 120
        assert set(np.flatnonzero(counts)) <= {i, 5 - i}
        np.testing.assert_allclose(targets[i], counts, atol=1e-6)


def test_cut_boxes_equal_a_transcription():
    shares, places = RNG.random(50).astype(np.float32), RNG.random((50, 2)).astype(np.float32)
    boxes = cut_boxes(tf.constant(shares), tf.constant(places), 12, 10).numpy()
    for share, (down, along), box in zip(shares, places, boxes, strict=True):
        ratio = np.sqrt(1 - share)
        rows, columns, y, x = int(12 * ratio), int(10 * ratio), int(down * 12), int(along * 10)
        top, bottom = np.clip([y - rows // 2, y + rows // 2], 0, 12)
        left, right = np.clip([x - columns // 2, x + columns // 2], 0, 10)
        np.testing.assert_array_equal(box, [top, left, bottom - top, right - left])


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.0, 3.0])
def test_shares_are_beta_distributed(alpha):
    shares = MixUp(4, alpha, per_sample=True).draws(MANY, 12, 10)[1].numpy()
    assert scipy.stats.kstest(shares, scipy.stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_both_are_used_as_often_as_asked():
    boxes, shares = Mixing(4, switch=0.3, per_sample=True).draws(MANY, 12, 10)
    cut = boxes[:, 2].numpy() >= 0
    assert cut.mean() == pytest.approx(0.3, abs=0.02)
    pasted = (boxes[:, 2] * boxes[:, 3]).numpy()[cut] / 120
    np.testing.assert_allclose(shares.numpy()[cut], 1 - pasted, atol=1e-6)
    blends = shares.numpy()[~cut]
    assert scipy.stats.kstest(blends, scipy.stats.beta(0.8, 0.8).cdf).pvalue > 1e-3


def test_batches_mix_after_augmenting_and_resume():
    split, mix = load("digits").train, Mixing(10)
    whole = list(batches(split, 16, seed=2, augment=RandomFlip(), mix=mix).take(4))
    again = next(iter(batches(split, 16, seed=2, start_step=3, augment=RandomFlip(), mix=mix)))
    for a, b in zip(whole[3], again, strict=True):
        np.testing.assert_array_equal(a, b)
    plain, labels = list(batches(split, 16, seed=2, augment=RandomFlip()).take(4))[3]
    seeds = tf.constant([[2, 48 + i] for i in range(16)], tf.int32)
    for a, b in zip(mix(plain, labels, seeds), again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert again[0].dtype == tf.uint8 and again[1].shape == (16, 10)


def test_erasing_areas_and_places():
    height, width = 40, 24
    boxes = RandomErasing(0.6, area=(0.05, 0.2), ratio=(0.5, 3.0)).boxes(MANY, height, width).numpy()
    top, left, rows, columns = boxes[boxes[:, 2] > 0].T
    assert (boxes[:, 2] > 0).mean() == pytest.approx(0.6, abs=0.02)
    area = rows * columns / (height * width)
    assert scipy.stats.kstest(area, scipy.stats.uniform(0.05, 0.15).cdf).statistic < 0.03  # sides are whole pixels
    assert np.quantile(rows / columns, [0.01, 0.99]) == pytest.approx([0.5, 3.0], rel=0.15)
    assert (top >= 0).all() and (top + rows <= height).all() and (left >= 0).all() and (left + columns <= width).all()
    assert top.min() == 0 and (top + rows).max() == height


def test_erasing_puts_noise_into_its_box_only():
    erasing = RandomErasing(1.0, area=(0.2, 0.4), maximum=100)
    images = np.full((6, 30, 20, 3), 200, np.uint8)
    erased = erasing(images, SEEDS).numpy()
    for image, (top, left, rows, columns) in zip(erased, erasing.boxes(SEEDS, 30, 20).numpy().astype(int), strict=True):
        box = image[top : top + rows, left : left + columns]
        assert (image != 200).sum() == box.size
        assert scipy.stats.kstest(box.ravel(), scipy.stats.uniform(0, 100).cdf).statistic < 0.1
    assert not np.array_equal(erased[0], erased[1])


def test_normal_noise_is_that_of_standardised_images():
    """Floats hold all of it; bytes what lies in their range."""
    mean, std = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
    erasing = RandomErasing(1.0, area=(0.8, 0.9), maximum=1.0, mean=tuple(mean), std=tuple(std))
    noise = erasing(np.full((6, 30, 20, 3), 9.0, np.float32), SEEDS).numpy()
    noise = (noise[(noise != 9.0).all(-1)] - mean) / std
    assert scipy.stats.kstest(noise.ravel(), scipy.stats.norm.cdf).statistic < 0.02
    erasing = RandomErasing(1.0, area=(0.8, 0.9), mean=0.1, std=0.2)
    noise = erasing(np.full((6, 30, 20, 1), 255, np.uint8), SEEDS).numpy()
    assert (noise[noise != 255] == 0).mean() == pytest.approx(scipy.stats.norm.cdf(-0.5), abs=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_erasing_depends_on_the_sample_alone(dtype):
    erasing, images = RandomErasing(0.5), IMAGES.astype(dtype)
    together = erasing(images, SEEDS).numpy()
    alone = np.concatenate([erasing(images[i : i + 1], SEEDS[i : i + 1]).numpy() for i in range(6)])
    np.testing.assert_array_equal(together, alone)
    assert together.dtype == dtype and (together != images).any()


def test_chain_is_one_after_the_other_and_can_be_sent_to_another_process():
    steps = RandomAffine(rotate=20), RandomErasing(1.0)
    chain = pickle.loads(pickle.dumps(Chain(*steps)))
    assert chain == Chain(*steps) and chain.steps == steps
    np.testing.assert_array_equal(chain(IMAGES, SEEDS), steps[1](steps[0](IMAGES, SEEDS), SEEDS))
    assert (chain(IMAGES, SEEDS).numpy() != steps[1](IMAGES, SEEDS).numpy()).any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Mixing(1), "classes"),
        (lambda: Mixing(3, 0.0, 0.0), "mixup, cutmix"),
        (lambda: Mixing(3, -1.0), "mixup"),
        (lambda: Mixing(3, switch=2.0), "switch"),
        (lambda: MixUp(4)(np.zeros((6, 12), np.uint8), LABELS, SEEDS), "images"),
        (lambda: RandomErasing(2.0), "probability"),
        (lambda: RandomErasing(area=(0.5, 0.2)), "area"),
        (lambda: RandomErasing(ratio=(0.0, 1.0)), "ratio"),
        (lambda: RandomErasing(maximum=0), "maximum"),
        (lambda: RandomErasing(mean=1.5), "mean"),
        (lambda: RandomErasing(mean=0.5, std=(0.2, 0.0)), "std"),
        (lambda: RandomErasing(1.0, mean=(0.5, 0.5))(IMAGES, SEEDS), "mean"),
        (lambda: RandomErasing()(np.zeros((6, 12), np.uint8), SEEDS), "images"),
        (lambda: Chain(RandomFlip(), None), "steps"),
        (lambda: batches(load("digits").train, 4, seed=0, mix=3), "mix"),
    ],
)
def test_refusals(make, says):
    with pytest.raises(InputError, match=f"{says}: expected .*received"):
        make()
