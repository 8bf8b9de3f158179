"""Layers of sequences with padding: attention that leaves steps out, the mean over the known steps, positions."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers.transformer import SelfAttention, TransformerBlock, by_head


@keras.saving.register_keras_serializable("kerasae")
class StepAttention(SelfAttention):
    """Apply multi-head self-attention to the known steps of a sequence: Vaswani et al., arXiv 1706.03762, section 3.2.

    Steps whose mask is 0 are attended to by none; of a sequence without known steps all are, so that nothing is NaN.

    Args:
        heads: number of heads; it must divide the width D of the steps.
        causal: a step attends to itself and to earlier ones alone: section 3.2.3.

    Call it with the pair (steps [B, T, D], mask [B, T], 1 = counts); it returns [B, T, D].
    """

    def __init__(self, heads, causal=False, **kwargs):
        super().__init__(heads, **kwargs)
        self.causal = bool(causal)

    def build(self, input_shape):
        super().build(input_shape[0])

    def call(self, pair):
        x, mask = pair
        q, k, v = (by_head(part, self.heads) for part in ops.split(self.qkv(x), 3, axis=-1))
        mixed = attend_to_known(q, k, v, self._allowed(mask))
        return self.proj(ops.reshape(mixed, (-1, *x.shape[1:])))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "causal": self.causal}

    def _allowed(self, mask):
        """Which steps each one attends to: bool [B, 1, 1 or T, T]."""
        allowed = ops.cast(mask, "bool")[:, None, None, :]
        if not self.causal:
            return allowed
        places = ops.arange(mask.shape[1])
        return ops.logical_and(allowed, places[None, None, :, None] >= places[None, None, None, :])


def attend_to_known(q, k, v, allowed):
    """Compute softmax(q kᵀ / √d) v over the allowed keys: three times [B, T, heads, d] → [B, T, heads, d].

    The softmax is in float32 whatever the precision of the products.
    """
    q, k, v = (ops.transpose(part, (0, 2, 1, 3)) for part in (q, k, v))
    scores = ops.cast(ops.matmul(q * q.shape[-1] ** -0.5, ops.transpose(k, (0, 1, 3, 2))), "float32")
    shares = ops.cast(ops.softmax(ops.where(allowed, scores, -1e9)), v.dtype)
    return ops.transpose(ops.matmul(shares, v), (0, 2, 1, 3))


@keras.saving.register_keras_serializable("kerasae")
class StepBlock(TransformerBlock):
    """Apply a pre-norm transformer block to the known steps: x + attention(norm(x), mask), then x + mlp(norm(x)).

    Vaswani et al., arXiv 1706.03762, with the order of Dosovitskiy et al., arXiv 2010.11929, eq. 2-3.

    Args:
        heads, mlp_ratio, drop_path, layer_scale: as for `TransformerBlock`.
        causal: a step attends to itself and to earlier ones alone.

    Call it with the pair (steps [B, T, D], mask [B, T], 1 = counts); it returns [B, T, D].

    Example:
        >>> StepBlock(heads=2)((np.zeros((2, 7, 8), "float32"), np.ones((2, 7)))).shape
        (2, 7, 8)
    """

    attention_type = StepAttention

    def __init__(self, heads, mlp_ratio=4.0, drop_path=0.0, layer_scale=None, causal=False, **kwargs):
        super().__init__(heads, mlp_ratio, drop_path, layer_scale, **kwargs)
        self.causal = self.attention.causal = bool(causal)

    def build(self, input_shape):
        self._build(input_shape[0], input_shape)

    def call(self, pair, training=False):
        x, mask = pair
        x = x + self._branch(self.attention((self.norm1(x), mask)), self.scale1, self.drop1, training)
        return x + self._branch(self._mlp(self.norm2(x), training), self.scale2, self.drop2, training)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "causal": self.causal}


@keras.saving.register_keras_serializable("kerasae")
class StepMean(layers.Layer):
    """Average the known steps of a sequence: Σ_t m_t x_t / Σ_t m_t; 0 for a sequence without any.

    Call it with the pair (steps [B, T, D], mask [B, T], 1 = counts); it returns [B, D].

    Example:
        >>> StepMean()((np.ones((1, 3, 2), "float32"), np.array([[1.0, 1.0, 0.0]])))  # [[1, 1]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def call(self, pair):
        x, mask = pair
        counts = ops.expand_dims(ops.cast(mask, "float32"), -1)
        total = ops.sum(ops.cast(x, "float32") * counts, axis=1)
        return ops.cast(total / ops.maximum(ops.sum(counts, axis=1), 1.0), x.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][-1])


@keras.saving.register_keras_serializable("kerasae")
class StepPositions(layers.Layer):
    """Add a learned position code to every step: x_t + e_t, Devlin et al., arXiv 1810.04805, section 3.

    Args:
        steps: number T of steps of the longest sequence.

    Steps [B, T, D] → [B, T, D].

    Raises:
        InputError: for sequences of another length.
    """

    def __init__(self, steps, **kwargs):
        super().__init__(**kwargs)
        self.steps = int(steps)

    def build(self, input_shape):
        if input_shape[1] != self.steps:
            raise InputError(f"StepPositions: expected {self.steps} steps. Received: {input_shape[1]}")
        # As large as an embedded token: from 0.02 the order of the tokens is hardly learned behind the mean over them.
        start = keras.initializers.RandomNormal(stddev=input_shape[-1] ** -0.5)
        self.positions = self.add_weight(shape=(1, self.steps, input_shape[-1]), initializer=start, name="positions")

    def call(self, x):
        return x + ops.cast(self.positions, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "steps": self.steps}
