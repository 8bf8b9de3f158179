"""Predictions as lines of text, CSV or JSON, one per example, written as they come."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Prediction:
    """What a model says of one example: a score, or the probability of every class; or why it says nothing."""

    name: str
    """The file, or FILE/ARRAY/ROW of an .npz file."""
    score: float | None = None
    probabilities: Sequence[float] | None = None
    error: str = ""


def write_csv(file: TextIO, predictions: Iterable[Prediction], class_names: Sequence[str] | None) -> int:
    """Write a header, and a row for each prediction: name, what was found, error.

    For a classifier that is `class`, `probability` and a column `p(CLASS)` for each class; for an autoencoder `score`.
    Nothing is written, not even the header, before the first prediction has come.

    Args:
        file: text that was opened with `newline=""`.
        predictions: taken one by one.
        class_names: None for an autoencoder.

    Returns:
        How many of them were errors.
    """
    writer, errors = csv.writer(file, lineterminator="\n"), 0
    found = ["score"] if class_names is None else ["class", "probability", *(f"p({name})" for name in class_names)]
    for i, prediction in enumerate(predictions):
        if i == 0:
            writer.writerow(map(encodable, ["name", *found, "error"]))
        values = [""] * len(found) if prediction.error else _cells(prediction, class_names)
        writer.writerow(map(encodable, [prediction.name, *values, prediction.error]))
        errors += bool(prediction.error)
    return errors


def _cells(prediction: Prediction, class_names: Sequence[str] | None) -> list[str]:
    if class_names is None:
        return [f"{prediction.score:.9g}"]
    best = _best(prediction.probabilities)
    numbers = [f"{p:.9g}" for p in prediction.probabilities]
    return [class_names[best], numbers[best], *numbers]


def write_json_lines(file: TextIO, predictions: Iterable[Prediction], class_names: Sequence[str] | None) -> int:
    """Write a JSON object per line, as `write_csv` writes rows; `probabilities` is an object by class.

    A score that is no finite number is null.
    """
    errors = 0
    for prediction in predictions:
        file.write(json.dumps(_entries(prediction, class_names)) + "\n")
        errors += bool(prediction.error)
    return errors


def _entries(prediction: Prediction, class_names: Sequence[str] | None) -> dict:
    if prediction.error:
        return {"name": prediction.name, "error": prediction.error}
    if class_names is None:
        return {"name": prediction.name, "score": _number(prediction.score)}
    numbers = [_number(p) for p in prediction.probabilities]
    best = _best(prediction.probabilities)
    by_class = dict(zip(class_names, numbers, strict=True))
    return {
        "name": prediction.name,
        "class": class_names[best],
        "probability": numbers[best],
        "probabilities": by_class,
    }


def _best(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _number(value: float) -> float | None:
    """A float32 in its nine digits, which give it back exactly; None for what JSON has no word for."""
    short = float(f"{value:.9g}")
    return short if short - short == 0 else None


def encodable(text: str) -> str:
    """Text as UTF-8 can hold it: a byte of a file's name that is none is spelled out."""
    return str(text).encode("utf-8", "backslashreplace").decode()
