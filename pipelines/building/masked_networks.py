"""Build the encoder and decoder of a masked autoencoder: a vision transformer, or a convolutional network."""

import kerasae
from kerasae.errors import InputError

SIZES = {
    "vit": ("width", "depth", "heads", "decoder_heads"),
    "convnext": ("widths", "depths", "kernel"),
    "vgg": ("widths", "kernel"),
}
"""Network → size fields that apply to it alone; None stands for the builder's default."""

TRANSFORMER_DEFAULTS = {"size": "tiny", "pooling": "mean", "learned_positions": False, "decoder": "deep"}
"""Fields that apply to transformers alone → defaults."""


def check(recipe, info):
    """Raise InputError for settings of another network, and for a patch that does not divide the examples."""
    from kerasae.ops.patches import grid_of

    sizes = dict.fromkeys(name for names in SIZES.values() for name in names)
    asked = [name for name in sizes if name not in SIZES[recipe.network] and getattr(recipe, name) is not None]
    if recipe.network != "vit":
        asked += [name for name, default in TRANSFORMER_DEFAULTS.items() if getattr(recipe, name) != default]
    if asked:
        raise InputError(f"{asked[0]}: has no effect on network {recipe.network}; leave it out")
    if recipe.network != "vit" and len(info.shape) != 3:
        raise InputError(f"network: {recipe.network} takes images only, not examples {info.shape}; give vit")
    if recipe.start is None:
        grid_of(info.shape[:-1], side(recipe))


def build(recipe, shape, place):
    """Build a recipe's encoder and decoder for examples of a shape, standardised by the mean and std in `place`."""
    names = (*SIZES[recipe.network], "decoder_width", "decoder_depth")
    sizes = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    if recipe.network != "vit":
        builder = {"convnext": kerasae.networks.convnext_mini, "vgg": kerasae.networks.vgg}[recipe.network]
        return builder(shape, side(recipe), **place, **sizes)
    return getattr(kerasae.networks, f"vit_{recipe.size}")(
        shape,
        side(recipe),
        decoder=recipe.decoder,
        pooling=recipe.pooling,
        learned_positions=recipe.learned_positions,
        **place,
        **sizes,
    )


def side(recipe):
    """Convert the recipe's patch to the library's argument: one number, or one for each axis."""
    return recipe.patch[0] if len(recipe.patch) == 1 else recipe.patch
