"""Attention pooling: a learned query attends to all tokens and returns one vector."""

import keras
from keras import layers, ops

from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class AttentionPooling(layers.Layer):
    """Pool tokens to one vector by learned queries: softmax(q Kᵀ / √d) V in several heads, [B, T, D] → [B, D].

    For each head, with tokens X [T, D], its query q [d], its keys X W_K and its values X W_V, d = D / heads:

        a = softmax(X W_K q / √d),    out = aᵀ X W_V,

    and the heads' outputs are concatenated: the cross-attention of an attentive probe (Chen et al., arXiv
    2202.03026), without biases, normalisation or network.

    As the query is the same for all examples, W_K q is computed first, and W_V is applied to the pooled tokens. This
    takes 2·T·D·heads multiplications instead of 2·T·D², and no intermediate tensors of the tokens' size.

    Args:
        heads: number of heads; it must divide the width D of the tokens.
        seed: integer for the initial weights, or None for a random one.

    Raises:
        InputError: if the heads do not divide the width.

    Example:
        >>> AttentionPooling(heads=3)(np.zeros((2, 17, 192), "float32")).shape
        (2, 192)
    """

    def __init__(self, heads, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.seed = int(heads), seed

    def build(self, input_shape):
        width = input_shape[-1]
        if self.heads < 1 or width % self.heads:
            raise InputError(f"AttentionPooling: heads={self.heads} must divide the width of the tokens, {width}")
        self.size = width // self.heads
        seeds = (None,) * 3 if self.seed is None else range(3 * self.seed, 3 * self.seed + 3)
        initializers = keras.initializers
        # Small queries attend to all tokens equally: training starts from the mean.
        small = initializers.TruncatedNormal(stddev=0.02, seed=seeds[0])
        self.query = self.add_weight(shape=(self.heads, self.size), initializer=small, name="query")
        self.key, self.value = (
            self.add_weight(shape=(width, width), initializer=initializers.GlorotUniform(seed), name=name)
            for name, seed in zip(("key", "value"), seeds[1:], strict=True)
        )

    def call(self, x):
        pooled = ops.matmul(ops.transpose(self.attention(x), (0, 2, 1)), x)  # [B, heads, D]
        value = ops.reshape(ops.cast(self.value, x.dtype), (x.shape[-1], self.heads, self.size))
        return ops.reshape(ops.einsum("bhd,dhk->bhk", pooled, value), (-1, x.shape[-1]))

    def attention(self, x):
        """Compute each head's attention weights of tokens: [B, T, D] → [B, T, heads], sums over T are 1."""
        key = ops.reshape(ops.cast(self.key, x.dtype), (x.shape[-1], self.heads, self.size))
        direction = ops.einsum("dhk,hk->dh", key, ops.cast(self.query, x.dtype)) * self.size**-0.5
        return ops.cast(ops.softmax(ops.cast(ops.matmul(x, direction), "float32"), axis=1), x.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "seed": self.seed}
