"""Blocks of convolutions that can leave hidden places empty, and the plainest of them."""

import keras
from keras import layers, ops

MOMENTUM = 0.9
"""Of the running statistics; few labels make few steps."""


class MaskableBlock(layers.Layer):
    """Base of convolutional blocks that are called with `visible`, and see nothing of hidden places."""

    def seen(self, x, visible):
        """Set hidden places to 0: [B, H, W, C]; without `visible` x itself.

        Args:
            x: maps [B, H, W, C].
            visible: [B, rows, columns, 1], 1 = visible, 0 = hidden, whose rows and columns divide H and W; or None.
        """
        return x if visible is None else x * ops.cast(enlarged(visible, x.shape[1:3]), x.dtype)


@keras.saving.register_keras_serializable("kerasae")
class ConvBlock(MaskableBlock):
    """Compute pool(relu(norm(convolution(x)))): one block of a plain convolutional network.

    The kernel is square and keeps the size; the normalisation is batch norm, of which models of `kerasae.models` share
    the statistics between devices; pooling takes the largest of 2×2 places.

    Args:
        filters: channels of the result.
        kernel: side of the kernel.
        pool: whether to pool.

    Maps [B, H, W, C] → [B, H, W, filters], with `pool` [B, H/2, W/2, filters], rounded down. `visible` is as in
    `ConvNextBlock`.

    Example:
        >>> ConvBlock(64, pool=True)(np.zeros((2, 8, 8, 3), "float32")).shape
        (2, 4, 4, 64)
    """

    def __init__(self, filters, kernel=3, pool=False, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel, self.pool = int(filters), int(kernel), bool(pool)
        options = {"dtype": self.dtype_policy}
        self.convolution = layers.Conv2D(
            filters, kernel, padding="same", use_bias=False, kernel_initializer="he_normal", name="conv", **options
        )
        self.pooling = layers.MaxPooling2D(2, name="pool", **options)
        self.norm = layers.BatchNormalization(momentum=MOMENTUM, name="norm", **options)

    def build(self, input_shape):
        self.convolution.build(input_shape)
        self.norm.build((*input_shape[:-1], self.filters))

    def call(self, x, training=False, visible=None):
        x = ops.relu(self.norm(self.convolution(self.seen(x, visible)), training=training))
        return self.pooling(x) if self.pool else x

    def compute_output_shape(self, input_shape):
        batch, *size, _ = input_shape
        return (batch, *(side // 2 if self.pool else side for side in size), self.filters)

    def get_config(self):
        names = ("filters", "kernel", "pool")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def enlarged(visible, size):
    """Repeat each place of a mask over those that it covers in a larger map: [B, rows, columns, 1] → [B, *size, 1]."""
    for axis, length in enumerate(size, 1):
        visible = ops.repeat(visible, length // visible.shape[axis], axis=axis)
    return visible
