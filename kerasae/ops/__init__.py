"""Level 0: pure tensor functions, without weights, state or files."""

from kerasae.ops.activations import exact_gelu, softmax
from kerasae.ops.normalization import layer_norm
from kerasae.ops.patches import gather_tokens, group_masking, normalize_patches, patchify, random_masking, unpatchify
from kerasae.ops.pixels import sum_per_example, to_unit
from kerasae.ops.positions import resize_positions, sincos_positions

__all__ = [
    "exact_gelu",
    "gather_tokens",
    "group_masking",
    "layer_norm",
    "normalize_patches",
    "patchify",
    "random_masking",
    "resize_positions",
    "sincos_positions",
    "softmax",
    "sum_per_example",
    "to_unit",
    "unpatchify",
]
