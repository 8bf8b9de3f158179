"""A run directory: the recipe it began with, the figures of every epoch, checkpoints, the model and the summary."""

import csv
import dataclasses
import hashlib
import io
import json
import math
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import keras
import tensorflow as tf
from tqdm import tqdm

import kerasae
from kerasae.errors import InputError
from pipelines.checkpoint import Checkpoints, write_atomic
from pipelines.training import Interrupted, Plan, train

__all__ = ["Interrupted", "Run", "read_recipe"]

# Where things lie, not what is computed: a run may move. Whether `run` is the same run, `origin` tells.
PLACES = {"out", "data_dir", "run"}


class Run:
    """The truth about a run, in one directory.

    Opening writes `recipe.json` first. Opening a directory that holds the same recipe resumes it; one that holds
    another recipe is refused with the difference.

    Args:
        path: the directory.
        command: name of the pipeline.
        recipe: its frozen dataclass.
        later: names of fields that only concern the runs inside this one, and may differ.
        origin: the model of the run that this one starts from; another one there is another run.

    Raises:
        InputError: the directory holds another recipe, or is something else.
    """

    def __init__(self, path, command, recipe, *, later=(), origin=None):
        self.path, self.recipe = Path(path), recipe
        self.rows = []
        content = {"command": command, "kerasae": kerasae.__version__, "recipe": plain(recipe)}
        if origin is not None:
            content["origin"] = fingerprint(origin)
        self._open(content, later)

    def _open(self, content, later):
        known = (self.path / "recipe.json").exists()
        if self.path.exists() and not known and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(f"{self.path} exists and is not a run directory; choose another with --out")
        # A recipe that failed before its first step has nothing to lose: the corrected one may take its place.
        if known and begun(self.path):
            refuse_other(self.path, content, later)
            self.rows = read_rows(self.path / "metrics.csv")
        self.write_json("recipe.json", content)

    def write_json(self, name, content):
        write_atomic(self.path / name, json.dumps(content, indent=2).encode() + b"\n")

    def fit(self, stage, model, split, settings, *, seed, validation=None, augment=None, mix=None, callbacks=()):
        """Train one stage to its end; resumes it, or skips it if it was finished. Returns its `Progress`.

        Args:
            stage: its name: folder under `checkpoints/`, column in `metrics.csv`.
            model: compiled model.
            split: training examples.
            settings: a `Stage`.
            seed: of the order of the examples.
            validation: split for validation, or None.
            augment, mix: passed to `kerasae.data.batches`.
            callbacks: Keras callbacks.
        """
        batch, plan = settings.batch_size, settings.plan(split, validated=validation is not None)
        images = min(batch, len(split))
        check_replicas(images)
        with _Display(stage, plan, images) as bar, self._events(stage) as events:
            return train(
                model,
                lambda step: kerasae.data.batches(split, batch, seed=seed, start_step=step, augment=augment, mix=mix),
                plan,
                Checkpoints(self.path / "checkpoints" / stage),
                validation=validation and (lambda: kerasae.data.in_order(validation, 4 * batch)),
                on_epoch=lambda row: self._log(stage, images, row, events),
                on_chunk=bar.show,
                callbacks=callbacks,
            )

    @contextmanager
    def _events(self, stage):
        writer = tf.summary.create_file_writer(str(self.path / "tensorboard" / stage))
        try:
            yield writer
        finally:
            writer.close()

    def _log(self, stage, images, row, events):
        """Add the figures of an epoch to `metrics.csv` and to TensorBoard."""
        row = {"stage": stage, **row, "examples_per_second": round(row["steps_per_second"] * images, 1)}
        del row["steps_per_second"]
        # A resumed stage repeats the epochs after its checkpoint: their old rows go.
        self.rows = [r for r in self.rows if r["stage"] != stage or int(r["epoch"]) < row["epoch"]]
        self.rows.append(row)
        write_rows(self.path / "metrics.csv", self.rows)
        with events.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name not in ("stage", "epoch"):
                    tf.summary.scalar(name, value)

    def save_model(self, model):
        """Write `model.keras`, the result of the run, without the optimiser."""
        temporary, file = self.path / ".model.tmp.keras", self.path / "model.keras"
        try:
            model.save(temporary, include_optimizer=False)
            os.replace(temporary, file)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(file)) from None

    def finish(self, figures):
        """Write `summary.json`, name → number, print it as a short table, and return the run."""
        self.figures = {name: value for name, value in figures.items() if math.isfinite(value)}
        self.write_json("summary.json", self.figures)
        print(f"{self.path}:")
        for name, value in figures.items():
            print(f"  {name:28} {value:.5g}")
        return self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """How one stage of a run trains: epochs, batch and what chooses its best epoch.

    An epoch has at least `min_steps` steps, so that a hundred labels do not make epochs of two steps.
    """

    epochs: int
    batch_size: int
    min_steps: int = 1
    monitor: str | None = None
    mode: str = "max"
    patience: int | None = None

    def steps_per_epoch(self, split):
        """Steps of one epoch over `split`."""
        return max(kerasae.data.steps_per_epoch(split, self.batch_size), self.min_steps)

    def steps(self, split):
        """Steps of the whole stage over `split`."""
        return self.epochs * self.steps_per_epoch(split)

    def plan(self, split, validated):
        """The stage as the training loop takes it; without validation there is nothing to monitor."""
        watch = (self.monitor, self.mode, self.patience) if validated else ()
        return Plan(self.epochs, self.steps_per_epoch(split), *watch)


def check_replicas(images):
    """Raise InputError for a batch that leaves one of the devices without an image."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if images < replicas:
        raise InputError(f"batch_size: {images} cannot be shared by {replicas} devices; give at least {replicas}")


class _Display:
    """Progress bar of a stage: epochs, examples per second, time left, share of time waiting for data."""

    def __init__(self, stage, plan, images):
        self.plan, self.images = plan, images
        total = plan.epochs * plan.steps_per_epoch * images
        shown = sys.stderr.isatty()
        self.bar = tqdm(total=total, desc=stage, unit="ex", unit_scale=True, leave=False, disable=not shown)
        self.wait, self.started = 0.0, False

    def show(self, progress, wait):
        if not self.started and progress.step * self.images > self.images:
            self.bar.initial = self.bar.n = max(0, (progress.step - 1) * self.images)  # resumed: not done just now
        self.started = True
        self.wait += 0.1 * (wait - self.wait)
        self.bar.set_postfix_str(f"epoch {progress.epoch + 1}/{self.plan.epochs}, data-wait {self.wait:.0%}", False)
        self.bar.update(progress.step * self.images - self.bar.n)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.close()


def plain(recipe):
    """A recipe as JSON gives it back: tuples become lists."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def begun(path):
    """Whether a run directory, or a run inside it, has anything to lose."""
    results = ("metrics.csv", "model.keras", "summary.json")
    if any((path / name).exists() for name in results) or any(path.glob("checkpoints/*/step-*")):
        return True
    return any(begun(inner.parent) for inner in path.glob("*/recipe.json"))


def fingerprint(model):
    """SHA-256 of a model's weights."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def refuse_other(path, content, later=()):
    """Raise if the run in `path` was begun by another command or recipe, naming each difference."""
    there = read_recipe(path)
    if there["command"] != content["command"]:
        raise InputError(f"{path} holds a run of `{there['command']}`; choose another --out")
    old, new = there["recipe"], content["recipe"]
    names = [n for n in {**old, **new} if n not in {*PLACES, *later} and old.get(n) != new.get(n)]
    if names:
        difference = ", ".join(f"{n} {old.get(n)!r} there, {new.get(n)!r} here" for n in names)
        raise InputError(f"{path} holds a run of another recipe ({difference}); give the same flags or another --out")
    if there.get("origin") != content.get("origin"):
        raise InputError(f"{path} started from another model than the one that is given now; choose another --out")


def read_recipe(path):
    """The content of a run's `recipe.json`; raises InputError if `path` is no run."""
    try:
        content = json.loads((Path(path) / "recipe.json").read_text())
        return {**content, "command": content["command"], "recipe": dict(content["recipe"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is not a run directory: it has no readable recipe.json") from None


def read_summary(path):
    """The figures of a run's `summary.json`; none if it has not finished."""
    file = Path(path) / "summary.json"
    return json.loads(file.read_text()) if file.exists() else {}


def load_model(path, info=None):
    """The model of a run, `model.keras`; raises InputError if it is missing, damaged, or not for data like `info`."""
    command, file = read_recipe(path)["command"], Path(path) / "model.keras"
    if not file.exists():
        finished = (Path(path) / "summary.json").exists()
        remedy = "give one of the runs inside it" if finished else "repeat its command to finish it"
        raise InputError(f"{path}, a run of `{command}`, has no model.keras; {remedy}")
    kerasae.models  # noqa: B018 (loading needs the classes registered)
    try:
        model = keras.saving.load_model(file, compile=False)
    except (ValueError, TypeError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise InputError(f"{file} cannot be loaded: {str(error).splitlines()[0]}") from None
    if info is not None:
        check_fit(file, model, info)
    return model


def check_fit(file, model, info):
    """Raise InputError if the model does not take data like these."""
    if model.example_shape != tuple(info.shape):
        raise InputError(f"{file} takes examples {model.example_shape}, but {info.spec} has {tuple(info.shape)}")
    if info.dtype == "uint8" and model.pixel_max != info.max_value:
        raise InputError(f"{file} takes values up to {model.pixel_max:g}, but {info.spec} has up to {info.max_value:g}")


def read_rows(path):
    """Rows of `metrics.csv`, as text; none if there is no file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    """Write all rows; the columns are those of all rows, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())
