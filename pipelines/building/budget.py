"""Training within minutes: the epochs that a recipe leaves to the clock are chosen before its run begins."""

from dataclasses import replace
from functools import partial


def with_epochs(recipe, begin, command, measure, *, later=(), origin=None):
    """The recipe, and the function that begins its run, with the epochs that its minutes allow, if it names minutes.

    A run that has chosen keeps its choice; otherwise nothing is written yet.

    Args:
        recipe: a recipe with minutes, whose field says in place of which epochs they stand.
        begin: what `door.entered` gives.
        command: name of the pipeline.
        measure: function without arguments that returns the `Cost` of the training, see `kerasae.runs.measure`.
        later, origin: as in `kerasae.runs.Run`.
    """
    from kerasae import runs

    if recipe.minutes is None:
        return recipe, begin
    asked, field = begin.keywords["recipe"], recipe.__dataclass_fields__["minutes"].metadata["in_place_of"]
    known = runs.recorded_epochs(asked.out, command, asked, field, later, origin)
    epochs, why = (known, "as this run chose before") if known else choose(measure(), recipe.minutes)
    print(f"{field} {epochs} for {recipe.minutes:g} minutes: {why}")
    return replace(recipe, **{field: epochs}), partial(begin, recipe=replace(asked, **{field: epochs}))


def choose(cost, minutes):
    """The epochs that minutes allow, and why so many."""
    epochs = cost.epochs_within(minutes)
    return epochs, f"{cost.epoch:.3g} s each, {cost.start:.3g} s to start, {cost.spent:.3g} s to measure this"


def announce(directory, stage, schedule):
    """Print, if this command raised the epochs of its run, from where it goes on and what becomes of the schedule."""
    if directory.raised is None:
        return
    epochs, step = directory.recipe.epochs, directory.newest(stage) or 0
    course = f"the {schedule} schedule is that of {epochs} epochs from here on" if schedule == "cosine" else "same rate"
    print(f"epochs {directory.raised} → {epochs}: goes on from step {step}; {course}")
