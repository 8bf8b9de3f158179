"""Count weights, FLOPs and activations of a masked autoencoder's training step from its sizes.

Pure arithmetic. A network is a list of parts (linear layers, transformer blocks, normalisations), each with its own
counts; `tests/test_plan.py` compares them with Keras and with the operations of a traced step.
"""

from dataclasses import dataclass

SIZES = {
    "tiny": {"width": 192, "depth": 12, "heads": 3, "decoder_width": 192, "decoder_depth": 4, "decoder_heads": 3},
    "small": {"width": 384, "depth": 12, "heads": 6, "decoder_width": 256, "decoder_depth": 4, "decoder_heads": 8},
    "base": {"width": 768, "depth": 12, "heads": 12, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
    "large": {"width": 1024, "depth": 24, "heads": 16, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
    "huge": {"width": 1280, "depth": 32, "heads": 16, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
}
"""Copy of the presets of `kerasae.networks`, whose import would load TensorFlow; a test compares the two."""

MLP = 4
"""Hidden width of a block's MLP, relative to the width of its tokens."""


@dataclass(frozen=True)
class Linear:
    """A linear layer on `rows` tokens of an image: inputs · outputs weights, outputs biases.

    `first` marks the layer whose input is the image, of which backward computes no gradient.
    """

    rows: int
    inputs: int
    outputs: int
    first: bool = False
    float32_kept = 0

    @property
    def weights(self):
        return (self.inputs + 1) * self.outputs

    @property
    def products(self):
        """Count the multiplications of forward and backward; backward has two matrix products for each of forward's."""
        return (2 if self.first else 3) * self.rows * self.inputs * self.outputs

    @property
    def kept(self):
        """Count the values per image that backward needs: the layer's input."""
        return self.rows * self.inputs


@dataclass(frozen=True)
class Norm:
    """A layer normalisation of tokens [tokens, width]."""

    tokens: int
    width: int
    products = 0
    float32_kept = 0

    @property
    def weights(self):
        return 2 * self.width

    @property
    def kept(self):
        return self.tokens * self.width


@dataclass(frozen=True)
class Block:
    """A transformer block on tokens [tokens, width], with self-attention, or cross-attention to [seen, seen_width].

    With `last`, only so many of the tokens attend and leave the block, as in a decoder's last block.
    """

    tokens: int
    width: int
    heads: int
    seen: int | None = None
    seen_width: int | None = None
    last: int | None = None

    @property
    def weights(self):
        """Count the weights: q, out and the MLP's two layers, k and v; the biases of all six; two normalisations."""
        width, other = self.width, self.seen_width or self.width
        return (2 + 2 * MLP) * width**2 + 2 * other * width + (9 + MLP) * width

    @property
    def products(self):
        width, seen, other = self.width, self.seen or self.tokens, self.seen_width or self.width
        linear = (self.tokens + (1 + 2 * MLP) * self.queries) * width**2
        return 3 * (linear + 2 * seen * other * width + 2 * self.queries * seen * width)

    @property
    def queries(self):
        """Count the tokens that attend and leave the block."""
        return self.last or self.tokens

    @property
    def kept(self):
        """Count the values per image that backward needs.

        For every token: its input and the first normalisation's output. For every query: q, the attention's output,
        the second normalisation's input and output, the MLP before and after GELU. For every token attended to: k
        and v. And the attention weights.
        """
        values = 2 * self.tokens + (4 + 2 * MLP) * self.queries + 2 * (self.seen or self.tokens)
        return values * self.width + self.float32_kept

    @property
    def float32_kept(self):
        """Count the values that backward also keeps in float32 in 2-byte formats: the attention weights."""
        return self.heads * self.queries * (self.seen or self.tokens)


@dataclass(frozen=True, kw_only=True)
class Network:
    """Sizes of a masked autoencoder of `kerasae mae`, and the counts that follow from them.

    Args:
        patches: number of patches of an image.
        values: values of a patch, pixels · channels.
        visible: patches that stay visible; before a linear decoder the encoder gets all, the others as mask tokens.
        predicted: patches that the cross decoder predicts in a step.
        width, depth, heads: sizes of the encoder.
        decoder: "deep", "shallow", "cross" or "linear".
        decoder_width, decoder_depth, decoder_heads: sizes of the decoder.
        learned_positions: whether positions are weights that are trained.
        low_variance: whether targets are projected by a fixed P × P matrix.
    """

    patches: int
    values: int
    visible: int
    width: int
    depth: int
    heads: int
    decoder: str = "deep"
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    predicted: int = 0
    learned_positions: bool = False
    low_variance: bool = False

    @property
    def tokens(self):
        """Count the encoder's tokens, the class token included."""
        return 1 + (self.patches if self.decoder == "linear" else self.visible)

    @property
    def encoder_parts(self):
        """List the parts of the encoder."""
        embed = Linear(self.tokens - 1, self.values, self.width, first=True)
        blocks = [Block(self.tokens, self.width, self.heads)] * self.depth
        return [embed, *blocks, Norm(self.tokens, self.width)]

    @property
    def predictions(self):
        """Count the patches that a training step predicts."""
        return {"cross": self.predicted, "linear": self.patches}.get(self.decoder, self.patches - self.visible)

    @property
    def decoder_parts(self):
        """List the parts of the decoder."""
        width, heads, full = self.decoder_width, self.decoder_heads, self.patches + 1
        if self.decoder == "linear":
            return [Linear(full, self.width, self.values)]
        if self.decoder == "cross":
            blocks = [Block(self.predicted, width, heads, self.tokens, self.width)] * self.decoder_depth
            return [*blocks, Norm(self.predicted, width), Linear(self.predicted, width, self.values)]
        hidden = self.predictions
        blocks = [Block(full, width, heads)] * (0 if self.decoder == "shallow" else self.decoder_depth - 1)
        blocks.append(Block(full, width, heads, last=hidden))
        embed = Linear(self.tokens, self.width, width)
        return [embed, *blocks, Norm(hidden, width), Linear(hidden, width, self.values)]

    @property
    def parts(self):
        return [*self.encoder_parts, *self.decoder_parts]

    @property
    def blocks(self):
        """Count the transformer blocks."""
        return sum(isinstance(part, Block) for part in self.parts)

    @property
    def positions(self):
        """Count the values of the encoder's and decoder's position codes, fixed or learned."""
        coded = {"linear": 0, "cross": self.patches}.get(self.decoder, self.patches + 1)
        return (self.patches + 1) * self.width + coded * self.decoder_width

    @property
    def encoder_weights(self):
        """Count the encoder's weights as Keras does, fixed position codes included."""
        return sum(part.weights for part in self.encoder_parts) + (self.patches + 2) * self.width

    @property
    def trained(self):
        """Count the trainable weights, class token and mask token included."""
        tokens = self.width + (self.width if self.decoder == "linear" else self.decoder_width)
        return sum(part.weights for part in self.parts) + tokens + self.learned_positions * self.positions

    @property
    def fixed(self):
        """Count the weights that are not trained."""
        projection = self.low_variance * self.values * (self.values + 1)
        return projection + (0 if self.learned_positions else self.positions)

    @property
    def flops(self):
        """Count the FLOPs of the matrix products for one image, forward and backward."""
        projection = self.low_variance * self.patches * self.values**2
        return 2 * (sum(part.products for part in self.parts) + projection)

    def kept(self, value_bytes=4):
        """Count the bytes per image that backward needs; the loss keeps float32 in every number format."""
        # The cross-attention blocks share the encoder's output, which is kept once.
        read = self.tokens * self.width if self.decoder == "cross" else 0
        parts = sum(kept_bytes(part, value_bytes) for part in self.parts)
        return parts + value_bytes * read + 4 * self.predictions * self.values

    def memory(self, images, value_bytes=4, accumulated=False):
        """Estimate a device's memory for a pass of `images` images: name → bytes.

        Weights, gradients (twice if they are summed over passes) and AdamW's two moments are float32. In 2-byte
        formats backward also keeps a copy of the weights. "at work" are the values of the largest part once more,
        and images, patches and targets in float32.
        """
        work = max(kept_bytes(part, value_bytes) for part in self.parts) + 3 * 4 * self.patches * self.values
        return {
            "weights": 4 * (self.trained + self.fixed) + (value_bytes < 4) * value_bytes * self.trained,
            "gradients": 4 * self.trained * (2 if accumulated else 1),
            "AdamW's moments": 8 * self.trained,
            "kept for backward": images * self.kept(value_bytes),
            "at work": images * work,
        }

    def moved(self, images, value_bytes=4, passes=1):
        """Estimate the bytes that an update of `images` images moves to and from memory.

        Values kept for backward are written and read, and so are their gradients; a pass reads the weights twice and
        writes gradients; AdamW reads weights, gradients and moments, and writes weights and moments.
        """
        return 4 * images * self.kept(value_bytes) + self.trained * (passes * (2 * value_bytes + 4) + 28)

    @property
    def checkpoint(self):
        """Count the bytes of a checkpoint: weights and moments in float32."""
        return 4 * (3 * self.trained + self.fixed)


def kept_bytes(part, value_bytes):
    """Count the bytes per image that backward needs of a part."""
    return value_bytes * part.kept + (4 * part.float32_kept if value_bytes < 4 else 0)
