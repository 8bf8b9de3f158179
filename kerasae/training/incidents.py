"""Handle training steps with NaN or infinity: find the cause, keep the batch, then stop or go on.

The step is not applied, and the model stays as before. `RUN/nonfinite/STAGE/` then holds all that `kerasae replay`
needs:

- `step-N.npz`, the batch: images, labels, step, seed, names and values of the terms that are not finite, names of the
  weights whose gradients are not finite;
- `state/step-N.npz`, a checkpoint of the state before the step;
- `model.keras`, the model.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasae.training import processes
from kerasae.training.checkpoint import Checkpoints, write_atomic, write_model
from kerasae.training.guard import other_state, unscaled

KEEP = 3  # batches saved by a run that skips; all of them could be as large as the data set
LIMIT = 100  # skipped updates in a row that end a training; finding a loss scale takes some 20


@dataclass(frozen=True)
class Values:
    """Count the values of an array that are not finite, and keep the largest finite magnitude."""

    name: str
    bad: int
    size: int
    largest: float

    @classmethod
    def of(cls, name, array):
        array = keras.ops.convert_to_numpy(array)
        finite = np.isfinite(array)
        largest = np.abs(array.astype(np.float64, copy=False), where=finite, out=np.zeros(array.shape)).max(initial=0.0)
        return cls(name, int(array.size - finite.sum()), array.size, float(largest))


@dataclass(frozen=True)
class Findings:
    """Losses, gradients and weights of one examined step.

    Args:
        terms: name → value of each loss term in this step alone; the total loss comes last.
        gradients: `Values` of the gradient of every weight, without the loss scale.
        weights: `Values` of every weight.
        norm: L2 norm of all gradients together, in double precision.
    """

    terms: dict
    gradients: list
    weights: list
    norm: float

    def bad_terms(self):
        """Return names and values of the loss terms that are not finite."""
        return {name: value for name, value in self.terms.items() if not np.isfinite(value)}

    def cause(self):
        """Name the first loss term, or else the first gradient, that is not finite."""
        for name, value in self.bad_terms().items():
            return f"{name} became {value}"
        bad = [values for values in self.gradients if values.bad]
        if bad:
            others = f", and {len(bad) - 1} other gradients," if len(bad) > 1 else ""
            return f"the gradient of {bad[0].name}{others} became not finite"
        if self.norm**2 > np.finfo(np.float32).max:
            return f"the gradient norm became {self.norm:.3g}, whose square is more than float32 holds,"
        return "something became not finite, and was finite when the step was repeated,"


def examine(model, batch):
    """Compute the step on a batch again without applying it, and examine its values; the model stays as it is.

    Args:
        model: compiled model with a `propose`.
        batch: one batch, as the current strategy distributes it.
    """
    others = other_state(model)
    before = [tf.identity(variable) for variable in others]
    weights = []
    model.reset_metrics()

    def look(batch):
        proposal = model.propose(batch)
        weights[:] = [weight for update in proposal.updates for weight in update.weights]
        return proposal.logs, [gradient for update in proposal.updates for gradient in unscaled(update)]

    try:
        strategy = tf.distribute.get_strategy()
        run = tf.function(look, jit_compile=True, autograph=False) if model.jit_compile is True else look
        logs, gradients = tf.function(lambda batch: strategy.run(run, args=(batch,)), autograph=False)(batch)
        return findings(logs, gradients, weights, strategy.experimental_local_results)
    finally:
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)


def findings(logs, gradients, weights, local):
    """Collect `Findings` from the replicas of this process: the worst terms, and the gradients stacked."""
    terms = {name: worst(local(value)) for name, value in sorted(logs.items(), key=lambda item: item[0] == "loss")}
    pairs = zip(weights, gradients, strict=True)
    side = [(w.path, np.stack([tf.convert_to_tensor(part) for part in local(g)])) for w, g in pairs if g is not None]
    return Findings(
        terms,
        [Values.of(path, values) for path, values in side],
        [Values.of(weight.path, weight) for weight in weights],
        float(np.sqrt(sum(np.square(values, dtype=np.float64).sum() for _, values in side))),
    )


def worst(values):
    """Return the first number that is not finite, or the greatest if all are finite."""
    numbers = [float(value) for value in values]
    return next((n for n in numbers if not np.isfinite(n)), max(numbers))


class Incidents:
    """Record the steps of one stage that were not finite, in a folder.

    Args:
        folder: `RUN/nonfinite/STAGE`.
        policy: "stop" the training at such a step, or "skip" the step.
        seed: seed of the order of the examples; saved with the batch.
    """

    def __init__(self, folder, policy="stop", seed=None):
        self.folder, self.policy, self.seed = Path(folder), policy, seed

    @property
    def skips(self):
        return self.policy == "skip"

    def record(self, model, progress, fetch):
        """Examine a step and save what repeats it; returns its `Findings`, or None once `KEEP` batches were saved.

        Args:
            model: model in the state before the step.
            progress: plain values, with the number of the "step".
            fetch: function that returns the whole batch, and the same batch distributed by the strategy.
        """
        if self.skips and len(files(self.folder)) >= KEEP:
            return None
        batch, shared = fetch()
        found = examine(model, shared)
        Checkpoints(self.folder / "state").save(model, progress, keep=KEEP)
        missing = not (self.folder / "model.keras").exists()
        processes.wait()  # no process may write the file before all have looked for it
        if missing:
            write_model(self.folder / "model.keras", model)
        self._write_batch(progress["step"], batch, found)
        return found

    def _write_batch(self, step, batch, found):
        terms = found.bad_terms()
        content = dict(zip(("images", "labels"), map(np.asarray, tf.nest.flatten(batch)), strict=False))
        content |= {"step": step, "seed": -1 if self.seed is None else self.seed}
        content |= {"terms": np.array(list(terms), str), "values": np.array(list(terms.values()), float)}
        content["gradients"] = np.array([values.name for values in found.gradients if values.bad], str)
        buffer = io.BytesIO()
        np.savez(buffer, **content)
        write_atomic(path_of(self.folder, step), buffer.getvalue())

    def message(self, found, plan, progress, saved):
        """Describe an incident in one line: what was not finite, when, where, and what to do.

        Args:
            found: `Findings`.
            plan: `Plan`, for its `steps_per_epoch`.
            progress: `Progress`, for its `epoch` and the `step` that was not applied.
            saved: step of the checkpoint from which the run would resume, or None.
        """
        place = f"step {progress.step} (batch {progress.step % plan.steps_per_epoch} of epoch {progress.epoch + 1})"
        stands = "there is no checkpoint" if saved is None else f"the last good checkpoint is that of step {saved}"
        batch = path_of(self.folder, progress.step)
        return (
            f"{found.cause()} at {place}; {stands}; the batch is in {batch}, and `kerasae replay "
            f"{self.folder.parent.parent}` looks into it; lower the learning rate, look at the data, or leave such "
            "steps out with --on-nonfinite skip"
        )


def too_many_skips(tally, checkpoints):
    """Describe in one line that too many updates in a row were left out."""
    return (
        f"the last {tally.in_a_row:.0f} updates were left out, because something in each was not finite; the last good "
        f"checkpoint is kept in {checkpoints.folder}; lower the learning rate or give another precision"
    )


def path_of(folder, step):
    """Return the path of a step's saved batch."""
    return Path(folder) / f"step-{step:09d}.npz"


def files(folder):
    """List the saved batches in a folder."""
    return sorted(Path(folder).glob("step-*.npz"))
