"""Run the training loop: it drives the step of a model on one device or many, and can resume at any step.

Keras's `fit` cannot resume inside an epoch without losing seeds, nor run on several workers. This loop resumes exactly:
the data are a function of the step, and a checkpoint holds all that a step changes.
"""

import dataclasses
import logging
import math
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager

import keras
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.training import processes
from kerasae.training.checkpoint import KEEP, Checkpoints, optimizers
from kerasae.training.compiled_steps import compiled
from kerasae.training.incidents import LIMIT, Incidents, too_many_skips
from kerasae.training.step_counts import Tally
from kerasae.training.weight_averages import averaged, averages

logger = logging.getLogger(__name__)

CHUNK_SECONDS = 0.5  # how long the loop stays inside TensorFlow before it looks at signals and the progress bar
CHECKPOINT_SECONDS = 10.0  # shortest pause between two checkpoints
CHECKPOINT_SHARE = 0.005  # greatest share of the time that writing checkpoints takes
CHECKPOINT_PATIENCE = 1800.0  # longest pause in seconds, even if writing then takes a greater share


class Interrupted(BaseException):
    """Report that Ctrl-C or SIGTERM ended the run after its state was saved; the message says how to go on."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Length of a training and the metric that it monitors.

    Args:
        epochs: number of epochs.
        steps_per_epoch: steps in one epoch.
        monitor: name of the validation metric that chooses the best epoch; None keeps the last epoch.
        mode: "max" or "min": whether the best value of `monitor` is the largest or the smallest.
        patience: epochs without improvement after which training stops; None never stops early.
        validate_every: epochs between validations; the last epoch is always validated.
    """

    epochs: int
    steps_per_epoch: int
    monitor: str | None = None
    mode: str = "max"
    patience: int | None = None
    validate_every: int = 1


@dataclasses.dataclass
class Progress:
    """Position of a training run, as plain values that are stored in every checkpoint."""

    step: int = 0
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    done: bool = False
    seconds: float = 0.0
    tally: Tally = Tally()

    def __post_init__(self):
        self.tally = Tally(*self.tally)  # JSON gives lists back

    def fits(self, plan):
        """Tell whether these values have the right types and can occur in a training with this plan."""
        counted = all(isinstance(n, float) for n in self.tally)
        whole = all(type(n) is int for n in (self.step, self.epoch, self.best_epoch)) and type(self.done) is bool
        numbers = isinstance(self.seconds, int | float) and isinstance(self.best, int | float | None)
        behind = whole and self.step - self.epoch * plan.steps_per_epoch
        return counted and whole and numbers and 0 <= self.epoch <= plan.epochs and 0 <= behind < plan.steps_per_epoch


def train(
    model,
    batches: Callable[[int], tf.data.Dataset],
    plan: Plan,
    checkpoints: Checkpoints,
    *,
    validation: Callable[[], tf.data.Dataset] | None = None,
    on_epoch: Callable[[dict], None] = lambda row: None,
    on_chunk: Callable[[Progress, float], None] = lambda progress, wait: None,
    callbacks=(),
    incidents: Incidents | None = None,
):
    """Train a compiled model to the end of the plan, from the newest checkpoint if there is one.

    Args:
        model: a compiled model of `kerasae`, whose step is `propose` (see `kerasae.models.contract.step`).
        batches: pure function of the first step that returns endless batches from there; on several devices it also
            takes `replicas` and `own`, as `kerasae.data.batches` does.
        plan: epochs, steps and what to monitor.
        checkpoints: folder in which the state is saved.
        validation: function that returns the finite validation batches; needed by `plan.monitor`.
        on_epoch: called with a row of figures after each epoch.
        on_chunk: called with the progress and the share of time spent waiting for data, about twice a second.
        callbacks: Keras callbacks; their batch hooks are called once per chunk.
        incidents: policy for steps that are not finite, and the folder that records them; by default the training
            stops, and the folder is "nonfinite" beside the checkpoints.

    A step with NaN or infinity is not applied: see `kerasae.training.guard`.

    A training that has ended goes on where the plan has more epochs than it had; the checkpoint holds the number of the
    step, so that a learning-rate schedule goes on by the new plan.

    Where the optimiser keeps a moving average of the weights (`use_ema`), training goes on from the weights themselves;
    validation, the best epoch and the model at the end have the averages, and checkpoints hold both.

    Returns:
        The `Progress` at the end. The model has the best epoch's weights if `plan.monitor` is set.

    Raises:
        InputError: NaN or infinity, with the name of the term, the step and the batch. The last good checkpoint is
            then that of this step, or an earlier one if the weights themselves are not finite.
        Interrupted: after Ctrl-C or SIGTERM, once the state is saved.
    """
    incidents = incidents or Incidents(checkpoints.folder / "nonfinite")
    loop = _Loop(model, batches, plan, checkpoints, validation, callbacks, incidents)
    return loop.run(on_epoch, on_chunk)


class _Loop:
    def __init__(self, model, batches, plan, checkpoints, validation, callbacks, incidents):
        self.model, self.batches, self.plan, self.checkpoints = model, batches, plan, checkpoints
        self.validation, self.incidents = validation, incidents
        self.keeper = Checkpoints(checkpoints.folder / "best")
        self.callbacks = keras.callbacks.CallbackList(list(callbacks), model=model)
        self.steps, self.test = compiled(model)
        self.chunk = 1

    def run(self, on_epoch, on_chunk):
        progress = self._start()
        if not progress.done:
            with _signals() as stop:
                self._epochs(progress, on_epoch, on_chunk, stop)
        if self.plan.monitor and progress.best is not None and self.keeper.restore(self.model) is None:
            raise InputError(
                f"{self.keeper.folder}: the weights of the best epoch are damaged; "
                f"remove {self.checkpoints.folder} to train this stage again"
            )
        if averages(self.model):
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return progress

    def _start(self):
        """Restore the newest checkpoint and open the data at its step."""
        first = self._first()
        if first == 0:
            self.model.check(next(iter(self.batches(0))))
        self.iterator = iter(self._data(first))
        # Tracing makes the variables of the metrics, which the checkpoint fills.
        self.steps.get_concrete_function(self.iterator, tf.constant(1), Tally().tensors())
        progress = self._restored()
        for name in self.checkpoints.damaged:
            logger.warning("checkpoint %s is damaged or of another model, and is not used", name)
        processes.check_equal(f"{self.checkpoints.folder}, step of the newest checkpoint", progress.step)
        if progress.step != first and not progress.done:  # the newest checkpoint is damaged
            self.iterator = iter(self._data(progress.step))
        self.saved_at, self.pause = time.monotonic(), CHECKPOINT_SECONDS
        return progress

    def _first(self):
        """Read the step to start from off the name of the newest checkpoint; 0 without one."""
        return min(self.checkpoints.newest() or 0, self.plan.epochs * self.plan.steps_per_epoch)

    def _data(self, step):
        return processes.data(lambda **parts: self.batches(step, **parts))

    def _restored(self):
        found = self.checkpoints.restore(self.model) or {}
        try:
            progress = Progress(**found)
        except TypeError:  # other field names, or no list where the tally should be
            progress = None
        if progress is None or not progress.fits(self.plan):
            folder = self.checkpoints.folder
            raise InputError(f"{folder}: the newest checkpoint is of another training; remove it to use the one before")
        if progress.done:
            self._finish_epoch(progress)  # the plan may have more epochs now
        return progress

    def _epochs(self, progress, on_epoch, on_chunk, stop):
        self.callbacks.on_train_begin()
        while progress.epoch < self.plan.epochs and not progress.done:
            if progress.step == progress.epoch * self.plan.steps_per_epoch:
                self.model.reset_metrics()
                progress.tally = progress.tally.new_epoch()
            self.callbacks.on_epoch_begin(progress.epoch)
            row = self._epoch(progress, on_chunk, stop)
            row |= self._validate(progress)
            progress.epoch += 1
            self._finish_epoch(progress)
            self.callbacks.on_epoch_end(progress.epoch - 1, row)
            on_epoch(row)
            self._checkpoint(progress, *processes.mean(progress.done or self._late(), stop.requested))
        self.callbacks.on_train_end()

    def _epoch(self, progress, on_chunk, stop):
        first, began, waited = progress.step, time.perf_counter(), 0.0
        end = (progress.epoch + 1) * self.plan.steps_per_epoch
        while progress.step < end:
            before = progress.step
            took, wait = self._run_chunk(progress, min(self.chunk, end - progress.step))
            waited += wait
            on_chunk(progress, wait / max(took, 1e-9))
            # All processes must agree on what follows this chunk, and on the length of the next.
            took, late, asked = processes.mean(took / (progress.step - before), self._late(), stop.requested)
            self.chunk = max(1, min(2 * self.chunk, int(CHUNK_SECONDS / took)))
            if progress.step < end:
                self._checkpoint(progress, late, asked)
        seconds = time.perf_counter() - began
        return self._row(progress, progress.step - first, seconds, waited)

    def _run_chunk(self, progress, steps):
        self.callbacks.on_train_batch_begin(progress.step)
        began = time.perf_counter()
        done, wait, tally = self.steps(self.iterator, tf.constant(steps), progress.tally.tensors())
        done, wait = int(done), float(wait)  # waits for the end of the steps
        took = time.perf_counter() - began
        progress.step += done
        progress.seconds += took
        progress.tally = tally.floats()
        if done < steps:
            self._not_finite(progress)
        if progress.tally.in_a_row >= LIMIT:
            raise InputError(too_many_skips(progress.tally, self.checkpoints))
        self.callbacks.on_train_batch_end(progress.step - 1)
        return took, wait

    def _not_finite(self, progress):
        """Skip a step that was not finite, or stop the training; the model is as before the step."""

        def fetch():
            return next(iter(self.batches(progress.step))), next(iter(self._data(progress.step)))

        found = self.incidents.record(self.model, dataclasses.asdict(progress), fetch)
        if not self.incidents.skips:
            raise InputError(self.incidents.message(found, self.plan, progress, self._saved_before_stopping(progress)))
        progress.step += 1
        progress.tally = progress.tally.skip()

    def _saved_before_stopping(self, progress):
        """Save a checkpoint if the weights are finite; returns the step of the newest checkpoint, or None."""
        if not self._broken_weights():
            self._save(progress)
        return self.checkpoints.newest()

    def _row(self, progress, steps, seconds, waited):
        row = {"epoch": progress.epoch + 1, "step": progress.step, "seconds": round(seconds, 3)}
        row["steps_per_second"] = round(steps / seconds, 3)
        row["data_wait"] = round(waited / seconds, 4)
        row |= rates(self.model)
        return row | progress.tally.figures() | self._results()

    def _results(self):
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}

    def _check_finite(self, progress, figures):
        # The total loss comes last: the error should name the term that broke it.
        for name, value in sorted(figures.items(), key=lambda item: item[0] == "loss"):
            if not math.isfinite(value):
                raise InputError(
                    f"{name} became {value} between the last checks, at or before step {progress.step}; the last good "
                    f"checkpoint is kept in {self.checkpoints.folder}; lower the learning rate or look at the data"
                )

    def _validate(self, progress):
        due = (progress.epoch + 1) % self.plan.validate_every == 0 or progress.epoch + 1 == self.plan.epochs
        if self.validation is None or not due:
            return {}
        self.model.reset_metrics()
        with averaged(self.model):
            for batch in self.validation():
                self.test(batch)
            figures = {f"val_{name}": value for name, value in self._results().items()}
            self._check_finite(progress, figures)
            self._keep_best(progress, figures)
        return figures

    def _keep_best(self, progress, figures):
        if self.plan.monitor is None:
            return
        value, sign = figures[self.plan.monitor], 1 if self.plan.mode == "max" else -1
        if progress.best is None or sign * value > sign * progress.best:
            progress.best, progress.best_epoch = value, progress.epoch + 1
            self.keeper.save(self.model, {"step": progress.step}, keep=1)

    def _finish_epoch(self, progress):
        waited = progress.epoch - progress.best_epoch
        tired = self.plan.patience is not None and progress.best is not None and waited >= self.plan.patience
        progress.done = tired or progress.epoch >= self.plan.epochs

    def _late(self):
        """Tell whether the next checkpoint is due, by the clock of the process that writes it."""
        return processes.writes() and time.monotonic() - self.saved_at > self.pause

    def _checkpoint(self, progress, late, asked):
        """Write a checkpoint if the time for one has come in any process, or one was asked to stop."""
        if asked:
            self._interrupt(progress)
        if late:
            self._save(progress)

    def _save(self, progress):
        began = time.monotonic()
        # The logged terms are from before the last update, so that broken weights show here first.
        self._check_finite(progress, self._broken_weights())
        self.checkpoints.save(self.model, dataclasses.asdict(progress), keep=1 if progress.done else KEEP)
        self.saved_at = time.monotonic()
        self.pause = max(CHECKPOINT_SECONDS, min(CHECKPOINT_PATIENCE, (self.saved_at - began) / CHECKPOINT_SHARE))

    def _broken_weights(self):
        """Find the weights whose sum is not finite: name → sum."""
        sums = {w.path: float(tf.reduce_sum(w)) for w in self.model.trainable_weights}
        return {path: value for path, value in sums.items() if not math.isfinite(value)}

    def _interrupt(self, progress):
        self._save(progress)
        raise Interrupted(f"interrupted at step {progress.step}, and saved; the same command goes on from here")


def rates(model):
    """Collect the learning rate of every optimiser and the value of every knob, by the names in the log."""
    first, *others = optimizers(model).items()
    named = {"learning_rate": first[1], **{f"learning_rate_{name}": optimizer for name, optimizer in others}}
    knobs = model.knobs() if hasattr(model, "knobs") else {}
    found = {**{name: optimizer.learning_rate for name, optimizer in named.items()}, **knobs}
    return {name: float(keras.ops.convert_to_numpy(value)) for name, value in found.items()}


class _Stop:
    requested = False


@contextmanager
def _signals():
    """Turn Ctrl-C and SIGTERM into a request to stop after the current chunk; a second Ctrl-C stops at once."""
    stop = _Stop()

    def ask(number, frame):
        if stop.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.requested = True

    try:
        before = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # only the main thread may set handlers
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
