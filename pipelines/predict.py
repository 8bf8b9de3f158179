"""Predict images by a run or an export: classes, numbers, scores, or whether it is an anomaly, a line for each.

A score says how unlike the training data an example is, in the unit of its model: higher = less like it. Of an export
only TensorFlow and its card are used; an export is a program, so run only those of people you trust. Images are read as
the run has read its own: they are resized if it resized them, or with --image-size. Files and folders are read as they
come, in flat memory. A segmenter writes masks into the folder --to, each of its image's size.
"""

import contextlib
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within
from pipelines.segmenting import pictures

logger = logging.getLogger("kerasae.predict")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the model, the inputs, and the form of the output."""

    model: str = field(metadata={"positional": True})
    """Directory of a run, or of an export."""
    inputs: tuple[str, ...] = field(metadata={"positional": True})
    """Image files, folders, which are searched at any depth, .npz files with x_test, x_train or x, tables,
    and .txt files, of which each line is an example."""
    to: str | None = None
    """File to write, which appears when it is whole; standard output when not given. Of a segmenter the folder of the
    masks, one PNG for each image, and of a sheet of them."""
    format: Literal["csv", "json"] = "csv"
    """CSV with a header, or an object of JSON per line."""
    image_size: tuple[int, ...] | None = field(default=None, metadata=within("side"))
    """Resize images of other sizes to the model's: one number for a square, or height and width."""
    strict: bool = False
    """Stop at an image that cannot be read, instead of writing a line that says why."""
    batch_size: int = field(default=256, metadata=within("count"))
    """Examples that are predicted at once."""

    def __post_init__(self):
        check(self)


class Predictor(NamedTuple):
    """A model of a run or an export, with its input, its class names and its function."""

    intake: Any
    """`kerasae.data.Intake`."""
    class_names: list[str] | None
    """Or names of the numbers; None for an autoencoder."""
    predict: Callable
    """Examples [B, *shape] → probabilities or numbers [B, K], scores [B], scores and anomalies [B, 2], or classes of
    pixels [B, H, W]."""
    kind: str = "class"
    """Of what is predicted: class, classes, numbers, pixels, anomaly or codes."""


def run(recipe: Recipe) -> int:
    """Predict and write; return the number of images that could not be read."""
    refuse_missing(recipe.inputs)
    predictor = load(recipe.model)
    if recipe.image_size:
        predictor = predictor._replace(intake=predictor.intake.resizing(recipe.image_size))
    found = predictions(predictor, recipe)
    if predictor.kind == "pixels":
        return pictures.write(found, predictor, recipe)
    write = {"csv": kerasae.results.write_csv, "json": kerasae.results.write_json_lines}[recipe.format]
    with output(recipe.to) as file:
        broken = write(file, found, predictor.class_names, predictor.kind)
    if broken:
        logger.warning("%s broken image%s; the column error says why", broken, "s"[: broken > 1])
    return broken


def refuse_missing(inputs) -> None:
    """Raise InputError for the first input that does not exist."""
    for name in inputs:
        if "\0" in name or not os.path.exists(name):
            raise InputError(
                f"input: {name!r} does not exist; expected image files, folders, .npz files, tables or texts"
            )


@contextlib.contextmanager
def output(to):
    """Open standard output, or a file as text."""
    if to is None:
        yield sys.stdout
        return
    with kerasae.results.whole_text(to) as file:
        yield file


# ---- the model


def load(path) -> Predictor:
    """Load the model of a run or an export."""
    if Path(path, "recipe.json").exists():
        return of_run(path)
    if Path(path, "saved_model.pb").exists():
        served = kerasae.export.ServedModel(path)
        return Predictor(served.intake, served.class_names, served.predict, served.kind)
    raise InputError(f"model: {path} is neither a run nor an export; expected a recipe.json or a saved_model.pb in it")


def of_run(path) -> Predictor:
    """Load the model of a run: a classifier, a detector, or an autoencoder that scores single examples."""
    from kerasae import runs

    model = runs.load_model(path)
    intake = runs.intake(path, model)
    if isinstance(model, kerasae.detectors.Detector):
        return detecting(model, intake)
    if isinstance(model, kerasae.models.Segmenter):
        names = runs.label_kind(path)[1] or range(model.classes)
        return Predictor(intake, [*map(str, names)], compiled(model.segment, intake), "pixels")
    if not isinstance(model, kerasae.models.Classifier):
        if model.infers_labels:
            names = runs.class_names(path) or range(model.classes)
            return Predictor(intake, [*map(str, names)], compiled(model.probabilities, intake))
        if model.conditional:
            name = type(model).__name__
            raise InputError(f"model: {path} holds a conditional {name}, which needs the class of every example")
        return Predictor(intake, None, compiled(model.score, intake))
    names = (runs.class_names(path) if model.kind == "class" else runs.label_kind(path)[1]) or range(model.classes)
    if len(names) != model.classes:
        raise InputError(f"model: {path} names {len(names)} classes, but its classifier has {model.classes}")
    answer = kerasae.export.ANSWERS[model.answers.endpoint]
    return Predictor(intake, [*map(str, names)], compiled(lambda x: model.answer(x)[answer], intake), model.kind)


def detecting(model, intake) -> Predictor:
    """Predict by a detector; raises InputError where it has no threshold."""
    import tensorflow as tf

    model.calibration  # noqa: B018  raises

    def answer(x):
        found = model.detect(x)
        return tf.stack([found["scores"], tf.cast(found["anomalies"], tf.float32)], axis=1)

    return Predictor(intake, None, compiled(answer, intake), "anomaly")


def compiled(function, intake):
    """Compile a method of a model for batches of any length."""
    import tensorflow as tf

    signature = [tf.TensorSpec([None, *intake.shape], intake.dtype)]
    step = tf.function(lambda x: tf.cast(function(x), tf.float32), signature, autograph=False)
    return lambda x: step(x).numpy()


# ---- the examples


def predictions(predictor: Predictor, recipe: Recipe) -> Iterator:
    """Yield a `kerasae.results.Prediction` for each example, in the order of the inputs."""
    found = examples(recipe.inputs, predictor.intake)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while some := list(itertools.islice(found, recipe.batch_size)):
            yield from predicted(predictor, some, recipe.strict, pool)


def examples(inputs, intake) -> Iterator[tuple[str, Any]]:
    """Yield the name of each example and its values, or None for an image file that is yet to be read."""
    from kerasae.data import array_rows
    from kerasae.data.layouts import READABLE, walk_images

    for name in inputs:
        if os.path.isdir(name):
            empty = True
            for inner in walk_images(Path(name)):
                empty = False
                yield os.path.join(name, inner), None
            if empty:
                raise InputError(f"input: {name} has no images; expected files ending in {', '.join(sorted(READABLE))}")
        elif name.lower().endswith(".npz"):
            yield from array_rows.rows(name)
        elif name.lower().endswith((".csv", ".tsv", ".parquet")):
            yield from ((f"{name}/{i}", row) for i, row in enumerate(intake.table(name)))
        elif name.lower().endswith(".txt"):
            yield from ((f"{name}/{i}", row) for i, row in enumerate(intake.lines(name)))
        else:
            yield name, None


def predicted(predictor: Predictor, some: list, strict: bool, pool: Executor) -> Iterator:
    """Predict some examples; those that can be read form one batch."""
    import numpy as np

    def read(example):
        name, values = example
        try:
            return predictor.intake.file(name) if values is None else predictor.intake.row(values, name)
        except kerasae.data.BrokenImage as error:
            return error

    values = list(pool.map(read, some))
    good = [value for value in values if isinstance(value, np.ndarray)]
    answers = iter(predictor.predict(np.stack(good)) if good else ())
    for (name, _), value in zip(some, values, strict=True):
        if isinstance(value, np.ndarray):
            yield said(name, next(answers), predictor.kind)
        elif strict:
            raise InputError(f"input: {name} cannot be read as an image ({value}); repair or remove it")
        else:
            yield kerasae.results.Prediction(name, error=str(value))


def said(name, answer, kind):
    """Make a prediction of a score, an anomaly, of the probabilities of classes, or of numbers."""
    if kind == "anomaly":
        return kerasae.results.Prediction(name, score=float(answer[0]), anomaly=bool(answer[1]))
    if kind in ("pixels", "codes"):
        return kerasae.results.Prediction(name, values=answer)
    if answer.ndim and kind == "numbers":
        return kerasae.results.Prediction(name, values=answer.tolist())
    if answer.ndim:
        return kerasae.results.Prediction(name, probabilities=answer.tolist())
    return kerasae.results.Prediction(name, score=float(answer))
