"""MixUp and CutMix: examples made of two, with labels to match, as a pure function of the samples' seeds."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasae.data.augment import as_stored, checked_images
from kerasae.data.checks import number, whole
from kerasae.data.draws import uniform
from kerasae.data.erasing import inside
from kerasae.errors import InputError

SHARE_STREAM = 7
QUANTILES = 4096


@dataclass(frozen=True)
class Mixing:
    """Blend each image of a batch with another by MixUp, or paste a rectangle of the other into it by CutMix.

    MixUp (Zhang et al., arXiv 1710.09412): image = λ a + (1 − λ) b, λ ~ Beta(mixup, mixup).
    CutMix (Yun et al., arXiv 1905.04899): a rectangle of √(1 − λ) times a's height and width, centred anywhere in the
    image and cut at its border, is b's; λ ~ Beta(cutmix, cutmix), and then 1 − the share of the pixels pasted.
    The target is λ times a's class + (1 − λ) times b's. b is a's mirror place in the batch, whose order is random.

    Called with images uint8 or float [B, H, W, C], labels int [B] in 0 … classes − 1 and seeds int32 [B, 2], it returns
    images of the same type and shape and targets float32 [B, classes]. A pure function of the whole batch: unlike the
    augmentations, what becomes of a sample depends on its batch.

    Raises:
        InputError: an argument is out of range, or both alphas are 0; when called, if the images are not images.

    Example:
        >>> data = kerasae.data.batches(source.train, 128, seed=0, mix=Mixing(classes=10))
        >>> images, targets = next(iter(data))  # targets float32 [128, 10]
    """

    classes: int
    """Number of classes K."""
    mixup: float = 0.8
    """α of MixUp; 0 leaves it out."""
    cutmix: float = 1.0
    """α of CutMix; 0 leaves it out."""
    switch: float = 0.5
    """Probability of CutMix where both are on."""
    per_sample: bool = False
    """False draws one λ and one choice for a whole batch, as the recipe of arXiv 2111.06377; True for each sample."""

    def __post_init__(self):
        whole("classes", self.classes, 2)
        number("mixup", self.mixup, 0.0, 100.0)
        number("cutmix", self.cutmix, 0.0, 100.0)
        number("switch", self.switch, 0.0, 1.0)
        if not self.mixup and not self.cutmix:
            raise InputError("mixup, cutmix: expected one above 0; received 0 for both; use mix=None to mix nothing.")

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = checked_images(images)
        boxes, shares = self.draws(seeds, images.shape[1], images.shape[2])
        blended = tf.cast(images, tf.float32)
        others = tf.reverse(blended, [0])
        part = tf.where((boxes[:, 2] < 0)[:, None, None], 1.0 - shares[:, None, None], 0.0)
        part = tf.maximum(part, tf.cast(inside(boxes, images.shape[1], images.shape[2]), tf.float32))[..., None]
        mixed = as_stored(blended * (1.0 - part) + others * part, images)
        targets = tf.one_hot(labels, self.classes)
        return mixed, shares[:, None] * targets + (1.0 - shares[:, None]) * tf.reverse(targets, [0])

    def draws(self, seeds: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Rectangles (top, left, height, width) float32 [B, 4], all −1 for MixUp, and shares λ of the first [B]."""
        u = uniform(seeds, 4, SHARE_STREAM)
        if not self.per_sample:
            u = tf.broadcast_to(u[:1], tf.shape(u))
        cut = u[:, 0] < self._cut_share()
        if self.cutmix:
            boxes = cut_boxes(beta(u[:, 1], self.cutmix), u[:, 2:], height, width)
            left = 1.0 - boxes[:, 2] * boxes[:, 3] / (height * width)
        else:
            boxes, left = -tf.ones([tf.shape(u)[0], 4]), u[:, 1]
        blend = beta(u[:, 1], self.mixup) if self.mixup else left
        return tf.where(cut[:, None], boxes, -1.0), tf.where(cut, left, blend)

    def _cut_share(self) -> float:
        return self.switch if self.mixup and self.cutmix else float(bool(self.cutmix))


@dataclass(frozen=True)
class MixUp(Mixing):
    """`Mixing` by MixUp alone."""

    cutmix: float = 0.0


@dataclass(frozen=True)
class CutMix(Mixing):
    """`Mixing` by CutMix alone."""

    mixup: float = 0.0


def beta(u: tf.Tensor, alpha: float) -> tf.Tensor:
    """Uniform numbers in [0, 1) as numbers from Beta(alpha, alpha), by a table of its quantiles."""
    from scipy.special import betaincinv

    table = tf.constant(betaincinv(alpha, alpha, np.linspace(0.0, 1.0, QUANTILES + 1)), tf.float32)
    at = tf.floor(u * QUANTILES)
    low, high = (tf.gather(table, tf.cast(at, tf.int32) + i) for i in (0, 1))
    return low + (u * QUANTILES - at) * (high - low)


def cut_boxes(shares: tf.Tensor, places: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """CutMix's rectangles (top, left, height, width) in whole pixels, float32 [B, 4].

    Args:
        shares: λ [B], of the image that is cut into.
        places: uniform numbers [B, 2] in [0, 1), of the rectangle's centre.
        height, width: of the images.
    """
    spans = []
    for size, place in ((height, places[:, 0]), (width, places[:, 1])):
        half = tf.floor(tf.floor(size * tf.sqrt(1.0 - shares)) / 2)
        centre = tf.floor(place * size)
        first, last = tf.maximum(centre - half, 0.0), tf.minimum(centre + half, float(size))
        spans.append((first, last - first))
    (top, rows), (left, columns) = spans
    return tf.stack([top, left, rows, columns], axis=1)
