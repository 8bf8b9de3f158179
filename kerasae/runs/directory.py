"""Keep a run in a directory: recipe, metrics of every epoch, checkpoints, model and summary."""

import dataclasses
import hashlib
import json
import math
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

import kerasae
from kerasae.errors import InputError
from kerasae.runs import data_record, environment
from kerasae.runs.progress_bar import ProgressBar
from kerasae.runs.records import read_environments, read_epochs, read_recipe, write_rows
from kerasae.runs.resuming import begun, defaults, refuse_links, refuse_other, refuse_results_inside
from kerasae.training import precision, processes
from kerasae.training.checkpoint import Checkpoints, write_atomic, write_model
from kerasae.training.incidents import Incidents
from kerasae.training.loop import Plan, train


class Run:
    """Record of one run in one directory.

    Opening writes `recipe.json` first. Opening a directory that holds the same recipe resumes it; one that holds
    another recipe is refused with the difference. More `epochs` are no other recipe: the run goes on to them. Its
    `summary.json` is then removed first, as the run is no finished one any more; `model.keras` stays until the new one
    takes its place.

    `raised` holds the epochs that the run had if this opening raised them, else None.

    Args:
        path: the directory.
        command: name of the pipeline.
        recipe: its frozen dataclass.
        later: names of fields that only concern the runs inside this one, and may differ on resuming.
        origin: the pretrained model that this run starts from, or None; resuming with another model is refused.
        data: `Info` of the data that it reads, kept in `data.json`; None for none.
        labelled: whether it learns labels, so that its classes may not change even where changed data are accepted.

    Raises:
        InputError: the directory holds another recipe or a run on other data, or is no run directory.
    """

    def __init__(self, path, command, recipe, *, later=(), origin=None, data=None, labelled=False):
        self.path, self.recipe = Path(path), recipe
        self.rows, self.raised = [], None
        content = {"command": command, "kerasae": kerasae.__version__, "recipe": plain(recipe)}
        if origin is not None:
            content["origin"] = fingerprint(origin)
        self._open(content, later, data, labelled)

    def _open(self, content, later, data, labelled):
        known = (self.path / "recipe.json").exists()
        if (
            processes.writes()
            and self.path.exists()
            and not known
            and (not self.path.is_dir() or any(self.path.iterdir()))
        ):
            raise InputError(f"{self.path} exists and is not a run directory; choose another with --out")
        refuse_links(self.path)
        # A corrected recipe may replace one that failed before its first step.
        if known and begun(self.path):
            self.raised = refuse_other(self.path, content, later, defaults(self.recipe))
            if data is not None:
                data_record.refuse_changed(self.path, data, getattr(self.recipe, "accept_changed_data", False))
                if labelled:
                    data_record.refuse_other_classes(self.path, data)
            self.rows = read_epochs(self.path / "metrics.csv")
        if self.raised:
            self._take_back_summary()
        self.write_json("recipe.json", content)
        if data is not None:
            self.write_json(data_record.NAME, data_record.describe(data))
        self._note_environment(content)

    def _take_back_summary(self):
        """Remove the summary before the recipe changes: a kill in between leaves the old run to finish."""
        refuse_results_inside(self.path, self.raised)
        if processes.writes():
            (self.path / "summary.json").unlink(missing_ok=True)

    def _note_environment(self, content):
        """Append this process's environment to `environment.json`, unless it equals the last entry."""
        file = self.path / "environment.json"
        known = read_environments(file)
        here = environment.describe()
        ran_on = known if known and known[-1] == here else [*known, here]
        recipe = {name: content[name] for name in ("command", "recipe")}
        self.write_json(file.name, {"recipe_sha256": environment.recipe_hash(recipe), "ran_on": ran_on})

    def write_json(self, name, content):
        write_atomic(self.path / name, json.dumps(content, indent=2).encode() + b"\n")

    def newest(self, stage):
        """Return the step of the newest checkpoint of a stage, or None without one."""
        return Checkpoints(self.path / "checkpoints" / stage).newest()

    def fit(
        self, stage, model, split, settings, *, seed, validation=None, augment=None, mix=None, callbacks=(), adapt=False
    ):
        """Train one stage to its end, resume it, or skip it if finished; returns its `Progress`.

        Args:
            stage: name of the stage: folder under `checkpoints/`, value in `metrics.csv`.
            model: compiled model.
            split: training examples.
            settings: a `Stage`.
            seed: seed of the order of the examples.
            validation: split for validation, or None.
            augment, mix: passed to `kerasae.data.batches`.
            callbacks: Keras callbacks.
            adapt: whether a new model looks at the training examples before its first step, see `Trainable.adapt`.
        """
        if adapt and self.newest(stage) is None:
            model.adapt(split)
        batch, plan = settings.batch_size, settings.plan(split, validated=validation is not None)
        images = min(batch, len(split))
        check_replicas(images)
        workers = getattr(self.recipe, "data_workers", ())
        with ProgressBar(stage, plan, images) as bar, self._events(stage) as events:
            return train(
                model,
                settings.batches(model, split, seed=seed, augment=augment, mix=mix, workers=workers),
                plan,
                Checkpoints(self.path / "checkpoints" / stage),
                validation=validation and (lambda: kerasae.data.in_order(validation, 4 * batch, model.takes_labels)),
                on_epoch=lambda row: self._log(stage, images, row, events),
                on_chunk=bar.show,
                callbacks=callbacks,
                incidents=Incidents(
                    self.path / "nonfinite" / stage, getattr(self.recipe, "on_nonfinite", "stop"), seed=seed
                ),
            )

    @contextmanager
    def _events(self, stage):
        events = str(self.path / "tensorboard" / stage)
        writer = tf.summary.create_file_writer(events) if processes.writes() else tf.summary.create_noop_writer()
        try:
            yield writer
        finally:
            writer.close()

    def _log(self, stage, images, row, events):
        """Add the metrics of an epoch to `metrics.csv` and to TensorBoard."""
        row = {"stage": stage, **row, "examples_per_second": round(row["steps_per_second"] * images, 1)}
        row["memory_mib"] = round(environment.memory_mib(), 1)
        del row["steps_per_second"]
        # A resumed stage repeats the epochs after its checkpoint: drop their old rows.
        self.rows = [r for r in self.rows if r["stage"] != stage or int(r["epoch"]) < row["epoch"]]
        self.rows.append(row)
        write_rows(self.path / "metrics.csv", self.rows)
        with events.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name not in ("stage", "epoch"):
                    tf.summary.scalar(name, value)

    def save_model(self, model):
        """Write `model.keras`, the result of the run, without optimiser; then all processes may read it."""
        write_model(self.path / "model.keras", model, include_optimizer=False)
        processes.wait()

    def save_start(self, model):
        """Save the weights from which this run starts, adapted to its data, as `start.keras`."""
        write_model(self.path / "start.keras", model, include_optimizer=False)
        processes.wait()

    def finish(self, figures):
        """Write texts and finite numbers to `summary.json`, by name, and return the run."""
        self.figures = {
            name: value for name, value in figures.items() if isinstance(value, str) or math.isfinite(value)
        }
        self.write_json("summary.json", self.figures)
        return self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Settings of one stage of a run: epochs, batch size, and the metric that chooses its best epoch.

    An epoch has at least `min_steps` steps, so that a hundred labels do not make epochs of two steps.
    """

    epochs: int
    batch_size: int
    min_steps: int = 1
    monitor: str | None = None
    mode: str = "max"
    patience: int | None = None

    def steps_per_epoch(self, split):
        """Count the steps of one epoch over `split`."""
        return max(kerasae.data.steps_per_epoch(split, self.batch_size), self.min_steps)

    def steps(self, split):
        """Count the steps of the whole stage over `split`."""
        return self.epochs * self.steps_per_epoch(split)

    def batches(self, model, split, *, seed, augment=None, mix=None, workers=()):
        """Build the function of the first step that gives the training loop its batches; see `kerasae.data.batches`."""
        options = {"seed": seed, "augment": augment, "mix": mix, "workers": workers}
        options |= {"passes": model.micro_batches, "labels": model.takes_labels or mix is not None}
        return lambda step, **parts: kerasae.data.batches(split, self.batch_size, start_step=step, **options, **parts)

    def plan(self, split, validated):
        """Build the stage's `Plan` for the training loop; without validation it monitors nothing."""
        watch = (self.monitor, self.mode, self.patience) if validated else ()
        return Plan(self.epochs, self.steps_per_epoch(split), *watch)


def check_replicas(images):
    """Raise InputError for a batch that cannot be split evenly over the devices."""
    count = processes.replicas()
    if images < count:
        raise InputError(f"batch_size: {images} cannot be shared by {count} devices; give at least {count}")
    if images % count:
        raise InputError(f"batch_size: {images} cannot be shared evenly by {count} devices; give a multiple of {count}")


def plain(recipe):
    """Convert a recipe to the values that JSON returns: tuples become lists."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def fingerprint(model):
    """Compute the SHA-256 of a model's weights."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def load_model(path, info=None):
    """Load `model.keras` of a run; raises InputError if it is missing, damaged, or not for data like `info`."""
    command, file = read_recipe(path)["command"], Path(path) / "model.keras"
    if not file.is_file():
        finished = (Path(path) / "summary.json").exists()
        remedy = "give one of the runs inside it" if finished else "repeat its command to finish it"
        raise InputError(f"{path}, a run of `{command}`, has no model.keras; {remedy}")
    model = precision.in_float32(lambda: kerasae.saving.load_model(file))
    if info is not None:
        check_fit(file, model, info)
    return model


def check_fit(file, model, info):
    """Raise InputError if the model does not take data of this shape and range."""
    if model.example_shape != tuple(info.shape):
        raise InputError(f"{file} takes examples {model.example_shape}, but {info.spec} has {tuple(info.shape)}")
    if "int" in info.dtype and model.pixel_max != info.max_value:
        raise InputError(f"{file} takes values up to {model.pixel_max:g}, but {info.spec} has up to {info.max_value:g}")
