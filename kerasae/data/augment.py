"""Stateless augmentation for `batches(augment=…)`: what a sample undergoes depends on its seed pair alone.

`Chain(affine, elastic)` does one after the other.
"""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasae.data.checks import number
from kerasae.data.draws import uniform
from kerasae.errors import InputError

AFFINE_STREAM, ELASTIC_STREAM = 1, 2


@dataclass(frozen=True)
class RandomAffine:
    """Shift, rotate, scale and shear each image at random about its centre; bilinear, zeros from outside.

    A pixel at p (x, y, from the centre) goes to R(angle) · [[1, tan(shear)], [0, 1]] · factor · p + shift.
    Every number is uniform between its bounds.

    Called with images uint8 or float [B, H, W, C] and seeds int32 [B, 2] it returns images of the same type
    and shape; a uint8 result is rounded to the nearest value.

    Raises:
        InputError: a bound is out of range.

    Example:
        >>> moved = RandomAffine(shift=0.1, rotate=15, scale=0.1, shear=5)
        >>> data = kerasae.data.batches(source.train, 128, seed=0, augment=moved)
    """

    shift: float = 0.0
    """Largest shift along each axis, as a fraction of the image's side."""
    rotate: float = 0.0
    """Largest angle in degrees, either way."""
    scale: float = 0.0
    """The factor lies in 1 - scale to 1 + scale."""
    shear: float = 0.0
    """Largest shear angle in degrees, either way."""

    def __post_init__(self):
        number("shift", self.shift, 0.0, 1.0)
        number("rotate", self.rotate, 0.0, 180.0)
        number("scale", self.scale, 0.0, 0.95)
        number("shear", self.shear, 0.0, 80.0)

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        images = checked_images(images)
        height, width = images.shape[1], images.shape[2]
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32),  # on uint8 the operation would cut fractions off and darken
            transforms=self.transforms(seeds, height, width),
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
        return as_stored(moved, images)

    def transforms(self, seeds: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """The maps from output to input pixels, float32 [B, 8], as ImageProjectiveTransformV3 takes them.

        The first six numbers are the rows of [[a, b, c], [d, e, f]]: x_in = a x + b y + c, y_in = d x + e y +
        f.
        """
        u = tf.unstack(2.0 * uniform(seeds, 5, AFFINE_STREAM) - 1.0, axis=1)
        angle, slant = u[0] * math.radians(self.rotate), tf.tan(u[1] * math.radians(self.shear))
        factor = 1.0 + u[2] * self.scale
        shift_x, shift_y = u[3] * self.shift * width, u[4] * self.shift * height
        cos, sin = tf.cos(angle) / factor, tf.sin(angle) / factor
        # the inverse of R · shear · factor: (1 / factor) · [[1, -slant], [0, 1]] · R(-angle)
        a, b, d, e = cos + slant * sin, sin - slant * cos, -sin, cos
        x0, y0 = (width - 1) / 2, (height - 1) / 2
        c = x0 - a * (x0 + shift_x) - b * (y0 + shift_y)
        f = y0 - d * (x0 + shift_x) - e * (y0 + shift_y)
        zero = tf.zeros_like(a)
        return tf.stack([a, b, c, d, e, f, zero, zero], axis=1)


@dataclass(frozen=True)
class ElasticDistortion:
    """Bend each image by a smooth random field of displacements, bilinear, with zeros from outside.

    Each pixel takes the value at its place plus alpha · (G_sigma * u), u uniform in [-1, 1) for each pixel
    and axis, G_sigma a Gaussian of standard deviation sigma (Simard, Steinkraus and Platt, "Best practices
    for convolutional neural networks applied to visual document analysis", ICDAR 2003; they found alpha 34,
    sigma 4 for 29 x 29 digits).

    Called as `RandomAffine` is.

    Raises:
        InputError: alpha or sigma is out of range.
    """

    alpha: float = 34.0
    """Strength in pixels, before the smoothing."""
    sigma: float = 4.0
    """Smoothness in pixels."""

    def __post_init__(self):
        number("alpha", self.alpha, 0.0, 1e4)
        number("sigma", self.sigma, 0.1, 1e3)

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        images = checked_images(images)
        field = self.field(seeds, images.shape[1], images.shape[2])
        return as_stored(_sample(tf.cast(images, tf.float32), field), images)

    def field(self, seeds: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """Displacements (down, right) in pixels, float32 [B, 2, H, W]."""
        noise = 2.0 * uniform(seeds, 2 * height * width, ELASTIC_STREAM) - 1.0
        noise = tf.reshape(noise, [-1, 2, height, width])
        down, along = _gaussian_matrix(height, self.sigma), _gaussian_matrix(width, self.sigma)
        return self.alpha * tf.einsum("hi,bcij,wj->bchw", down, noise, along)


@dataclass(frozen=True, init=False)
class Chain:
    """Several augmentations, one after the other, each with the same seeds.

    Raises:
        InputError: a step is no function.

    Example:
        >>> augment = Chain(RandomFlip(), RandAugment(), RandomErasing())
    """

    steps: tuple

    def __init__(self, *steps):
        for step in steps:
            if not callable(step):
                raise InputError(f"steps: expected functions (images, seeds) -> images; received {step!r}.")
        object.__setattr__(self, "steps", steps)

    def __call__(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        for step in self.steps:
            images = step(images, seeds)
        return images


def checked_images(images: tf.Tensor) -> tf.Tensor:
    images = tf.convert_to_tensor(images)
    if (
        images.shape.rank != 4
        or None in images.shape[1:3]
        or not (images.dtype.is_floating or images.dtype in (tf.uint8, tf.uint16))
    ):
        raise InputError(
            f"images: expected uint8, uint16 or floats [B, H, W, C]; received {images.dtype.name} {images.shape}."
        )
    return images


def per_channel(name: str, value, images: tf.Tensor) -> np.ndarray:
    """A number, or one for every channel of images, as an array; InputError if there are more or fewer."""
    if isinstance(value, tuple) and len(value) != images.shape[-1]:
        raise InputError(f"{name}: expected a number or one per channel, {images.shape[-1]}; received {value}.")
    return np.asarray(value, np.float32)


def as_stored(moved: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Back to the type and shape of `images`."""
    moved = tf.ensure_shape(moved, images.shape)
    return tf.saturate_cast(tf.round(moved), images.dtype) if images.dtype.is_integer else tf.cast(moved, images.dtype)


def _gaussian_matrix(size: int, sigma: float) -> np.ndarray:
    """Convolution with a Gaussian cut off at 4 sigma and zeros outside, as a matrix [size, size]."""
    radius = int(4 * sigma + 0.5)
    distance = np.arange(size)[:, None] - np.arange(size)
    weights = np.where(np.abs(distance) <= radius, np.exp(-0.5 * (distance / sigma) ** 2), 0.0)
    total = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).sum()
    return (weights / total).astype(np.float32)


def _sample(images: tf.Tensor, field: tf.Tensor) -> tf.Tensor:
    """Bilinear values of images [B, H, W, C] at every pixel's place plus field [B, 2, H, W], zero outside."""
    _, height, width, channels = images.shape
    # a frame of zeros, one pixel wide, answers every question about the outside
    flat = tf.reshape(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), [-1, (height + 2) * (width + 2), channels])
    y = tf.clip_by_value(field[:, 0] + np.arange(1, height + 1, dtype=np.float32)[:, None], 0.0, height + 1.0)
    x = tf.clip_by_value(field[:, 1] + np.arange(1, width + 1, dtype=np.float32), 0.0, width + 1.0)
    top, left = tf.minimum(tf.floor(y), float(height)), tf.minimum(tf.floor(x), float(width))
    down, right = (y - top)[..., None], (x - left)[..., None]
    corner = tf.cast(top, tf.int32) * (width + 2) + tf.cast(left, tf.int32)
    at = [tf.gather(flat, corner + offset, batch_dims=1) for offset in (0, 1, width + 2, width + 3)]
    upper, lower = at[0] + right * (at[1] - at[0]), at[2] + right * (at[3] - at[2])
    return upper + down * (lower - upper)
