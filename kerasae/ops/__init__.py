"""Level 0: pure tensor functions, without weights, state or files."""

from kerasae.ops.activations import exact_gelu, softmax
from kerasae.ops.discrepancy import inverse_multiquadratic, mmd, rbf
from kerasae.ops.gaussian_distance import gaussian_w2
from kerasae.ops.jacobians import jacobian_products
from kerasae.ops.lasso import fista, shrink
from kerasae.ops.normalization import layer_norm
from kerasae.ops.patches import gather_tokens, group_masking, normalize_patches, patchify, random_masking, unpatchify
from kerasae.ops.permutations import permute_dimensions
from kerasae.ops.pixels import sum_per_example, to_unit, total_variation
from kerasae.ops.positions import resize_positions, sincos_positions
from kerasae.ops.scaling import enlarge_images, shrink_images
from kerasae.ops.sparsity import jump_relu, keep_largest, step_above

__all__ = [
    "enlarge_images",
    "exact_gelu",
    "fista",
    "gather_tokens",
    "gaussian_w2",
    "group_masking",
    "inverse_multiquadratic",
    "jacobian_products",
    "jump_relu",
    "keep_largest",
    "layer_norm",
    "mmd",
    "normalize_patches",
    "patchify",
    "permute_dimensions",
    "random_masking",
    "rbf",
    "resize_positions",
    "shrink",
    "shrink_images",
    "sincos_positions",
    "softmax",
    "step_above",
    "sum_per_example",
    "to_unit",
    "total_variation",
    "unpatchify",
]
