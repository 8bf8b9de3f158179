"""Build models and corruption layers by the names that recipes give them."""

import difflib
import importlib
import inspect
import os
import sys
from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from kerasae.models import catalogue
from pipelines.command_line.ranges import within

CORRUPTIONS = {
    "masking": ("MaskingCorruption", "rate"),
    "gaussian": ("GaussianCorruption", "stddev"),
    "salt_and_pepper": ("SaltAndPepperCorruption", "rate"),
    "downscale": ("DownscaleCorruption", "scale"),
}


PARTS = (
    *("corruption", "discriminator", "class_discriminator", "style_discriminator", "classifier", "critic"),
    *("image_discriminator", "code_discriminator"),
)
"""Arguments of variants that are layers or networks, not options of the command line."""


def names():
    """List the names in `kerasae train NAME`; a user's own class is named MODULE:CLASS instead."""
    return list(catalogue.trained())


def check_name(name):
    """Raise InputError, with the nearest name, for a variant that is neither in the catalogue nor MODULE:CLASS."""
    if ":" not in name and name not in names():
        near = difflib.get_close_matches(name, names(), 1, 0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"unknown variant {name!r}; {hint}expected one of {', '.join(names())}, or MODULE:CLASS")


FIELD = {"names": names, "check": check_name}
"""Metadata of a recipe's field that names a variant."""


@dataclass(frozen=True, kw_only=True)
class CorruptionFields:
    """Settings for the corruption of a denoising autoencoder's input."""

    corruption: Literal["masking", "gaussian", "salt_and_pepper", "downscale"] = "masking"
    """Corruption of a denoising autoencoder's input: values set to 0 (tokens: hidden, see `TokenCorruption`), noise
    added, values set to 0 or 1, or images made smaller and enlarged again."""
    corruption_level: tuple[float, ...] = field(default=(0.25,), metadata=within("amount"))
    """Rate (gaussian: standard deviation, downscale: factor such as 2) of the corruption; in a stack one value for all
    layers, or one per layer."""
    corruption_least: float | None = field(default=None, metadata=within("amount"))
    """Least standard deviation of gaussian corruption: every example gets one from here to the level. One model then
    denoises them all."""


def variant(name):
    """Find the class of a variant by its name."""
    check_name(name)
    return of_user(name) if ":" in name else catalogue.trained()[name].load()


def of_user(target):
    """Import a user's class MODULE:CLASS from the working directory or from an installed package."""
    import keras

    module, _, name = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"variant: expected MODULE:CLASS to import. Received: {target!r} ({error})") from error
    if not (isinstance(cls, type) and issubclass(cls, kerasae.models.Autoencoder)):
        raise InputError(
            f"variant: {target} is not a subclass of kerasae.models.Autoencoder; derive it from that class"
        )
    if keras.saving.get_registered_name(cls) == name:
        raise InputError(
            f"variant: decorate {target} with @keras.saving.register_keras_serializable, so that saved models load"
        )
    return cls


def stack_class(name):
    """Find the class of a stack whose layers are of a variant."""
    machines = issubclass(variant(name), kerasae.models.RestrictedBoltzmannMachine)
    return kerasae.models.DeepBeliefNetwork if machines else kerasae.models.StackedAutoencoder


SHARED = ("self", "encoder", "decoder", "shape", "hidden", "latents", "likelihood", "pixel_max", "prior")
"""Constructor arguments that are no options: networks, or what has fields of its own."""


def own_arguments(cls):
    """Map the constructor arguments that not all variants have to their defaults, those passed to parents included."""
    found = {}
    for step in cls.__mro__:
        if issubclass(kerasae.models.Autoencoder, step):  # whose arguments are those of all
            break
        if "__init__" in vars(step):
            arguments = inspect.signature(step.__init__).parameters.values()
            named = {a.name: a.default for a in arguments if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)}
            found = named | found
            if len(named) == len(arguments):
                break
    return {name: default for name, default in found.items() if name not in (*SHARED, *cls.sets_itself)}


def as_argument(name, option, value, default):
    """Convert an option of the command line, a float or a name, to the type of the argument's default."""
    if isinstance(value, str) != isinstance(default, str):
        expected = "a name" if isinstance(default, str) else "a number"
        raise InputError(f"variant {name!r}: option {option!r} expects {expected}. Received: {value!r}")
    return int(value) if type(default) is int and float(value).is_integer() else value


def build(name, networks, likelihood, pixel_max, options=None, parts=None, distributions=None):
    """Build a model of a variant.

    Args:
        name: as in `kerasae train NAME`.
        networks: function (posterior, pixel_parameters) → (encoder, decoder).
        likelihood: name or `kerasae.distributions.Likelihood`.
        pixel_max: stored integer that means 1.0, or a `kerasae.layers.Standardization`; see `scale_of`.
        options: further constructor arguments of the variant.
        parts: layers and networks by the name of their argument, such as a corruption, for the variants that take it.
        distributions: the objects `posterior` and `prior` in place of the variant's own, where it has them.
    """
    cls, options = variant(name), dict(options or {})
    if isinstance(pixel_max, kerasae.layers.Standardization) and not cls.standardizes:
        raise InputError(
            f"variant: {name} takes values from 0 to 1 only, not numbers of any range; give min_value and max_value, "
            "or another variant"
        )
    likelihood, own = kerasae.distributions.likelihoods.get(likelihood), own_arguments(cls)
    for option in options:
        if option not in own:
            known = ", ".join(n for n in own if n not in PARTS) or "none"
            raise InputError(f"variant {name!r} has no option {option!r}; it has: {known}")
        options[option] = as_argument(name, option, options[option], own[option])
    options |= {argument: part for argument, part in (parts or {}).items() if argument in own} | (distributions or {})
    pair = networks(options.get("posterior", cls.posterior_name), likelihood.parameters)
    return getattr(cls, "of_networks", cls)(*pair, likelihood=likelihood, pixel_max=pixel_max, **options)


def scale_of(info):
    """Say how a model is to scale stored values: the integer that means 1.0, or a standardisation by `info`."""
    if not info.standardized:
        return info.max_value
    if info.kind == "ratings":
        return kerasae.layers.Standardization(info.mean, info.deviation, missing=True)
    # Features lie along the last axis as stored; behind it images [N, H, W] have got an axis of one channel.
    added = len(info.mean) != info.shape[-1]
    mean, deviation = ([[v] if added else v for v in values] for values in (info.mean, info.deviation))
    return kerasae.layers.Standardization(mean, deviation, missing=info.kind == "table")


def corruption(fields, layer=1, info=None):
    """Build the corruption layer of `CorruptionFields`, for layer 1, 2, … of a stack; `info` is of the data."""
    cls, argument = CORRUPTIONS[fields.corruption]
    level = fields.corruption_level[min(layer, len(fields.corruption_level)) - 1]
    if info is not None and info.kind == "tokens":
        if fields.corruption != "masking":
            raise InputError(f"corruption: {fields.corruption} is of values, not of tokens; leave it out, for masking")
        return kerasae.layers.TokenCorruption(len(info.columns), level)
    if fields.corruption_least is None:
        return getattr(kerasae.layers, cls)(**{argument: level})
    if fields.corruption != "gaussian":
        raise InputError(f"corruption_least: has no effect on {fields.corruption} corruption; leave it out")
    return kerasae.layers.GaussianCorruption(level, fields.corruption_least)


def anneal(model, recipe, steps):
    """Let the knobs in `recipe.anneal` change linearly, from the values there, over the first half of each cycle."""
    from kerasae.optimizers import Cyclical

    for name, first in recipe.anneal.items():
        if name not in model.knobs():
            known = ", ".join(model.knobs()) or "none"
            raise InputError(f"anneal: variant {recipe.variant!r} has no number {name!r} to anneal; it has: {known}")
        # A model that is compiled again has the schedule already, and its value is the first one.
        last = getattr(model.knob_schedules().get(name), "last", value_of(model, name))
        setattr(model, name, first)  # refuses a value out of range
        setattr(model, name, Cyclical(first, last, max(1, steps), recipe.anneal_cycles))


def value_of(model, name):
    """Read a knob as a float, also where several devices hold it."""
    import keras

    return float(keras.ops.convert_to_numpy(getattr(model, name)))
