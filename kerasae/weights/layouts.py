"""Map the weight names and shapes of a vision transformer between projects.

Weights have the names of the reference project of masked autoencoders (arXiv 2111.06377), as most vision transformers
in PyTorch do. A `Layout` holds another project's name of the same weight. Linear layers store their weights as
[outputs, inputs], the patch embedding as [D, C, p, q].
"""

import re
from dataclasses import dataclass, field

OUTSIDE = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
"""Names outside the blocks → names in transformers, under the prefix "vit."."""

TOP = {"head": "classifier", "mask_token": "decoder.mask_token"}
"""Names → names in transformers without the prefix "vit."."""

HUB = {
    "norm1": ("layernorm_before",),
    "norm2": ("layernorm_after",),
    "attn.qkv": tuple(f"attention.attention.{part}" for part in ("query", "key", "value")),
    "attn.proj": ("attention.output.dense",),
    "mlp.fc1": ("intermediate.dense",),
    "mlp.fc2": ("output.dense",),
}
"""Names within a block → names in transformers' files; query, key and value are thirds of one weight."""

RENAMED = {
    **HUB,
    "attn.qkv": tuple(f"attention.{part}_proj" for part in "qkv"),
    "attn.proj": ("attention.o_proj",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
}
"""Names within a block → names of the modules of transformers 5."""

SAVED_DECODER = "decoder.decoder_encoder.layer"
"""Name of the decoder's blocks in the files that transformers 5 saves, but not in memory."""

BLOCK = re.compile(r"(decoder_)?blocks\.(\d+)\.(.+)\.(weight|bias)")


@dataclass(frozen=True)
class Layout:
    """Naming scheme of a project: reference project's name of a weight → its names in that project.

    Args:
        transformers: whether the names are of transformers; else they are of the reference project.
        prefix: "vit." in front of the encoder's names, or "" where the encoder is the whole model.
        blocks, decoder_blocks: path in front of a block's number.
        inside: name within a block → names in that project.
    """

    transformers: bool = False
    prefix: str = "vit."
    blocks: str = "encoder.layer"
    decoder_blocks: str = "decoder.decoder_layers"
    inside: dict = field(default_factory=lambda: HUB)

    def names(self, name):
        """Return the name of a weight in this layout, or the names of the thirds that are its parts."""
        if not self.transformers:
            return (name,)
        if block := BLOCK.fullmatch(name):
            decoder, number, part, kind = block.groups()
            place = self.decoder_blocks if decoder else self.prefix + self.blocks
            return tuple(f"{place}.{number}.{own}.{kind}" for own in self.inside[part])
        stem, dot, kind = name.rpartition(".") if name.endswith((".weight", ".bias")) else (name, "", "")
        own = TOP.get(stem) or (f"decoder.{stem}" if stem.startswith("decoder_") else self.prefix + OUTSIDE[stem])
        return (f"{own}{dot}{kind}",)

    def depth(self, tensors, decoder=False):
        """Count the blocks whose weights the file holds."""
        if self.transformers:
            place = self.decoder_blocks if decoder else self.prefix + self.blocks
        else:
            place = "decoder_blocks" if decoder else "blocks"
        numbers = (re.match(rf"{re.escape(place)}\.(\d{{1,4}})\.", name) for name in tensors)
        return max((int(found[1]) + 1 for found in numbers if found), default=0)


def layout_of(tensors):
    """Find the layout of a file by the names in it."""
    text = "\n".join(tensors)
    if "embeddings.cls_token" not in text and "embeddings.patch_embeddings" not in text:
        return Layout()
    return Layout(
        transformers=True,
        prefix="vit." if "vit.embeddings." in text else "",
        blocks="encoder.layer" if re.search(r"^(vit\.)?encoder\.layer\.", text, re.MULTILINE) else "layers",
        decoder_blocks=SAVED_DECODER if f"{SAVED_DECODER}." in text else Layout.decoder_blocks,
        inside=RENAMED if ".q_proj." in text else HUB,
    )


# ---- shapes


def encoder_shapes(sizes, norm="norm"):
    """Compute the shapes of an encoder's weights by name.

    Args:
        sizes: `kerasae.weights.sizes.Sizes` of the network.
        norm: "norm", or "fc_norm" for a normalisation behind the pooling.
    """
    d, (p, q) = sizes.width, sizes.patch
    shapes = {
        "cls_token": (1, 1, d),
        "pos_embed": (1, sizes.places + 1, d),
        **linear("patch_embed.proj", d, sizes.channels, p, q),
    }
    for i in range(sizes.depth):
        shapes |= block(f"blocks.{i}", d, sizes.hidden)
    return {**shapes, **normalisation(norm, d)}


def decoder_shapes(sizes):
    """Compute the shapes of a decoder's weights by name."""
    d, (p, q) = sizes.decoder_width, sizes.patch
    shapes = {
        "mask_token": (1, 1, d),
        "decoder_pos_embed": (1, sizes.places + 1, d),
        **linear("decoder_embed", d, sizes.width),
    }
    for i in range(sizes.decoder_depth):
        shapes |= block(f"decoder_blocks.{i}", d, sizes.decoder_hidden)
    return {**shapes, **normalisation("decoder_norm", d), **linear("decoder_pred", p * q * sizes.channels, d)}


def block(name, width, hidden):
    """Compute the shapes of one transformer block by name."""
    return {
        **normalisation(f"{name}.norm1", width),
        **linear(f"{name}.attn.qkv", 3 * width, width),
        **linear(f"{name}.attn.proj", width, width),
        **normalisation(f"{name}.norm2", width),
        **linear(f"{name}.mlp.fc1", hidden, width),
        **linear(f"{name}.mlp.fc2", width, hidden),
    }


def linear(name, outputs, *inputs):
    """Compute the shapes of a linear layer or a convolution by name."""
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def normalisation(name, width):
    """Compute the shapes of a layer normalisation by name."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
