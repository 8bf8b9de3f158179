"""Layers that trade pixels for channels and back, of any image size, and the sum of a residual network."""

import keras
from keras import ops

from kerasae.errors import InputError


def _block(layer, block):
    if not (isinstance(block, int) and block >= 1):
        raise InputError(f"{layer}: block must be a whole number from 1 up. Received: block={block!r}")
    return block


@keras.saving.register_keras_serializable("kerasae")
class SpaceToDepth(keras.layers.Layer):
    """Move each block of b×b pixels to the channels: [B, H, W, C] → [B, H/b, W/b, b²·C].

    The "reversible downsampling" of Zhang, Zuo and Zhang, FFDNet, arXiv 1710.04026, section III-B. Unlike `Patches` it
    does not depend on the size of the image, which may even be unknown.

    Args:
        block: side b of a block; it must divide the sides of the image.

    Raises:
        InputError: for a block that is no whole number from 1 up, or that does not divide a side that is known.

    Example:
        >>> SpaceToDepth(2)(np.zeros((1, 6, 8, 3))).shape
        (1, 3, 4, 12)
    """

    def __init__(self, block=2, **kwargs):
        super().__init__(**kwargs)
        self.block = _block("SpaceToDepth", block)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        if any(side is not None and side % self.block for side in (height, width)):
            raise InputError(
                f"SpaceToDepth: image size {height}×{width} is no multiple of {self.block}; resize the images, such as "
                "by --image-size, or pad them"
            )
        sides = (None if side is None else side // self.block for side in (height, width))
        return (batch, *sides, channels * self.block**2)

    def call(self, x):
        b, c, (_, height, width, _) = self.block, x.shape[-1], ops.shape(x)
        x = ops.reshape(x, (-1, height // b, b, width // b, b, c))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height // b, width // b, b * b * c))

    def get_config(self):
        return {**super().get_config(), "block": self.block}


@keras.saving.register_keras_serializable("kerasae")
class DepthToSpace(keras.layers.Layer):
    """Move groups of b² channels to blocks of b×b pixels: [B, h, w, b²·C] → [B, b·h, b·w, C].

    The inverse of `SpaceToDepth`; the sub-pixel layer of Shi et al., arXiv 1609.05158, section 2.2.

    Args:
        block: side b of a block.

    Raises:
        InputError: for a block that is no whole number from 1 up, or channels that are no multiple of b².

    Example:
        >>> DepthToSpace(2)(np.zeros((1, 3, 4, 12))).shape
        (1, 6, 8, 3)
    """

    def __init__(self, block=2, **kwargs):
        super().__init__(**kwargs)
        self.block = _block("DepthToSpace", block)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        if channels % self.block**2:
            raise InputError(f"DepthToSpace: {channels} channels are no multiple of {self.block**2}")
        sides = (None if side is None else side * self.block for side in (height, width))
        return (batch, *sides, channels // self.block**2)

    def call(self, x):
        b, (_, height, width, _) = self.block, ops.shape(x)
        c = x.shape[-1] // b**2
        x = ops.reshape(x, (-1, height, width, b, b, c))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height * b, width * b, c))

    def get_config(self):
        return {**super().get_config(), "block": self.block}


@keras.saving.register_keras_serializable("kerasae")
class LeadingSum(keras.layers.Layer):
    """Add a correction to the first channels of a map: z[..., :C] + r, of [z, r], [B, h, w, D] and [B, h, w, C].

    So a decoder whose code begins with the image predicts what is to be added to it: residual learning, Zhang et al.,
    DnCNN, arXiv 1608.03981, eq. 1.

    Raises:
        InputError: where the correction has more channels than the map.

    Example:
        >>> LeadingSum()([np.ones((1, 2, 2, 5)), np.ones((1, 2, 2, 3))]).shape
        (1, 2, 2, 3)
    """

    def compute_output_shape(self, input_shape):
        whole, correction = input_shape
        if correction[-1] > whole[-1]:
            raise InputError(f"LeadingSum: {correction[-1]} channels do not fit into the {whole[-1]} of the map")
        return correction

    def call(self, inputs):
        whole, correction = inputs
        return whole[..., : correction.shape[-1]] + correction
