"""Infer the sizes of a vision transformer from the shapes of its weights and its configuration."""

from dataclasses import dataclass
from math import isqrt

from kerasae.errors import InputError

HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
"""Width of an encoder → published number of heads: arXiv 2012.12877, 2010.11929, 2111.06377."""

DECODER_HEADS = {512: 16}
"""Width of a decoder → published number of heads: arXiv 2111.06377."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of an encoder and, if there is one, of its decoder.

    Args:
        width, depth, heads, hidden: sizes of the encoder; `hidden` is the hidden width of the blocks' MLPs.
        patch: (height, width) of a patch.
        channels: number of channels of the images.
        grid: (rows, columns) of patches.
        decoder_width, decoder_depth, decoder_heads, decoder_hidden: sizes of the file's decoder, or of a new one.
        decoder: whether the file holds a decoder's weights.
        classes: number of classes of a classifier, or None.
        pool_first: whether the last normalisation stands behind the mean of the tokens ("fc_norm").
    """

    width: int
    depth: int
    heads: int
    hidden: int
    patch: tuple[int, int]
    channels: int
    grid: tuple[int, int]
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    decoder_hidden: int = 2048
    decoder: bool = False
    classes: int | None = None
    pool_first: bool = False

    @property
    def places(self):
        """Count the patches."""
        return self.grid[0] * self.grid[1]

    @property
    def shape(self):
        """Return the shape (H, W, C) of an image."""
        return (self.grid[0] * self.patch[0], self.grid[1] * self.patch[1], self.channels)


class SizeReader:
    """Infer the sizes of a network from the weights of one file.

    Args:
        checkpoint: `Checkpoint` of the file.
        layout: `Layout` of the names in the file.
    """

    def __init__(self, checkpoint, layout):
        self.file, self.tensors, self.config = checkpoint.file, checkpoint.tensors, checkpoint.config
        self.layout = layout

    def measure(self, image_size, heads, decoder_heads, new_decoder):
        """Infer the `Sizes`; raises InputError for a weight that is missing or has the wrong number of axes."""
        width, channels, *patch = self.shape("patch_embed.proj.weight", 4)
        if min(width, channels, *patch) < 1:
            raise InputError(f"{self.file}: patch_embed.proj.weight is empty")
        self.check_config(width)
        places = self.shape("pos_embed", 3)[1] - 1
        return Sizes(
            width=width,
            depth=self.layout.depth(self.tensors),
            heads=self.heads("heads", heads, "num_attention_heads", HEADS, width),
            hidden=self.shape("blocks.0.mlp.fc1.weight", 2)[0],
            patch=tuple(patch),
            channels=channels,
            grid=self.grid(places, patch, image_size),
            classes=self.shape("head.weight", 2)[0] if self.has("head.weight") else None,
            pool_first="fc_norm.weight" in self.tensors,
            **self.decoder(decoder_heads, new_decoder),
        )

    def decoder(self, heads, new):
        """Infer the decoder's sizes from the file, or take those of a new decoder."""
        if not any(name.startswith("decoder") for name in self.tensors):
            return {**new, "decoder_heads": heads or max(1, new["decoder_width"] // 32)}
        width = self.shape("decoder_embed.weight", 2)[0]
        return {
            "decoder": True,
            "decoder_width": width,
            "decoder_depth": self.layout.depth(self.tensors, decoder=True),
            "decoder_heads": self.heads(
                "decoder_heads", heads, "decoder_num_attention_heads", DECODER_HEADS, width, guess=False
            ),
            "decoder_hidden": self.shape("decoder_blocks.0.mlp.fc1.weight", 2)[0],
        }

    def has(self, name):
        """Tell whether the file has this weight."""
        return all(own in self.tensors for own in self.layout.names(name))

    def shape(self, name, axes):
        """Return the shape of a weight; raises InputError if it is missing or has another number of axes."""
        own = self.layout.names(name)[0]
        if own not in self.tensors:
            some = ", ".join(list(self.tensors)[:3]) or "no weights at all"
            raise InputError(f"{self.file} has no {own}, which a vision transformer has. It has: {some}, …")
        shape = self.tensors[own].shape
        if len(shape) != axes:
            raise InputError(f"{self.file}: {own} must have {axes} axes. Received: shape {shape}")
        return shape

    def heads(self, argument, given, key, published, width, guess=True):
        """Choose the number of heads: from the argument, the configuration, the papers, or one per 64 channels."""
        known = given or self.number(key) or published.get(width) or (guess and width % 64 == 0 and width // 64)
        if not known:
            raise InputError(f"{self.file} does not tell how many heads a width of {width} has; give {argument}")
        if known < 1 or width % known:
            raise InputError(f"{argument}: {known} heads do not divide the width {width} in {self.file}")
        return known

    def grid(self, places, patch, image_size):
        """Infer (rows, columns) from the configuration's image size, the given one if it fits, or a square."""
        if (stated := self.config.get("image_size")) is not None:
            sides = self.sides(stated)
            if sides[0] // patch[0] * (sides[1] // patch[1]) != places:
                raise InputError(f"{self.file} has {places} places, but its configuration says image_size {stated}")
            return (sides[0] // patch[0], sides[1] // patch[1])
        if image_size is not None:
            rows, columns = (n // p for n, p in zip(image_size, patch, strict=True))
            if rows * columns == places:
                return (rows, columns)
        side = isqrt(max(places, 0))
        if side < 1 or side * side != places:
            name, sides = self.layout.names("pos_embed")[0], f"{patch[0]}×{patch[1]}"
            known = f"{name} for {places} places, which make no square of patches {sides}"
            raise InputError(f"{self.file} has {known}; give image_size, height and width")
        return (side, side)

    def sides(self, stated):
        """Convert an image size of a configuration to (height, width)."""
        sides = [stated, stated] if isinstance(stated, int) else stated
        if not isinstance(sides, list) or len(sides) != 2 or any(type(n) is not int or n < 1 for n in sides):
            raise InputError(f"{self.file}: its configuration says image_size {stated!r}; expected a number or two")
        return sides

    def number(self, key):
        """Return a positive whole number of the configuration, or None."""
        value = self.config.get(key)
        if value is not None and (type(value) is not int or value < 1):
            raise InputError(f"{self.file}: its configuration says {key} {value!r}; expected a whole number from 1 up")
        return value

    def check_config(self, width):
        """Raise InputError if the configuration is of another network, or of one without exact GELU."""
        if self.number("hidden_size") not in (None, width):
            said = f"config.json beside it says {self.config['hidden_size']}"
            raise InputError(f"{self.file} has a width of {width}, but {said}; move one away")
        if (act := self.config.get("hidden_act", "gelu")) != "gelu":
            raise InputError(f"{self.file}: its configuration says hidden_act {act!r}; only the exact 'gelu' is known")
