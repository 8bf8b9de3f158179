"""Go on from the weights of another run of the same variant and network: the weights stay as they are."""

from dataclasses import MISSING, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from kerasae.errors import InputError
from pipelines.building import starting, variants


def like_start(recipe, begin, command, decided):
    """Take what the weights decide from the run that a recipe starts from, if it names one.

    A `.keras` file alone says nothing of its training: there, the recipe describes the network.

    Args:
        recipe: a recipe with `start` and `variant`.
        begin: what `door.entered` gives.
        command: name of the pipeline, also of the one that trained the weights.
        decided: names of the fields that the weights decide; of the variant's options, those that are not given.

    Returns:
        The recipe, and the function that begins its run.

    Raises:
        InputError: a run of another command or variant, or a field whose value is another than the run's.
    """
    folder = folder_of(recipe.start or "")
    if recipe.start is None or not (folder / "recipe.json").exists():
        return recipe, begin
    theirs = values_of(folder, command, type(recipe), ("variant", *decided))
    if theirs["variant"] != recipe.variant:
        raise InputError(f"variant: {recipe.start} is {theirs['variant']!r}, not {recipe.variant!r}; give that one")
    starting.refuse_decided(recipe, [n for n in decided if n != "options" and getattr(recipe, n) != theirs[n]])
    if "options" in theirs:
        theirs["options"] = {**theirs["options"], **recipe.options}
    return replace(recipe, **theirs), partial(begin, recipe=replace(begin.keywords["recipe"], **theirs))


def folder_of(start):
    """Find the directory of a run by itself, or by a `.keras` file in it."""
    place = Path(start)
    return place if place.is_dir() else place.parent


def values_of(folder, command, cls, names):
    """Read fields of a recipe's class from a run of `command`; raises InputError for other commands and values."""
    from kerasae import runs

    content = runs.read_recipe(folder)
    if content["command"] != command:
        raise InputError(f"start: expected a run of `{command}`. Received: {folder}, a run of `{content['command']}`")
    known, hints = {f.name: f for f in fields(cls)}, get_type_hints(cls)
    return {name: value_of(known[name], hints[name], content["recipe"], folder / "recipe.json") for name in names}


def value_of(field, hint, stored, file):
    """Convert the value of a field from JSON; where there is none, the field is younger than the run."""
    default = field.default_factory() if field.default is MISSING else field.default
    value = stored.get(field.name, default)
    value = tuple(value) if isinstance(value, list) else value
    if not alike(value, default) or get_origin(hint) is Literal and value not in get_args(hint):
        raise InputError(f"{file}: {field.name}: expected a value such as {default!r}. Received: {value!r}")
    return value


def alike(value, default):
    """Tell whether a value is of the default's type; the values of a dict may be numbers or names."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(type(v) is type(default[0]) for v in value)
    if isinstance(default, dict):
        return isinstance(value, dict) and all(type(v) in (int, float, str) for v in value.values())
    return type(value) is type(default)


def load(recipe):
    """Load the model that a recipe starts from, of the recipe's variant; None without one."""
    if recipe.start is None:
        return None
    cls = variants.variant(recipe.variant)
    return starting.load(recipe.start, lambda model: type(model) is cls, f"a {cls.__name__}")


def copy(origin, model, start):
    """Give a model the weights of another; its knobs, such as β, stay what they are.

    Raises:
        InputError: the two have weights of other shapes.
    """
    pairs = list(zip(learned(origin), learned(model), strict=False))
    for theirs, mine in pairs:
        if theirs.shape != mine.shape:
            raise InputError(misfit(origin, model, start, f"{mine.path} {theirs.shape}, not {mine.shape}"))
    if len(learned(origin)) != len(learned(model)):
        raise InputError(misfit(origin, model, start, f"{len(learned(origin))} weights, not {len(learned(model))}"))
    for theirs, mine in pairs:
        mine.assign(theirs)


def learned(model):
    """List the weights of a model without its knobs."""
    knobs = {id(knob) for knob in model.knobs().values()}
    return [weight for weight in model.weights if id(weight) not in knobs]


def misfit(origin, model, start, difference):
    """Spell in one line why weights do not fit."""
    there, here = tuple(origin.example_shape), tuple(model.example_shape)
    if there != here:
        return f"start: {start} is of examples {there}, not {here}: {difference}; give examples of that shape"
    return f"start: {start} is of another network: {difference}; describe the network that it holds"
