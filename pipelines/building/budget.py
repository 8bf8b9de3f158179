"""Choose the number of epochs that fit into a recipe's minutes, before its run begins."""

from dataclasses import replace
from functools import partial


def with_epochs(recipe, begin, command, measure, *, later=(), origin=None):
    """The recipe, and the function that begins its run, with the epochs that its minutes allow, if it names minutes.

    A run that is resumed keeps its epochs. A recipe without minutes is returned unchanged. Nothing is written.

    Args:
        recipe: a recipe whose field `minutes` names, in its metadata, the field of the epochs that it chooses.
        begin: function of `door.entered` that begins the run.
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
    """Compute the epochs that fit into minutes, and explain the number."""
    epochs = cost.epochs_within(minutes)
    return epochs, f"{cost.epoch:.3g} s each, {cost.start:.3g} s to start, {cost.spent:.3g} s to measure this"


def announce(directory, stage, schedule):
    """Print the step from which a run continues, and its schedule, if this command raised the run's epochs."""
    if directory.raised is None:
        return
    epochs, step = directory.recipe.epochs, directory.newest(stage) or 0
    course = f"the {schedule} schedule is that of {epochs} epochs from here on" if schedule == "cosine" else "same rate"
    print(f"epochs {directory.raised} → {epochs}: goes on from step {step}; {course}")
