"""Random erasing, stateless like the rest of the augmentation."""

import math
from dataclasses import dataclass

import tensorflow as tf

from kerasae.data.augment import as_stored, checked_images, per_channel
from kerasae.data.checks import bounds, number, shares
from kerasae.data.draws import normal, uniform

BOX_STREAM, NOISE_STREAM = 5, 6
ATTEMPTS = 10


@dataclass(frozen=True)
class RandomErasing:
    """Replace a random rectangle of an image by noise: Zhong et al., arXiv 1708.04896, algorithm 1.

    The rectangle's area is uniform in `area` times the image's, the logarithm of its height over width uniform
    between those of `ratio`; of ten draws the first that is smaller than the image is taken, else nothing is erased.
    The noise is drawn for every pixel and channel: uniform from 0 to `maximum`, as in the paper, or, as where masked
    autoencoders are fine-tuned, normal with the `mean` and `std` that images are standardised by; uint8 images keep
    what of it lies within 0 to 255.

    Called as `kerasae.data.augment.RandomAffine` is.

    Raises:
        InputError: an argument is out of range or two bounds are in the wrong order.

    Example:
        >>> data = kerasae.data.batches(source.train, 128, seed=0, augment=RandomErasing(0.25))
    """

    probability: float = 0.25
    """Share of the images that lose a rectangle."""
    area: tuple[float, float] = (0.02, 1 / 3)
    """Least and largest area, as shares of the image's."""
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    """Least and largest height over width."""
    maximum: float = 255.0
    """The stored value that means 1.0."""
    mean: float | tuple[float, ...] | None = None
    """Mean of normal noise as a share of `maximum`, one number or one per channel; None for uniform noise."""
    std: float | tuple[float, ...] = 0.25
    """Standard deviation of normal noise, likewise."""

    def __post_init__(self):
        number("probability", self.probability, 0.0, 1.0)
        number("maximum", self.maximum, 1e-6)
        shares("mean", 0.0 if self.mean is None else self.mean)
        shares("std", self.std, 1e-6)
        bounds("area", self.area, 1.0)
        bounds("ratio", self.ratio, 100.0)

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        images = checked_images(images)
        _, height, width, channels = images.shape
        boxes = self.boxes(seeds, height, width)
        # Noise is made for the images that need it only: it costs more than all the rest.
        rows = tf.where(boxes[:, 2] > 0)[:, 0]
        some, box = tf.gather(images, rows), tf.gather(boxes, rows)
        noise = uniform(tf.gather(seeds, rows), height * width * channels, NOISE_STREAM)
        noise = self.noise(tf.reshape(noise, [-1, height, width, channels]))
        noise = as_stored(noise * self.maximum, some)
        erased = tf.where(inside(box, height, width)[..., None], noise, some)
        return tf.ensure_shape(tf.tensor_scatter_nd_update(images, rows[:, None], erased), images.shape)

    def noise(self, u: tf.Tensor) -> tf.Tensor:
        """Noise as shares of `maximum`, from numbers u uniform in [0, 1): [B, H, W, C]."""
        if self.mean is None:
            return u
        mean, std = per_channel("mean", self.mean, u), per_channel("std", self.std, u)
        return mean + std * normal(u)

    def boxes(self, seeds: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """The rectangles as (top, left, height, width) in whole pixels, float32 [B, 4]; zeros where there is none."""
        u = uniform(seeds, 2 * ATTEMPTS + 3, BOX_STREAM)
        area = height * width * (self.area[0] + u[:, :ATTEMPTS] * (self.area[1] - self.area[0]))
        low, high = (math.log(r) for r in self.ratio)
        ratio = tf.exp(low + u[:, ATTEMPTS:-3] * (high - low))
        rows, columns = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
        fits = (rows >= 1) & (columns >= 1) & (rows < height) & (columns < width)
        first, found = tf.argmax(fits, axis=1), tf.reduce_any(fits, axis=1)
        rows, columns = (tf.gather(sides, first, batch_dims=1) for sides in (rows, columns))
        top, left = tf.floor(u[:, -3] * (height - rows + 1)), tf.floor(u[:, -2] * (width - columns + 1))
        wanted = found & (u[:, -1] < self.probability)
        return tf.where(wanted[:, None], tf.stack([top, left, rows, columns], axis=1), 0.0)


def inside(boxes: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Which pixels are in boxes (top, left, height, width) [B, 4]: bool [B, height, width]."""
    top, left, rows, columns = tf.unstack(boxes[:, :, None], axis=1)
    y, x = tf.range(height, dtype=tf.float32)[None], tf.range(width, dtype=tf.float32)[None]
    return ((y >= top) & (y < top + rows))[:, :, None] & ((x >= left) & (x < left + columns))[:, None]
