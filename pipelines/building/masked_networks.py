"""Build the networks of a masked autoencoder: a vision transformer, or convolutional ones."""

import kerasae
from kerasae.errors import InputError

SIZES = {
    "vit": ("width", "depth", "heads", "decoder_heads"),
    "convnext": ("widths", "depths", "kernel"),
    "vgg": ("widths", "kernel"),
}
"""Network → the sizes that only it has; None leaves them to its builder."""

OF_TRANSFORMERS = {"size": "tiny", "pooling": "mean", "learned_positions": False, "decoder": "deep"}
"""What a transformer alone has, and its defaults."""


def check(recipe, info):
    """Raise InputError for settings of another network, and for a patch that does not divide the images."""
    from kerasae.ops.patches import grid_of

    others = {name for sizes in SIZES.values() for name in sizes} - set(SIZES[recipe.network])
    asked = [name for name in sorted(others) if getattr(recipe, name) is not None]
    if recipe.network != "vit":
        asked += [name for name, default in OF_TRANSFORMERS.items() if getattr(recipe, name) != default]
    if asked:
        raise InputError(f"{asked[0]}: has no effect on network {recipe.network}; leave it out")
    grid_of(info.shape[:2], side(recipe))


def build(recipe, shape, place):
    """Build the encoder and the decoder of a recipe, for images of a shape and of these statistics."""
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
    """Spell the patch as the library takes it: one number, or (height, width)."""
    return recipe.patch[0] if len(recipe.patch) == 1 else recipe.patch
