"""Batches whose gradients make one update: a recipe's parts."""

from kerasae.errors import InputError


def check(recipe, name, batch, images):
    """Raise InputError for parts that cannot be computed.

    Args:
        recipe: with `parts` and `at_once`.
        name: of the field that says how many parts there are.
        batch: images of one part.
        images: how many there are to train on.
    """
    if recipe.parts > 1 and batch * recipe.parts > images:
        raise InputError(f"{name}: {batch * recipe.parts} images make an update, but there are {images}; lower it")
    if recipe.at_once > recipe.parts:
        raise InputError(
            f"at_once: {recipe.at_once} batches at once, but {name} makes an update of {recipe.parts}; raise {name} "
            "and lower the batch"
        )
