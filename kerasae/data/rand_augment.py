"""RandAugment, stateless and for whole batches."""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasae.data import pillow
from kerasae.data.augment import as_stored, checked_images, per_channel
from kerasae.data.checks import number, shares, whole
from kerasae.data.draws import normal, uniform

STREAM = 8
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
TABLES = ("auto_contrast", "equalize", "invert", "posterize", "solarize", "solarize_add")
BLENDS = ("color", "contrast", "brightness", "sharpness")
OPERATIONS = MOVES + TABLES + BLENDS


@dataclass(frozen=True)
class RandAugment:
    """Change each image by a few operations drawn from fifteen: Cubuk et al., arXiv 1909.13719.

    The operations and their strengths are those of `rand-m9-mstd0.5-inc1`, with which masked autoencoders are
    fine-tuned: turns, shears and shifts to either side; auto-contrast, equalise, invert, posterise, solarise and
    solarise-add; colour, contrast, brightness and sharpness, up or down. Every one is stronger at a larger magnitude.
    They are Pillow's operations on values 0 … 255, with bicubic interpolation.

    Called as `kerasae.data.augment.RandomAffine` is. Images of other than three channels have no colour to change.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> data = kerasae.data.batches(source.train, 128, seed=0, augment=RandAugment(magnitude=9))
    """

    count: int = 2
    """Operations drawn for each image."""
    magnitude: float = 9.0
    """Strength of the operations, 0 to 10."""
    deviation: float = 0.5
    """Standard deviation of the strength, which is normal and clipped to 0 … 10."""
    probability: float = 0.5
    """Probability that a drawn operation is carried out."""
    maximum: float = 255.0
    """The stored value that means 1.0."""
    fill: float | tuple[float, ...] = 0.5
    """What comes into the picture from outside, as a share of `maximum`; one number, or one per channel."""

    def __post_init__(self):
        whole("count", self.count, 1, 100)
        number("magnitude", self.magnitude, 0.0, 10.0)
        number("deviation", self.deviation, 0.0, 100.0)
        number("probability", self.probability, 0.0, 1.0)
        number("maximum", self.maximum, 1e-6)
        shares("fill", self.fill)

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        images = checked_images(images)
        fill = np.round(255.0 * per_channel("fill", self.fill, images))
        bytes_ = images.dtype == tf.uint8 and self.maximum == 255.0
        changed = images if bytes_ else to_bytes(images, self.maximum)
        for operation, level, sign in self.draws(seeds):
            changed = apply(changed, operation, level, sign, fill)
        return changed if bytes_ else as_stored(tf.cast(changed, tf.float32) * (self.maximum / 255.0), images)

    def draws(self, seeds: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """For each operation in turn: its number in `OPERATIONS` int32 [B], −1 for none, level and sign float32 [B]."""
        rounds = tf.reshape(uniform(seeds, 4 * self.count, STREAM), [-1, self.count, 4])
        return [self._draw(u) for u in tf.unstack(rounds, axis=1)]

    def _draw(self, u):
        operation = tf.cast(u[:, 0] * len(OPERATIONS), tf.int32)
        level = tf.clip_by_value(self.magnitude + self.deviation * normal(u[:, 2]), 0.0, 10.0)
        return tf.where(u[:, 1] < self.probability, operation, -1), level, tf.where(u[:, 3] < 0.5, 1.0, -1.0)


def apply(images: tf.Tensor, operation: tf.Tensor, level: tf.Tensor, sign: tf.Tensor, fill) -> tf.Tensor:
    """Carry out one operation on each image.

    Args:
        images: uint8 [B, H, W, C].
        operation: number in `OPERATIONS`, int32 [B]; −1 for none.
        level: strength float32 [B], 0 to 10.
        sign: float32 [B], 1 or −1: which way the operations go that have two.
        fill: what comes from outside the picture, a whole number from 0 to 255, or one per channel.
    """
    first = 0
    for names, carry_out in ((MOVES, move), (TABLES, recode), (BLENDS, enhance)):
        # Each family sees the images that it changes: an image costs nothing where nothing is done.
        chosen = tf.where((operation >= first) & (operation < first + len(names)))[:, 0]
        some, kind, *amount = (tf.gather(x, chosen) for x in (images, operation, level, sign))
        changed = carry_out(some, {name: kind == first + i for i, name in enumerate(names)}, *amount, fill)
        images = tf.ensure_shape(tf.tensor_scatter_nd_update(images, chosen[:, None], changed), images.shape)
        first += len(names)
    return images


def move(images, chosen, level, sign, fill):
    """Turn up to 30°, shear up to 0.3 about the corner, or shift up to 0.45 of a side."""
    _, height, width, _ = images.shape
    amount = sign * level / 10.0

    def of(name, value):
        return tf.where(chosen[name], value, 0.0)

    angle = of("rotate", math.radians(30.0) * amount)
    cos, sin = tf.cos(angle), tf.sin(angle)
    b, d = of("shear_x", 0.3 * amount) - sin, of("shear_y", 0.3 * amount) + sin
    c = of("translate_x", 0.45 * width * amount) + (width - cos * width + sin * height) / 2
    f = of("translate_y", 0.45 * height * amount) + (height - sin * width - cos * height) / 2
    return pillow.affine(images, tf.stack([cos, b, c, d, cos, f], axis=1), fill)


def recode(images, chosen, level, sign, fill):
    """Replace values by a table for each image."""

    def steps(most):
        return tf.cast(level / 10.0 * most, tf.int32)

    tables = {
        "auto_contrast": pillow.auto_contrast_tables(images),
        "equalize": pillow.equalize_tables(images),
        "invert": 255 - tf.range(256),
        "posterize": pillow.posterize_tables(tf.maximum(4 - steps(4.0), 1)),  # no bit would be no picture
        "solarize": pillow.solarize_tables(256 - steps(256.0)),
        "solarize_add": pillow.solarize_add_tables(tf.minimum(steps(110.0), 128)),
    }
    table = tf.range(256)
    for name, values in tables.items():
        table = tf.where(chosen[name][:, None, None], values, table)
    return pillow.look_up(images, table)


def enhance(images, chosen, level, sign, fill):
    """Go towards a plainer image or away from it: grey, its mean, black, or smooth."""
    plain = tf.zeros_like(images, tf.float32)
    others = {"color": pillow.grey(images), "contrast": pillow.mean_grey(images), "sharpness": pillow.smooth(images)}
    for name, values in others.items():
        plain = tf.where(chosen[name][:, None, None, None], values, plain)
    return pillow.blend(images, plain, tf.maximum(1.0 + sign * level / 10.0 * 0.9, 0.1))


def to_bytes(images: tf.Tensor, maximum: float) -> tf.Tensor:
    """Images whose 1.0 is `maximum`, as uint8 whose 1.0 is 255."""
    scaled = tf.round(tf.cast(images, tf.float32) * (255.0 / maximum))
    return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)
