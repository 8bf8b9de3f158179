"""Choose the epochs of a run by the minutes that it may take, once: a run that is resumed keeps the choice."""

from pathlib import Path
from typing import NamedTuple

import kerasae
from kerasae.errors import InputError
from kerasae.runs.directory import check_replicas, fingerprint, plain
from kerasae.runs.records import read_recipe
from kerasae.runs.resuming import begun, defaults, differences, refuse_other
from kerasae.training import pace

MEASURED_SECONDS = 3.0  # how long steps are measured
MEASURED_SHARE = 0.05  # of the minutes, at most, are spent on that
FORWARD = 1 / 3  # cost of validating an example, where that of training on it, forward and backward, is 1


class Cost(NamedTuple):
    """Seconds of a training: `spent` on measuring it, `start` until its first step has ended, `epoch` for each."""

    spent: float
    start: float
    epoch: float

    def epochs_within(self, minutes):
        """Count the whole epochs that end within these minutes, which began before the measuring.

        Raises:
            InputError: not one does. An epoch is the least: schedules, validation and the model to keep count in them.
        """
        once = self.spent + self.start
        epochs = int((60 * minutes - once) / self.epoch)
        if epochs < 1:
            least = (once + self.epoch) / 60
            raise InputError(
                f"minutes: expected at least {least:.2g}, as starting takes {once:.2g} seconds here and an epoch "
                f"{self.epoch:.2g}. Received: {minutes:g}; give more, or the number of epochs"
            )
        return min(epochs, 2**31 - 1)


def measure(model, split, settings, minutes, *, validation=None, **options):
    """Measure the `Cost` of training a compiled model as `Run.fit` does; the model is then as before.

    Args:
        model: compiled model.
        split: training examples.
        settings: a `Stage`; its epochs do not matter.
        minutes: time of the whole training, of which measuring takes a small share.
        validation: split that is validated on after every epoch, or None.
        options: further arguments of `Stage.batches`, such as the seed.

    Raises:
        InputError: the batch or the data cannot be trained on, as in `Run.fit`.
    """
    check_replicas(min(settings.batch_size, len(split)))
    seconds = min(MEASURED_SECONDS, 60 * MEASURED_SHARE * minutes)
    spent, start, step = pace.measure(model, settings.batches(model, split, **options), seconds)
    validated = 0 if validation is None else kerasae.data.steps_per_epoch(validation, settings.batch_size)
    return Cost(spent, start, step * (settings.steps_per_epoch(split) + FORWARD * validated))


def recorded_epochs(path, command, recipe, field="epochs", later=(), origin=None):
    """Read the epochs that a run of this recipe in `path` chose; None if it has yet to choose.

    `later` and `origin` are as in `Run`.

    Raises:
        InputError: `path` holds the beginning of another run.
    """
    if not (Path(path) / "recipe.json").exists():
        return None
    there = read_recipe(path)["recipe"]
    here = {"command": command, "recipe": {**plain(recipe), field: there.get(field)}}
    if origin is not None:
        here["origin"] = fingerprint(origin)
    if begun(Path(path)):
        refuse_other(path, here, later, defaults(recipe))
    return None if differences(there, here["recipe"], later, defaults(recipe)) else there.get(field)
