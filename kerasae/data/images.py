"""Encoded or odd-sized images as pixels [H, W, C] of one shape and type, inside a graph."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasae.data.decoding import decode
from kerasae.data.inspection import PILLOW
from kerasae.data.pixel_format import PixelFormat


@dataclass(frozen=True)
class Decoder:
    """Decode the bytes of one image into pixels of a format.

    TensorFlow decodes JPEG and opaque PNG of 8 bits; Pillow and NumPy the rest (`kerasae.data.decoding`). One channel
    is the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, which leaves a grey image exactly as it is stored.
    """

    format: PixelFormat
    size: tuple[int, int] | None = None
    """Height and width to resize to; None leaves an image as it is stored."""
    center: float = 1.0
    """Share of the side that covers `size` which the centre keeps, as for `resize`."""

    def whole(self, data: tf.Tensor, reader: tf.Tensor | None = None) -> tf.Tensor:
        """Decode an image, scaled to cover `size` and cut to it.

        Args:
            data: bytes of the file, a string [].
            reader: as in `inspection.Look`, int [], or None for TensorFlow and an upright image.
        """
        image = self._image(data, reader)
        return image if self.size is None else resize(image, self.size, self.center, self.format.maximum)

    def cropped(
        self, data: tf.Tensor, seed: tf.Tensor, crop, size: tuple[int, int], reader: tf.Tensor | None = None
    ) -> tf.Tensor:
        """A random rectangle of the image as it is stored, resized to `size`.

        `crop` is a `RandomResizedCrop` and `seed` int32 [2]. Of an upright JPEG only the rectangle is decoded.
        """

        def of_whole():
            image = self._image(data, reader)
            return _part(image, _box(crop, seed, *tf.unstack(tf.shape(image)[:2])))

        def of_upright():
            box = _box(crop, seed, *_size(data))
            image = tf.cond(tf.io.is_jpeg(data), lambda: _jpeg_part(data, box), lambda: _part(_pixels(data), box))
            return self._channels(image)

        if reader is None:
            image = of_upright()
        else:
            image = tf.cond(tf.equal(reader, 1), of_upright, of_whole) if self.format.is_tensorflow else of_whole()
        scaled = tf.image.resize(image, size, method="bicubic", antialias=True)
        return as_stored(scaled, image.dtype, self.format.maximum, size)

    def _image(self, data: tf.Tensor, reader: tf.Tensor | None) -> tf.Tensor:
        if reader is None:
            return self._channels(_pixels(data))
        if not self.format.is_tensorflow:
            return self._by_pillow(data)
        return tf.cond(
            tf.equal(reader, PILLOW),
            lambda: self._by_pillow(data),
            lambda: self._channels(upright(_pixels(data), reader)),
        )

    def _by_pillow(self, data: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(self._read, [data], tf.as_dtype(self.format.dtype))
        return tf.ensure_shape(image, [None, None, len(self.format.chosen)])

    @tf.autograph.experimental.do_not_convert
    def _read(self, data) -> np.ndarray:
        """Pixels in the format, outside of the graph; data are bytes, or an array of them."""
        return self.format.conform(decode(data if isinstance(data, bytes) else data.item()))

    def _channels(self, image: tf.Tensor) -> tf.Tensor:
        image.set_shape([None, None, 3])
        if self.format.channels == 1:
            luma = tf.tensordot(tf.cast(image, tf.float32), [0.299, 0.587, 0.114], axes=1)
            image = tf.cast(tf.round(luma), tf.uint8)[..., None]
        return image if self.format.bands is None else tf.gather(image, self.format.chosen, axis=-1)


def resize(image: tf.Tensor, size: tuple[int, int], center: float = 1.0, maximum: float = 255.0) -> tf.Tensor:
    """Scale an image [H, W, C] in its own proportions (bicubic, antialiased) and cut out the centre of `size`.

    Scaled to cover `size` / `center`: 0.875 is the protocol in which the short side becomes 256 and the centre of
    224 × 224 is kept. Where the kernel overshoots, values are cut off at 0 and `maximum`.
    """
    target = tf.constant(size, tf.int32)
    have = tf.shape(image)[:2]
    scale = tf.reduce_max(tf.round(tf.cast(target, tf.float64) / center) / tf.cast(have, tf.float64))
    scaled = tf.maximum(target, tf.cast(tf.round(tf.cast(have, tf.float64) * scale), tf.int32))
    resized = tf.image.resize(image, scaled, method="bicubic", antialias=True)
    top, left = tf.unstack((scaled - target) // 2)
    return as_stored(resized[top : top + size[0], left : left + size[1]], image.dtype, maximum, size)


def as_stored(image: tf.Tensor, dtype: tf.DType, maximum: float, size: tuple[int, int]) -> tf.Tensor:
    """Floats around 0 … maximum as [*size, C] of the type of the examples."""
    if dtype.is_floating:
        return tf.ensure_shape(tf.clip_by_value(image, 0.0, maximum), [*size, None])
    image = tf.round(image) if maximum >= dtype.max else tf.minimum(tf.round(image), maximum)
    return tf.ensure_shape(tf.saturate_cast(image, dtype), [*size, None])


def upright(image: tf.Tensor, how: tf.Tensor) -> tf.Tensor:
    """Bring an image [H, W, C] that is stored in an EXIF orientation, 1 to 8, upright: `decoding.turn` in a graph."""

    def flipped(image, numbers, axis):
        return tf.cond(tf.reduce_any(how == numbers), lambda: tf.reverse(image, [axis]), lambda: image)

    image = tf.cond(how >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    return flipped(flipped(image, [2, 3, 6, 7], 1), [3, 4, 7, 8], 0)


def _pixels(data: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_image(data, channels=3, expand_animations=False)


def _size(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of an encoded image; only other kinds than JPEG are decoded for it."""
    shape = tf.cond(
        tf.io.is_jpeg(data), lambda: tf.io.extract_jpeg_shape(data)[:2], lambda: tf.shape(_pixels(data))[:2]
    )
    return tf.unstack(tf.ensure_shape(shape, [2]))


def _box(crop, seed: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The rectangle of a random crop: top, left, height and width, int32 [4]."""
    return tf.cast(crop.boxes(seed[None], height, width)[0], tf.int32)


def _part(image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    top, left, rows, columns = tf.unstack(box)
    return image[top : top + rows, left : left + columns]


def _jpeg_part(data: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_and_crop_jpeg(data, box, channels=3)
