"""From the values of a recipe to a model: variants, networks and corruptions by name."""

import difflib
import inspect
from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import listing
from pipelines.command_line.ranges import within

CORRUPTIONS = {
    "masking": ("MaskingCorruption", "rate"),
    "gaussian": ("GaussianCorruption", "stddev"),
    "salt_and_pepper": ("SaltAndPepperCorruption", "rate"),
}


@dataclass(frozen=True, kw_only=True)
class CorruptionFields:
    """What a denoising autoencoder does to its input."""

    corruption: Literal["masking", "gaussian", "salt_and_pepper"] = "masking"
    """What a denoising autoencoder does to its input."""
    corruption_level: tuple[float, ...] = field(default=(0.25,), metadata=within("amount"))
    """Rate or standard deviation of the corruption; in a stack one for all layers, or one per layer."""


def variant(name):
    """The class of a variant; an unknown name is answered with the nearest."""
    names = listing.command_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"unknown variant {name!r}; {hint}expected one of {', '.join(names)}")
    return getattr(kerasae.models, names[name])


def build(name, networks, likelihood, pixel_max, options=None, corruption=None):
    """A model of the variant `name`.

    Args:
        name: as in `kerasae train NAME`.
        networks: function (posterior, pixel_parameters) → (encoder, decoder).
        likelihood: name or `kerasae.distributions.Likelihood`.
        pixel_max: stored integer that means 1.0.
        options: further constructor arguments of the variant.
        corruption: for the variants that take one.
    """
    cls, options = variant(name), dict(options or {})
    likelihood = kerasae.distributions.likelihoods.get(likelihood)
    accepted = inspect.signature(cls.__init__).parameters
    own = [n for n in accepted if n not in ("self", "encoder", "decoder", "likelihood", "pixel_max", "kwargs")]
    for option in options:
        if option not in own:
            known = ", ".join(n for n in own if n not in ("corruption", "discriminator")) or "none"
            raise InputError(f"variant {name!r} has no option {option!r}; it has: {known}")
    if "corruption" in accepted:
        options["corruption"] = corruption
    pair = networks(cls.posterior_name, likelihood.parameters)
    return cls(*pair, likelihood=likelihood, pixel_max=pixel_max, **options)


def corruption(fields, layer=1):
    """The corruption layer that `CorruptionFields` describe, for layer 1, 2, … of a stack."""
    cls, argument = CORRUPTIONS[fields.corruption]
    level = fields.corruption_level[min(layer, len(fields.corruption_level)) - 1]
    return getattr(kerasae.layers, cls)(**{argument: level})
