"""Map the weights of a network to the names and the order of axes of the reference project."""

from typing import NamedTuple

import keras
import numpy as np

from kerasae.errors import InputError
from kerasae.layers import (
    Images,
    Patches,
    PatchTokens,
    RestoredTokens,
    TokenNorm,
    TokenPooling,
    TransformerBlock,
)

INPUT, DENSE, NORM = keras.layers.InputLayer, keras.layers.Dense, TokenNorm
ENCODERS = {
    "norm": (
        (INPUT, Patches, DENSE, PatchTokens, TransformerBlock, NORM),
        (INPUT, Patches, DENSE, PatchTokens, TransformerBlock, NORM, TokenPooling),
    ),
    "fc_norm": ((INPUT, Patches, DENSE, PatchTokens, TransformerBlock, TokenPooling, NORM),),
}
"""Name of the last normalisation → chains of layers that end in it, with repeated blocks written once."""

DECODERS = (
    (INPUT, DENSE, RestoredTokens, TransformerBlock, NORM, DENSE, Images),
    (INPUT, keras.layers.RepeatVector, DENSE, RestoredTokens, TransformerBlock, NORM, DENSE, Images),
)


class Slot(NamedTuple):
    """A weight of a network, read and written in PyTorch's order of axes.

    Args:
        variable: the weight.
        patch: (p, q, C) of a patch embedding, whose kernel [p·q·C, D] PyTorch stores as [D, C, p, q]; else None.
    """

    variable: keras.Variable
    patch: tuple[int, int, int] | None = None

    def read(self):
        """Return the weight in PyTorch's order of axes, float32."""
        value = np.asarray(self.variable, "float32")
        if self.patch:
            value = value.reshape(*self.patch, -1).transpose(3, 2, 0, 1)
        return np.ascontiguousarray(value.T if value.ndim == 2 else value)

    def write(self, value):
        """Set the weight from an array in PyTorch's order of axes."""
        if self.patch:
            value = value.transpose(2, 3, 1, 0).reshape(-1, len(value))
            return self.variable.assign(value)
        return self.variable.assign(value.T if value.ndim == 2 else value)


def encoder_slots(encoder):
    """Map names of the reference project to the slots of an encoder of `kerasae.networks.vit`."""
    chain = encoder.layers
    norm = next((name for name, chains in ENCODERS.items() if kinds(chain) in chains), None)
    tokens = first(PatchTokens, chain)
    if norm is None or not tokens.class_token:
        raise InputError(unknown("encoder", encoder, "an encoder of kerasae.networks.vit with a class token"))
    patches, embed = chain[1], chain[2]
    slots = {
        "cls_token": Slot(tokens.token),
        "pos_embed": Slot(tokens.positions),
        "patch_embed.proj.weight": Slot(embed.kernel, (*patches.patch, encoder.input_shape[-1])),
        "patch_embed.proj.bias": Slot(embed.bias),
        **normalisation(norm, first(NORM, chain)),
    }
    return slots | blocks("blocks", chain)


def decoder_slots(decoder):
    """Map names of the reference project to the slots of a decoder of `kerasae.networks.vit`."""
    chain = decoder.layers
    if kinds(chain) not in DECODERS:
        raise InputError(unknown("decoder", decoder, "the plain decoder of kerasae.networks.vit"))
    tokens, (embed, prediction) = first(RestoredTokens, chain), [x for x in chain if type(x) is DENSE]
    slots = {
        "mask_token": Slot(tokens.mask_token),
        "decoder_pos_embed": Slot(tokens.positions),
        **linear("decoder_embed", embed),
        **linear("decoder_pred", prediction),
        **normalisation("decoder_norm", first(NORM, chain)),
    }
    return slots | blocks("decoder_blocks", chain)


def head_slots(classifier):
    """Map names of the reference project to the slots of a classifier's last layer."""
    return linear("head", classifier.head.layers[-1])


def blocks(name, chain):
    """Collect the slots of all transformer blocks of a chain of layers."""
    slots = {}
    for i, block in enumerate(layer for layer in chain if isinstance(layer, TransformerBlock)):
        if block.layer_scale is not None:
            raise InputError(f"{block.name} has layer scale, for which the layouts of other projects have no place")
        slots |= normalisation(f"{name}.{i}.norm1", block.norm1)
        slots |= linear(f"{name}.{i}.attn.qkv", block.attention.qkv)
        slots |= linear(f"{name}.{i}.attn.proj", block.attention.proj)
        slots |= normalisation(f"{name}.{i}.norm2", block.norm2)
        slots |= linear(f"{name}.{i}.mlp.fc1", block.fc1) | linear(f"{name}.{i}.mlp.fc2", block.fc2)
    return slots


def linear(name, layer):
    """Collect the slots of a linear layer."""
    return {f"{name}.weight": Slot(layer.kernel), f"{name}.bias": Slot(layer.bias)}


def normalisation(name, layer):
    """Collect the slots of a layer normalisation."""
    return {f"{name}.weight": Slot(layer.gamma), f"{name}.bias": Slot(layer.beta)}


def kinds(chain):
    """List the classes of a chain's layers, with consecutive transformer blocks as one."""
    found = [type(layer) for layer in chain]
    return tuple(k for i, k in enumerate(found) if not (i and k is found[i - 1] is TransformerBlock))


def first(kind, chain):
    """Find the first layer of a class; raises InputError if there is none."""
    for layer in chain:
        if isinstance(layer, kind):
            return layer
    raise InputError(f"expected networks of kerasae.networks.vit; there is no {kind.__name__} layer")


def unknown(part, network, expected):
    chain = " → ".join(k.__name__ for k in kinds(network.layers))
    return f"the layouts of other projects have no place for this {part}: expected {expected}. Received: {chain}"
