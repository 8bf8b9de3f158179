"""Measure classes of pixels: intersection over union of each class, and what a difference in it is worth."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasae.data import in_order

IGNORED = 255
DRAWS = 1000


@dataclass(frozen=True)
class Segmentation:
    """How well the classes of pixels were named, of images one by one.

    Attributes:
        confusions: int64 [N, K, K]: of each image, pixels by true and by named class; ignored pixels are left out.
    """

    confusions: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class over all images, [K]; NaN of one that is nowhere."""
        return intersection_over_union(self.confusions.sum(axis=0))

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that are in the masks or were named."""
        return float(np.nanmean(self.iou))

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels whose class was named."""
        whole = self.confusions.sum(axis=0)
        return float(np.trace(whole) / whole.sum())


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """Compute TP / (TP + FP + FN) of each class of a confusion matrix [..., K, K]; NaN where nothing is."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1).astype(float)
    union = confusion.sum(axis=-1) + confusion.sum(axis=-2) - hit
    return np.divide(hit, union, out=np.full(hit.shape, np.nan), where=union > 0)


def measure_segmentation(masks: np.ndarray, named: np.ndarray, classes: int) -> Segmentation:
    """Count the pixels of true and named classes.

    Args:
        masks: uint8 [N, H, W], the truth; 255 is left out.
        named: uint8 [N, H, W].
        classes: K.

    Example:
        >>> measure_segmentation(np.uint8([[[0, 1, 255]]]), np.uint8([[[0, 0, 0]]]), 2).iou
        array([0.5, 0. ])
    """
    found = np.zeros((len(masks), classes, classes), np.int64)
    for i, (true, said) in enumerate(zip(masks, named, strict=True)):
        known = true != IGNORED
        pairs = true[known].astype(np.int64) * classes + said[known]
        found[i] = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return Segmentation(found)


def segment(model, split, batch_size: int = 64) -> np.ndarray:
    """Name the class of every pixel of a split by a `Segmenter`: uint8 [N, H, W]."""
    step = tf.function(model.segment, autograph=False)
    return np.concatenate([step(images).numpy() for images, _ in in_order(split, batch_size)])


def iou_difference(ours: Segmentation, theirs: Segmentation, seed: int = 0) -> tuple[float, float, float]:
    """Compare mean intersection over union on the same images: difference, and the ends of its 95 % interval.

    The interval is of 1,000 bootstrap draws of the images, with replacement, the same for both (Efron, The Annals of
    Statistics 7, 1979); it holds the chance of the test images, not that of the training.
    """
    rng, count = np.random.default_rng(seed), len(ours.confusions)
    drawn = []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        means = [
            np.nanmean(intersection_over_union(np.tensordot(times, found.confusions, 1))) for found in (ours, theirs)
        ]
        drawn.append(means[0] - means[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return ours.mean_iou - theirs.mean_iou, float(low), float(high)
