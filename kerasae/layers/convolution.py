"""The ConvNeXt V2 block: a depthwise convolution, then a small network with global response normalisation."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers.draws import Dropout
from kerasae.layers.normalization import TokenNorm
from kerasae.layers.plain_convolution import MaskableBlock, enlarged
from kerasae.ops import exact_gelu


@keras.saving.register_keras_serializable("kerasae")
class GlobalResponseNorm(layers.Layer):
    """Normalise responses: scale each channel by its norm over the image, relative to the mean norm of all channels.

        g_c = √(Σ_hw x_hwc²),   n_c = g_c / (mean_c g_c + ε),   y = γ x n + β + x,

    Woo et al., ConvNeXt V2, arXiv 2301.00808, section 4 and algorithm 1. γ and β, one per channel, start from 0: the
    layer starts as the identity. The norms are taken in float32.

    Args:
        epsilon: ε > 0.

    Maps [B, H, W, C] → [B, H, W, C]. Called with `visible`, [B, H, W, 1], 1 = visible, 0 = hidden, the norms are those
    of the visible places.

    Raises:
        InputError: if epsilon is not > 0.

    Example:
        >>> GlobalResponseNorm()(np.ones((2, 4, 4, 8), "float32")).shape
        (2, 4, 4, 8)
    """

    def __init__(self, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise InputError(f"GlobalResponseNorm: epsilon must be > 0. Received: epsilon={epsilon}")
        self.epsilon = float(epsilon)

    def build(self, input_shape):
        self.gamma, self.beta = (
            self.add_weight(shape=(input_shape[-1],), initializer="zeros", name=name) for name in ("gamma", "beta")
        )

    def call(self, x, visible=None):
        seen = ops.cast(x if visible is None else x * ops.cast(visible, x.dtype), "float32")
        # ε² under the root: its slope at 0 would be infinite, and a channel may be 0 everywhere.
        norm = ops.sqrt(ops.sum(ops.square(seen), axis=(1, 2), keepdims=True) + self.epsilon**2)
        share = ops.cast(norm / (ops.mean(norm, axis=-1, keepdims=True) + self.epsilon), x.dtype)
        return x * (1.0 + ops.cast(self.gamma, x.dtype) * share) + ops.cast(self.beta, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("kerasae")
class ConvNextBlock(MaskableBlock):
    """Compute the block x + W₂ GRN(GELU(W₁ norm(depthwise(x)))): Woo et al., arXiv 2301.00808, figure 5.

    The normalisation is of each place over its channels, ε = 1e-6: nothing is shared between examples.

    Args:
        kernel: side of the square depthwise kernel.
        expansion: hidden width of the network over the channels C.
        drop_path: rate in [0, 1) at which, in training, the branch is dropped for a whole example and the others are
            scaled by 1 / (1 − rate): Huang et al., arXiv 1603.09382.

    Maps [B, H, W, C] → [B, H, W, C]. Called with `visible`, [B, rows, columns, 1] with 1 = visible, 0 = hidden, whose
    rows and columns divide H and W, hidden places are 0 in the convolution and in the response normalisation, as in a
    sparse convolution: Tian et al., SparK, arXiv 2301.03580, section 3.2. Outputs at hidden places are undefined.

    Raises:
        InputError: if drop_path is not in [0, 1).

    Example:
        >>> ConvNextBlock(kernel=7)(np.zeros((2, 8, 8, 64), "float32")).shape
        (2, 8, 8, 64)
    """

    def __init__(self, kernel=7, expansion=4.0, drop_path=0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= drop_path < 1.0:
            raise InputError(f"ConvNextBlock: drop_path must be in [0, 1). Received: drop_path={drop_path}")
        self.kernel, self.expansion, self.drop_path = int(kernel), float(expansion), float(drop_path)
        options = {"dtype": self.dtype_policy}
        self.depthwise = layers.DepthwiseConv2D(self.kernel, padding="same", name="depthwise", **options)
        self.norm = TokenNorm(name="norm", **options)
        self.response = GlobalResponseNorm(name="response", **options)
        self.drop = Dropout(drop_path, noise_shape=(None, 1, 1, 1), name="drop_path", **options)

    def build(self, input_shape):
        width = input_shape[-1]
        hidden = int(self.expansion * width)
        self.fc1 = layers.Dense(hidden, name="fc1", dtype=self.dtype_policy)
        self.fc2 = layers.Dense(width, name="fc2", dtype=self.dtype_policy)
        for layer in (self.depthwise, self.norm, self.fc1):
            layer.build(input_shape)
        for layer in (self.response, self.fc2):
            layer.build((*input_shape[:-1], hidden))

    def call(self, x, training=False, visible=None):
        if visible is not None:
            visible = enlarged(visible, x.shape[1:3])
        x = self.seen(x, visible)
        y = exact_gelu(self.fc1(self.norm(self.depthwise(x), training=training)), training)
        y = self.fc2(self.response(y, visible=visible))
        return x + (self.drop(y, training=training) if self.drop_path else y)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("kernel", "expansion", "drop_path")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
