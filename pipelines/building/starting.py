"""Adapt a trained masked autoencoder to images of another size or number of channels, to start from its weights."""

from pathlib import Path

import kerasae
from kerasae.errors import InputError

ARCHITECTURE = (
    *("network", "size", "patch", "width", "depth", "heads", "pooling", "learned_positions"),
    *("widths", "depths", "kernel"),
)
"""Recipe fields that are fixed by the weights."""

DECODER = ("decoder", "decoder_width", "decoder_depth", "decoder_heads")
"""Recipe fields that are fixed by the weights unless a new decoder is trained."""


def check(recipe):
    """Raise InputError for fields that the weights fix, and for fields that need `start`."""
    if recipe.start is None:
        for name in ("new_decoder", "decoder_epochs"):
            if getattr(recipe, name):
                raise InputError(f"{name}: only with start; leave it out")
        return
    if recipe.decoder_epochs is not None and not recipe.new_decoder:
        raise InputError("decoder_epochs: only with new_decoder; leave it out")
    refuse_decided(recipe, ARCHITECTURE + (() if recipe.new_decoder else DECODER))


def refuse_decided(recipe, names):
    """Raise InputError for the first of these fields that is not left at its default: the weights decide it."""
    for name in names:
        if getattr(recipe, name) != type(recipe).__dataclass_fields__[name].default:
            raise InputError(f"{name}: the weights of {recipe.start} decide it; leave it out")


def load_masked(start):
    """Load the masked autoencoder of a run or of a `.keras` file."""
    return load(start, lambda model: isinstance(model, kerasae.models.MaskedAutoencoder), "a masked autoencoder")


def load(start, fits, expected):
    """Load the model of a run or of a `.keras` file; raises InputError unless it `fits`, with what is `expected`."""
    from kerasae import runs, saving
    from kerasae.training import precision

    path = Path(start)
    if path.suffix in (".pth", ".pt", ".safetensors", ".npz", ".bin"):
        raise InputError(
            f"start: expected a run or .keras file. Received: {start}; import it first: kerasae weights import {start}"
        )
    model = runs.load_model(path) if path.is_dir() else precision.in_float32(lambda: saving.load_model(path))
    if not fits(model):
        raise InputError(f"start: expected {expected}. Received: {start}, a {type(model).__name__}")
    return model


def adapt(model, info, place, recipe):
    """Copy encoder and decoder of a masked autoencoder for images like `info`, standardised by `place`.

    Raises InputError if the recipe asks for other targets than the model's without a new decoder.
    """
    asked = recipe.normalize_targets
    if not recipe.new_decoder and asked not in (None, model.normalize_targets):
        raise InputError(
            f"normalize_targets: {recipe.start} predicts {targets(model.normalize_targets)}; leave it out, "
            "or give new_decoder"
        )
    if recipe.new_decoder and model.builder == "convnext":
        raise InputError(
            f"new_decoder: {recipe.start} holds a convolutional network, whose decoder is kept; leave it out"
        )
    encoder = resized(model, model.encoder, info.shape, place)
    if recipe.new_decoder:
        return encoder, new_decoder(encoder, info, place, recipe)
    return encoder, resized(model, model.decoder, info.shape)


def resized(model, network, shape, place=None):
    """Copy an encoder or decoder for images of another shape; a convolutional network keeps its mean and std."""
    if model.builder == "convnext":
        return kerasae.networks.resize_convnext(network, shape)
    return kerasae.networks.resize_vit(network, shape, **(place or {}))


def targets(normalised):
    """Name the targets of a masked autoencoder."""
    return "patches normalised by their own mean and deviation" if normalised else "pixels"


def new_decoder(encoder, info, place, recipe):
    """Build an untrained decoder for a vision transformer's encoder."""
    from kerasae.layers import PatchTokens, TokenPooling

    tokens = next(layer for layer in encoder.layers if isinstance(layer, PatchTokens))
    pooled = next((layer.kind for layer in encoder.layers if isinstance(layer, TokenPooling)), None)
    names = ("decoder_width", "decoder_depth", "decoder_heads")
    sizes = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    build = getattr(kerasae.networks, f"vit_{recipe.size}")
    likewise = {"width": tokens.output.shape[-1], "depth": 1, "heads": 1, "class_token": tokens.class_token}
    likewise |= {"pooling": pooled, "learned_positions": tokens.learned, "decoder": recipe.decoder}
    return build(info.shape, encoder.layers[1].patch, **likewise, **place, **sizes)[1]


def say(model, info, start):
    """Describe the adaptation in one line."""
    from kerasae.ops.patches import by

    old, new = tuple(model.example_shape), tuple(info.shape)
    changes = []
    if old[:-1] != new[:-1]:
        changes.append(f"positions interpolated from {by(old[:-1])} to {by(new[:-1])}")
    if old[-1] != new[-1]:
        changes.append(f"the first kernel's weights summed over {old[-1]} channels and divided among {new[-1]}")
    return f"started from {start}: {', '.join(changes) or 'images of the same shape'}"


def fit_to(model, info, path):
    """Resize a vision transformer to data like `info`; raise InputError for another model that does not fit them."""
    from kerasae import runs

    if tuple(model.example_shape) == tuple(info.shape) or not hasattr(model, "hide") or len(info.shape) != 3:
        runs.check_fit(Path(path) / "model.keras", model, info)
        return model
    print(say(model, info, path))
    first, place = model.encoder.layers[1], {}
    if info.shape[-1] != model.example_shape[-1]:
        import numpy as np

        place = {"mean": float(np.mean(first.mean)), "std": float(np.mean(first.std))}
    pair = [resized(model, part, info.shape, place) for part in (model.encoder, model.decoder)]
    return type(model)(*pair, model.mask_ratio, model.normalize_targets, model.standardization or info.max_value)
