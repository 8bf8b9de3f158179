"""Images with a class for every pixel, their masks, as a split."""

import numpy as np
import tensorflow as tf

from kerasae.data.crops import FLIP_STREAM
from kerasae.data.draws import uniform
from kerasae.data.splits import Split
from kerasae.errors import InputError


class PixelSplit(Split):
    """Images and the class of each of their pixels: a `Split` whose labels are masks.

    `gather` returns images [B, H, W, C] and masks uint8 [B, H, W], in which 255 is ignored. Masks are kept in memory.

    Args:
        split: the images, a `Split` of shape (H, W, C).
        masks: uint8 [N, H, W], a mask for each.

    Raises:
        InputError: the masks do not fit the images.
    """

    def __init__(self, split: Split, masks: np.ndarray):
        if masks.shape != (len(split), *split.shape[:2]) or masks.dtype != np.uint8:
            raise InputError(
                f"masks: expected uint8 {[len(split), *split.shape[:2]]}. Received: {masks.dtype} {list(masks.shape)}"
            )
        super().__init__(split._store, None, split.rows)
        self.images, self.masks = split, masks
        with tf.device("CPU:0"):
            self._mask_tensor = tf.constant(masks)

    def gather(self, indices, crop=None, seeds=None) -> tuple[tf.Tensor, tf.Tensor]:
        """Images [B, H, W, C] and masks uint8 [B, H, W]; a mask is not cropped, so that `crop` must be None."""
        images, _ = super().gather(indices, crop, seeds)
        with tf.device("CPU:0"):
            return images, tf.gather(self._mask_tensor, tf.cast(indices, tf.int64))

    def subset(self, indices: np.ndarray) -> "PixelSplit":
        """The images at `indices` with their masks."""
        return PixelSplit(self.images.subset(indices), self.masks[np.asarray(indices)])


class MirrorBoth:
    """Mirror half of the images left to right, and their masks with them; a `mix` of `kerasae.data.batches`."""

    def __call__(self, images: tf.Tensor, masks: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        half = uniform(seeds, 1, FLIP_STREAM)[:, 0] < 0.5
        return (
            tf.where(half[:, None, None, None], tf.reverse(images, [2]), images),
            tf.where(half[:, None, None], tf.reverse(masks, [2]), masks),
        )
