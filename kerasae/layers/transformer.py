"""Transformer blocks: attention between tokens, then an MLP on each token."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers.draws import Dropout
from kerasae.layers.normalization import TokenNorm
from kerasae.ops import exact_gelu, softmax
from kerasae.ops.jax_attention import attention


@keras.saving.register_keras_serializable("kerasae")
class SelfAttention(layers.Layer):
    """Apply multi-head self-attention, softmax(q kᵀ / √d) v: Vaswani et al., arXiv 1706.03762, section 3.2.

    q, k and v come from one linear layer, `qkv`, whose D·3 outputs are q, then k, then v, each head by head. A linear
    layer follows.

    Args:
        heads: number of heads; it must divide the width D of the tokens.

    Tokens [B, T, D] → [B, T, D]. Called with `last=n`, on tensors and not on a `keras.Input`, only the last n of the T
    tokens are queries, and it returns [B, n, D].
    """

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = int(heads)

    def build(self, input_shape):
        width = input_shape[-1]
        if self.heads < 1 or width % self.heads:
            raise InputError(f"SelfAttention: heads={self.heads} must divide the width of the tokens, {width}")
        self.qkv = layers.Dense(3 * width, name="qkv", dtype=self.dtype_policy)
        self.proj = layers.Dense(width, name="proj", dtype=self.dtype_policy)
        self.qkv.build((None, width))
        self.proj.build((None, width))

    def call(self, x, last=None):
        q, k, v = ops.split(self.qkv(x), 3, axis=-1)
        return self.proj(attend(q if last is None else trailing(q, last), k, v, self.heads))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable("kerasae")
class CrossAttention(layers.Layer):
    """Apply multi-head cross-attention from queries to tokens: Vaswani et al., arXiv 1706.03762, section 3.2.

    It computes softmax(q kᵀ / √d) v. q is a linear layer of the queries; k and v are another, `kv`, of the tokens,
    which may have another width.

    Args:
        heads: number of heads; it must divide the width D of the queries.

    Call it with the pair (queries [B, Q, D], tokens [B, T, E]); it returns [B, Q, D].
    """

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = int(heads)

    def build(self, input_shape):
        width, seen = (shape[-1] for shape in input_shape)
        if self.heads < 1 or width % self.heads:
            raise InputError(f"CrossAttention: heads={self.heads} must divide the width of the queries, {width}")
        self.q = layers.Dense(width, name="q", dtype=self.dtype_policy)
        self.kv = layers.Dense(2 * width, name="kv", dtype=self.dtype_policy)
        self.proj = layers.Dense(width, name="proj", dtype=self.dtype_policy)
        for layer, size in ((self.q, width), (self.kv, seen), (self.proj, width)):
            layer.build((None, size))

    def call(self, pair):
        queries, tokens = pair
        return self.proj(attend(self.q(queries), *ops.split(self.kv(tokens), 2, axis=-1), self.heads))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable("kerasae")
class TransformerBlock(layers.Layer):
    """Apply the pre-norm block x + attention(norm(x)), x + mlp(norm(x)): Dosovitskiy et al., arXiv 2010.11929, eq. 2-3.

    The normalisations use ε = 1e-6; the MLP has two linear layers with an exact GELU between them.

    Args:
        heads: number of attention heads; it must divide the width D of the tokens.
        mlp_ratio: hidden width of the network over D.
        drop_path: rate in [0, 1) at which, in training, a branch is dropped for a whole example and the others are
            scaled by 1 / (1 − rate): Huang et al., arXiv 1603.09382.
        layer_scale: None, or what each branch's learned factor per channel starts from: Touvron et al., arXiv
            2103.17239, eq. 5.

    Tokens [B, T, D] → [B, T, D]. Called with `last=n`, on tensors and not on a `keras.Input`, it returns the last n of
    the T tokens, [B, n, D]; of the others it computes keys and values only.

    Example:
        >>> TransformerBlock(heads=3)(np.zeros((2, 17, 192), "float32")).shape
        (2, 17, 192)
    """

    attention_type = SelfAttention

    def __init__(self, heads, mlp_ratio=4.0, drop_path=0.0, layer_scale=None, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= drop_path < 1.0:
            raise InputError(f"{type(self).__name__}: drop_path must be in [0, 1). Received: drop_path={drop_path}")
        self.heads, self.mlp_ratio = int(heads), float(mlp_ratio)
        self.drop_path, self.layer_scale = float(drop_path), layer_scale
        options = {"dtype": self.dtype_policy}
        self.norm1 = TokenNorm(name="norm1", **options)
        self.attention = self.attention_type(self.heads, name="attention", **options)
        self.norm2 = TokenNorm(name="norm2", **options)
        self.drop1, self.drop2 = (
            Dropout(drop_path, noise_shape=(None, 1, 1), name=f"drop_path{i}", **options) for i in (1, 2)
        )

    def build(self, input_shape):
        self._build(input_shape, input_shape)

    def _build(self, tokens_shape, attention_shape):
        width = tokens_shape[-1]
        hidden = int(self.mlp_ratio * width)
        self.fc1 = layers.Dense(hidden, name="fc1", dtype=self.dtype_policy)
        self.fc2 = layers.Dense(width, name="fc2", dtype=self.dtype_policy)
        for layer in (self.norm1, self.norm2):
            layer.build(tokens_shape)
        self.attention.build(attention_shape)
        self.fc1.build((None, width))
        self.fc2.build((None, hidden))
        self.scale1, self.scale2 = (self._scale(f"scale{i}", width) for i in (1, 2))

    def call(self, x, training=False, last=None):
        seen = self.norm1(x)
        x = x if last is None else trailing(x, last)
        x = x + self._branch(self.attention(seen, last=last), self.scale1, self.drop1, training)
        return x + self._branch(self._mlp(self.norm2(x), training), self.scale2, self.drop2, training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("heads", "mlp_ratio", "drop_path", "layer_scale")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _scale(self, name, width):
        if self.layer_scale is None:
            return None
        start = keras.initializers.Constant(self.layer_scale)
        return self.add_weight(shape=(width,), initializer=start, name=name)

    def _mlp(self, x, training):
        return self.fc2(exact_gelu(self.fc1(x), training))

    def _branch(self, x, scale, drop, training):
        x = x if scale is None else x * ops.cast(scale, x.dtype)
        return drop(x, training=training) if self.drop_path else x


@keras.saving.register_keras_serializable("kerasae")
class CrossBlock(TransformerBlock):
    """Apply a cross-attention block: x + attention(norm(x), tokens), then x + mlp(norm(x)).

    Queries attend to the tokens and never to each other: Fu et al., CrossMAE, arXiv 2401.14391, section 3. The tokens
    are not normalised here, as the encoder has done so.

    Args:
        heads, mlp_ratio, drop_path, layer_scale: as for `TransformerBlock`.

    Call it with the pair (queries [B, Q, D], tokens [B, T, E]); it returns [B, Q, D].

    Example:
        >>> CrossBlock(heads=3)((np.zeros((2, 9, 96), "float32"), np.zeros((2, 17, 192), "float32"))).shape
        (2, 9, 96)
    """

    attention_type = CrossAttention

    def build(self, input_shape):
        self._build(input_shape[0], input_shape)

    def call(self, pair, training=False):
        x, tokens = pair
        x = x + self._branch(self.attention((self.norm1(x), tokens)), self.scale1, self.drop1, training)
        return x + self._branch(self._mlp(self.norm2(x), training), self.scale2, self.drop2, training)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


def trailing(x, count):
    """Take the last tokens: [B, T, D] → [B, count, D]."""
    # The gradient of a slice is slower than that of a split.
    return ops.split(x, [x.shape[1] - count], axis=1)[1]


def attend(q, k, v, heads):
    """Compute softmax(q kᵀ / √d) v and concatenate the heads: [B, Q, D] and twice [B, T, D] → [B, Q, D].

    The softmax is in float32 whatever the precision of the products.
    """
    q, k, v = (by_head(part, heads) for part in (q, k, v))
    mixed = attention(q, k, v) if keras.backend.backend() == "jax" else plain_attention(q, k, v)
    return ops.reshape(mixed, (-1, q.shape[1], heads * q.shape[3]))


def by_head(x, heads):
    """Split the width into heads: [B, T, D] → [B, T, heads, D / heads]."""
    _, tokens, width = x.shape
    return ops.reshape(x, (-1, tokens, heads, width // heads))


def plain_attention(q, k, v):
    """Compute softmax(q kᵀ / √d) v by products: [B, Q, heads, d] and twice [B, T, heads, d] → [B, Q, heads, d]."""
    q, k, v = (ops.transpose(part, (0, 2, 1, 3)) for part in (q, k, v))
    # Scaling q costs less than scaling the Q × T scores, and keeps them in the range of float16.
    shares = softmax(ops.matmul(q * q.shape[-1] ** -0.5, ops.transpose(k, (0, 1, 3, 2))))
    return ops.transpose(ops.matmul(shares, v), (0, 2, 1, 3))
