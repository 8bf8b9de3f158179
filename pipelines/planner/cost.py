"""What a training step of a masked autoencoder costs, counted from its sizes: weights, products, what backward keeps.

Pure arithmetic. A network is a list of parts, linear layers, transformer blocks and normalisations, each of which knows
its own counts; `tests/test_plan.py` holds them against Keras and against the operations of a traced step.
"""

from dataclasses import dataclass

SIZES = {
    "tiny": {"width": 192, "depth": 12, "heads": 3, "decoder_width": 192, "decoder_depth": 4, "decoder_heads": 3},
    "small": {"width": 384, "depth": 12, "heads": 6, "decoder_width": 256, "decoder_depth": 4, "decoder_heads": 8},
    "base": {"width": 768, "depth": 12, "heads": 12, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
    "large": {"width": 1024, "depth": 24, "heads": 16, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
    "huge": {"width": 1280, "depth": 32, "heads": 16, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
}
"""The presets of `kerasae.networks`, whose import would bring TensorFlow; a test compares the two."""

MLP = 4
"""Hidden width of a block's network over the width of its tokens."""


@dataclass(frozen=True)
class Linear:
    """A linear layer on `rows` tokens of an image: inputs · outputs weights, outputs biases.

    `first` says that its input is the image, for which backward makes no gradient.
    """

    rows: int
    inputs: int
    outputs: int
    first: bool = False
    wide = 0

    @property
    def weights(self):
        return (self.inputs + 1) * self.outputs

    @property
    def products(self):
        """Multiplications of forward and backward, which has two products for each of forward's."""
        return (2 if self.first else 3) * self.rows * self.inputs * self.outputs

    @property
    def kept(self):
        """Values of an image that backward needs: the input."""
        return self.rows * self.inputs


@dataclass(frozen=True)
class Norm:
    """A layer normalisation of `tokens` × `width`."""

    tokens: int
    width: int
    products = 0
    wide = 0

    @property
    def weights(self):
        return 2 * self.width

    @property
    def kept(self):
        return self.tokens * self.width


@dataclass(frozen=True)
class Block:
    """A transformer block on `tokens` × `width`, which attends to itself, or to `seen` tokens of `seen_width`.

    `last` says that no more than so many of the tokens ask, and go on.
    """

    tokens: int
    width: int
    heads: int
    seen: int | None = None
    seen_width: int | None = None
    last: int | None = None

    @property
    def weights(self):
        """q, out and the network's two layers, k and v; biases of all six; two normalisations."""
        width, other = self.width, self.seen_width or self.width
        return (2 + 2 * MLP) * width**2 + 2 * other * width + (9 + MLP) * width

    @property
    def products(self):
        width, seen, other = self.width, self.seen or self.tokens, self.seen_width or self.width
        own = (self.tokens + (1 + 2 * MLP) * self.asking) * width**2
        return 3 * (own + 2 * seen * other * width + 2 * self.asking * seen * width)

    @property
    def asking(self):
        """Tokens that ask, and go on."""
        return self.last or self.tokens

    @property
    def kept(self):
        """Of all tokens the input and its normalised form; of those that ask what enters the second normalisation, its
        normalised form, q, the mixture, the network before GELU and after it; of those that are seen k and v; and the
        shares."""
        values = 2 * self.tokens + (4 + 2 * MLP) * self.asking + 2 * (self.seen or self.tokens)
        return values * self.width + self.wide

    @property
    def wide(self):
        """Values that backward needs in float32 too, where the others are narrow: the shares."""
        return self.heads * self.asking * (self.seen or self.tokens)


@dataclass(frozen=True, kw_only=True)
class Network:
    """A masked autoencoder as `kerasae mae` builds it, by its sizes.

    Args:
        patches: N of an image.
        values: P of a patch.
        visible: patches that stay visible; before a linear decoder the encoder gets all, the others as mask tokens.
        predicted: patches that the cross decoder predicts in a step.
        width, depth, heads: of the encoder.
        decoder: "deep", "shallow", "cross" or "linear".
        decoder_width, decoder_depth, decoder_heads: of the decoder.
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
        """Tokens in the encoder, with the class token."""
        return 1 + (self.patches if self.decoder == "linear" else self.visible)

    @property
    def encoder(self):
        """Its parts."""
        embed = Linear(self.tokens - 1, self.values, self.width, first=True)
        blocks = [Block(self.tokens, self.width, self.heads)] * self.depth
        return [embed, *blocks, Norm(self.tokens, self.width)]

    @property
    def predictions(self):
        """Patches that a training step predicts."""
        return {"cross": self.predicted, "linear": self.patches}.get(self.decoder, self.patches - self.visible)

    @property
    def decoding(self):
        """The parts of the decoder."""
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
        return [*self.encoder, *self.decoding]

    @property
    def blocks(self):
        """Number of transformer blocks."""
        return sum(isinstance(part, Block) for part in self.parts)

    @property
    def positions(self):
        """Values of the codes of places, fixed or learned."""
        coded = {"linear": 0, "cross": self.patches}.get(self.decoder, self.patches + 1)
        return (self.patches + 1) * self.width + coded * self.decoder_width

    @property
    def encoder_weights(self):
        """Weights of the encoder, fixed positions among them, as Keras counts them."""
        return sum(part.weights for part in self.encoder) + (self.patches + 2) * self.width

    @property
    def trained(self):
        """Weights that have a gradient; the class token and the mask token are among them."""
        tokens = self.width + (self.width if self.decoder == "linear" else self.decoder_width)
        return sum(part.weights for part in self.parts) + tokens + self.learned_positions * self.positions

    @property
    def fixed(self):
        """Weights that have none."""
        projection = self.low_variance * self.values * (self.values + 1)
        return projection + (0 if self.learned_positions else self.positions)

    @property
    def flops(self):
        """Operations of the products of matrices for one image, forward and backward."""
        projection = self.low_variance * self.patches * self.values**2
        return 2 * (sum(part.products for part in self.parts) + projection)

    def kept(self, value_bytes=4):
        """Bytes of one image that wait for backward, in values of so many bytes; the loss always keeps float32."""
        read = self.tokens * self.width if self.decoder == "cross" else 0  # what all its blocks look at, once
        parts = sum(kept_bytes(part, value_bytes) for part in self.parts)
        return parts + value_bytes * read + 4 * self.predictions * self.values

    def memory(self, images, value_bytes=4, accumulated=False):
        """Bytes on a device for a pass of `images` images: name → bytes.

        Weights, their gradients (twice if they are summed over passes) and AdamW's two moments are float32. In a
        narrow format backward also keeps the weights in it. What works beside that is one block's values again, and
        images, patches and targets in float32.
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
        """Bytes that an update moves to and from memory, for `images` images in so many passes.

        What is kept is written and read, and so is its gradient; weights are read twice in a pass and gradients
        written; AdamW reads weight, gradient and moments, and writes three of them.
        """
        return 4 * images * self.kept(value_bytes) + self.trained * (passes * (2 * value_bytes + 4) + 28)

    @property
    def checkpoint(self):
        """Bytes of a checkpoint: weights and moments in float32."""
        return 4 * (3 * self.trained + self.fixed)


def kept_bytes(part, value_bytes):
    """Bytes of one image that a part keeps for backward, in values of so many bytes."""
    return value_bytes * part.kept + (4 * part.wide if value_bytes < 4 else 0)
