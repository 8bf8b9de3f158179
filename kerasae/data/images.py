"""Turning encoded or odd-sized images into uint8 [H, W, C] of one shape."""

import tensorflow as tf


def decode(data: tf.Tensor, channels: int, size: tuple[int, int] | None = None) -> tf.Tensor:
    """Decode JPEG, PNG, BMP or GIF (first frame) bytes to uint8 [H, W, channels], resized if `size` is given.

    Transparency is dropped and orientation tags are not applied. One channel is the luma of ITU-R BT.601,
    0.299 R + 0.587 G + 0.114 B, which leaves a grey image exactly as it is stored.
    """
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    if channels == 1:
        luma = tf.tensordot(tf.cast(image, tf.float32), [0.299, 0.587, 0.114], axes=1)
        image = tf.cast(tf.round(luma), tf.uint8)[..., None]
    return image if size is None else resize(image, size)


def resize(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Scale uint8 [H, W, C] to cover `size` in its own proportions (antialiased) and cut out the centre."""
    target = tf.constant(size, tf.int32)
    have = tf.shape(image)[:2]
    scale = tf.reduce_max(target / have)
    scaled = tf.maximum(target, tf.cast(tf.round(tf.cast(have, tf.float64) * scale), tf.int32))
    image = tf.image.resize(image, scaled, method="bilinear", antialias=True)
    top, left = tf.unstack((scaled - target) // 2)
    image = image[top : top + size[0], left : left + size[1]]
    image = tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(image, [*size, None])
