"""Turning encoded or odd-sized images into uint8 [H, W, C] of one shape."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Decoder:
    """How the bytes of one JPEG, PNG, BMP or GIF (first frame) become uint8 [H, W, channels].

    Transparency is dropped and orientation tags are not applied. One channel is the luma of ITU-R BT.601,
    0.299 R + 0.587 G + 0.114 B, which leaves a grey image exactly as it is stored.
    """

    channels: int
    """1 or 3."""
    size: tuple[int, int] | None = None
    """Height and width to resize to; None leaves an image as it is stored."""
    center: float = 1.0
    """Share of the side that covers `size` which the centre keeps, as for `resize`."""

    def whole(self, data: tf.Tensor) -> tf.Tensor:
        """The image, scaled to cover `size` and cut to it."""
        image = self._channels(_pixels(data))
        return image if self.size is None else resize(image, self.size, self.center)

    def cropped(self, data: tf.Tensor, seed: tf.Tensor, crop, size: tuple[int, int]) -> tf.Tensor:
        """A random rectangle of the image as it is stored, resized to `size`.

        `crop` is a `RandomResizedCrop` and `seed` int32 [2]. Of a JPEG only the rectangle is decoded.
        """
        height, width = _size(data)
        box = tf.cast(crop.boxes(seed[None], height, width)[0], tf.int32)
        image = tf.cond(tf.io.is_jpeg(data), lambda: _jpeg_part(data, box), lambda: _part(_pixels(data), box))
        return as_bytes(tf.image.resize(self._channels(image), size, method="bicubic", antialias=True), size)

    def _channels(self, image: tf.Tensor) -> tf.Tensor:
        image.set_shape([None, None, 3])
        if self.channels == 3:
            return image
        luma = tf.tensordot(tf.cast(image, tf.float32), [0.299, 0.587, 0.114], axes=1)
        return tf.cast(tf.round(luma), tf.uint8)[..., None]


def resize(image: tf.Tensor, size: tuple[int, int], center: float = 1.0) -> tf.Tensor:
    """Scale uint8 [H, W, C] in its own proportions (bicubic, antialiased) and cut out the centre of `size`.

    Scaled to cover `size` / `center`: 0.875 is the protocol in which the short side becomes 256 and the centre of
    224 × 224 is kept.
    """
    target = tf.constant(size, tf.int32)
    have = tf.shape(image)[:2]
    scale = tf.reduce_max(tf.round(tf.cast(target, tf.float64) / center) / tf.cast(have, tf.float64))
    scaled = tf.maximum(target, tf.cast(tf.round(tf.cast(have, tf.float64) * scale), tf.int32))
    image = tf.image.resize(image, scaled, method="bicubic", antialias=True)
    top, left = tf.unstack((scaled - target) // 2)
    return as_bytes(image[top : top + size[0], left : left + size[1]], size)


def as_bytes(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Floats around 0..255 as uint8 [*size, C]."""
    return tf.ensure_shape(tf.saturate_cast(tf.round(image), tf.uint8), [*size, None])


def _pixels(data: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_image(data, channels=3, expand_animations=False)


def _size(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of an encoded image; only other kinds than JPEG are decoded for it."""
    shape = tf.cond(
        tf.io.is_jpeg(data), lambda: tf.io.extract_jpeg_shape(data)[:2], lambda: tf.shape(_pixels(data))[:2]
    )
    return tf.unstack(tf.ensure_shape(shape, [2]))


def _part(image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    top, left, rows, columns = tf.unstack(box)
    return image[top : top + rows, left : left + columns]


def _jpeg_part(data: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_and_crop_jpeg(data, box, channels=3)
