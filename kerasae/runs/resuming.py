"""Decide whether a command may go on with the run in a directory: the same recipe, or more epochs of it."""

import dataclasses
import os
from pathlib import Path

from kerasae.errors import InputError
from kerasae.runs.records import read_recipe

# Fields that may differ when a run is resumed: places and devices, as a run may move (`origin` tells whether `run` is
# the same), and `on_nonfinite`, so that a run that stopped at NaN may skip that step.
PLACES = {"out", "data_dir", "run", "on_nonfinite", "devices", "data_workers", "at_once"}
PLACES |= {"accept_changed_data"}


def begun(path):
    """Tell whether a run directory, or a run inside it, holds results or checkpoints."""
    results = ("metrics.csv", "model.keras", "summary.json")
    if any((path / name).exists() for name in results) or any(path.glob("checkpoints/*/step-*")):
        return True
    return any(begun(inner.parent) for inner in path.glob("*/recipe.json"))


def defaults(recipe):
    """Collect the default of every field of a recipe; runs written before a field existed had its default."""
    return {f.name: f.default for f in dataclasses.fields(recipe) if f.default is not dataclasses.MISSING}


def refuse_other(path, content, later=(), defaults=None):
    """Raise InputError if another command or recipe began the run in `path`, naming each difference.

    Returns the epochs of the run if the only difference is that there are more now, else None.
    """
    there = read_recipe(path)
    if there["command"] != content["command"]:
        raise InputError(f"{path} holds a run of `{there['command']}`; choose another --out")
    changed = differences(there["recipe"], content["recipe"], later, defaults)
    goes_on = has_more_epochs(changed, content["recipe"])
    if changed and not goes_on:
        difference = ", ".join(f"{name} {old!r} there, {new!r} here" for name, (old, new) in changed.items())
        raise InputError(f"{path} holds a run of another recipe ({difference}); give the same flags or another --out")
    if there.get("origin") != content.get("origin"):
        raise InputError(f"{path} started from another model than the one that is given now; choose another --out")
    return changed["epochs"][0] if goes_on else None


def differences(old, new, later=(), defaults=None):
    """Compare two recipes: name of a field → its old and its new value, where they may not differ in a run."""
    old = {**(defaults or {}), **old}
    names = [name for name in {**old, **new} if name not in {*PLACES, *later} and old.get(name) != new.get(name)]
    return {name: (old.get(name), new.get(name)) for name in names}


def has_more_epochs(changed, recipe):
    """Tell whether all that changed is that the recipe has more epochs, given as such and not as minutes."""
    old, new = changed.get("epochs", (None, None))
    return changed.keys() <= {"epochs", "minutes"} and not recipe.get("minutes") and type(old) is int and old < new


def refuse_links(path):
    """Raise InputError if a link inside a run leads out of it: files written into a run must stay there."""
    root = Path(os.path.realpath(path))
    for folder, folders, files in os.walk(path):
        for place in (Path(folder, name) for name in (*folders, *files)):
            if place.is_symlink() and not Path(os.path.realpath(place)).is_relative_to(root):
                raise InputError(f"{place} is a link that leads out of the run; nothing is written there, remove it")


def refuse_results_inside(path, epochs):
    """Raise InputError if runs inside a run started from its model, which is to be replaced by one of more epochs."""
    inside = sorted(inner.parent.name for inner in path.glob("*/recipe.json") if begun(inner.parent))
    if inside:
        raise InputError(
            f"{path} holds results of its model of {epochs} epochs ({', '.join(inside)}), which more epochs replace; "
            "move or remove them first, or give another --out"
        )
