"""Random crops and flips, stateless like the rest of the augmentation: what masked autoencoders are pretrained with."""

import math
from dataclasses import dataclass

import tensorflow as tf

from kerasae.data.augment import Chain, as_stored, checked_images
from kerasae.data.checks import bounds
from kerasae.data.draws import uniform

CROP_STREAM, FLIP_STREAM = 3, 4
ATTEMPTS = 10


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut out a random rectangle of each image and resize it, bicubic, to the size of the image.

    The rectangle's area is uniform in `scale` times the image's, the logarithm of its width over height uniform
    between those of `ratio`; of ten draws the first that fits the image is taken, else the largest central rectangle
    within `ratio` (Szegedy et al., arXiv 1409.4842, section 6, as in the masked autoencoders' recipe). The resizing is
    Pillow's bicubic: Keys's kernel with a = −0.5.

    Called as `kerasae.data.augment.RandomAffine` is. Where it is the first augmentation of examples that are stored
    encoded, `kerasae.data.batches` cuts each rectangle from the image as it is stored, whatever its size.

    Raises:
        InputError: a bound is out of range or the two are in the wrong order.

    Example:
        >>> crop = RandomResizedCrop(scale=(0.2, 1.0))
        >>> data = kerasae.data.batches(source.train, 128, seed=0, augment=crop)
    """

    scale: tuple[float, float] = (0.2, 1.0)
    """Least and largest area, as shares of the image's."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and largest width over height."""
    maximum: float = 255.0
    """Largest stored value of integer images: the kernel overshoots at edges, and what it gives is cut off there."""

    def __post_init__(self):
        bounds("scale", self.scale, 1.0)
        bounds("ratio", self.ratio, 100.0)

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        images = checked_images(images)
        _, height, width, channels = images.shape
        top, left, rows, columns = tf.unstack(self.boxes(seeds, height, width), axis=1)
        # One axis after the other, each as a product with a matrix per image.
        x = tf.reshape(tf.cast(images, tf.float32), [-1, height, width * channels])
        x = tf.reshape(cubic_matrices(top, rows, height) @ x, [-1, height, width, channels])
        x = tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, width, height * channels])
        x = tf.reshape(cubic_matrices(left, columns, width) @ x, [-1, width, height, channels])
        x = tf.minimum(x, self.maximum) if images.dtype.is_integer else x
        return as_stored(tf.transpose(x, [0, 2, 1, 3]), images)

    def boxes(self, seeds: tf.Tensor, height, width) -> tf.Tensor:
        """The rectangles as (top, left, height, width) in whole pixels, float32 [B, 4], of images of one size."""
        height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        u = tf.reshape(uniform(seeds, 2 * ATTEMPTS + 2, CROP_STREAM), [-1, 2 * ATTEMPTS + 2])
        area = height * width * (self.scale[0] + u[:, :ATTEMPTS] * (self.scale[1] - self.scale[0]))
        low, high = (math.log(r) for r in self.ratio)
        ratio = tf.exp(low + u[:, ATTEMPTS:-2] * (high - low))
        rows, columns = tf.round(tf.sqrt(area / ratio)), tf.round(tf.sqrt(area * ratio))
        fits = (rows >= 1) & (columns >= 1) & (rows <= height) & (columns <= width)
        first = tf.argmax(fits, axis=1)
        found = tf.reduce_any(fits, axis=1)
        rows, columns = (tf.gather(sides, first, batch_dims=1) for sides in (rows, columns))
        top, left = tf.floor(u[:, -2] * (height - rows + 1)), tf.floor(u[:, -1] * (width - columns + 1))
        box = tf.stack([top, left, rows, columns], axis=1)
        return tf.where(found[:, None], box, self.central(height, width)[None])

    def central(self, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        """The largest central rectangle whose width over height is within `ratio`, like `boxes`."""
        wanted = tf.clip_by_value(width / height, *self.ratio)
        rows = tf.minimum(height, tf.round(width / wanted))
        columns = tf.minimum(width, tf.round(height * wanted))
        return tf.stack([(height - rows) // 2, (width - columns) // 2, rows, columns])


def leading_crop(augment):
    """An augmentation as (its first step if that is a `RandomResizedCrop`, what follows), None for nothing."""
    if isinstance(augment, RandomResizedCrop):
        return augment, None
    if isinstance(augment, Chain) and augment.steps and isinstance(augment.steps[0], RandomResizedCrop):
        return augment.steps[0], Chain(*augment.steps[1:])
    return None, augment


@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image left to right with probability one half. Called as `RandomResizedCrop` is."""

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        images = checked_images(images)
        turned = uniform(seeds, 1, FLIP_STREAM)[:, :, None, None] < 0.5
        return tf.where(turned, tf.reverse(images, [2]), images)


def cubic_matrices(start: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    """Weights that resize pixels start … start + length of an axis to `size` pixels: float32 [B, size, size].

    Row i holds the weights of the axis's pixels in new pixel i: Keys's kernel (IEEE Trans. ASSP 29, 1981, eq. 4,
    a = −0.5) around the place of i; each row sums to 1. Nothing is shrunk, so the kernel need not be widened.

    Args:
        start, length: float32 [B], whole pixels; start + length ≤ size.
        size: pixels of the axis, before and after.
    """
    step = (length / size)[:, None, None]
    places = start[:, None, None] + (tf.range(size, dtype=tf.float32)[:, None] + 0.5) * step - 0.5
    pixels = tf.range(size, dtype=tf.float32)[None, None]
    weights = cubic(tf.abs(pixels - places))
    last = (start + length)[:, None, None]
    weights = tf.where((pixels >= start[:, None, None]) & (pixels < last), weights, 0.0)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def cubic(distance: tf.Tensor) -> tf.Tensor:
    """Keys's cubic kernel with a = −0.5 at a distance ≥ 0 in pixels."""
    d = distance
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return tf.where(d < 1.0, near, tf.where(d < 2.0, far, 0.0))
