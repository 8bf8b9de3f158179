"""Predictions as lines of text, CSV or JSON, one per example, written as they come."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Prediction:
    """What a model says of one example: a score, the probability of every class, or numbers; or why it says nothing."""

    name: str
    """The file, or FILE/ARRAY/ROW of an .npz file."""
    score: float | None = None
    probabilities: Sequence[float] | None = None
    values: Sequence[float] | None = None
    error: str = ""
    anomaly: bool | None = None
    """Whether the score exceeds the threshold of a detector."""


def write_csv(
    file: TextIO, predictions: Iterable[Prediction], class_names: Sequence[str] | None, kind: str = "class"
) -> int:
    """Write a header, and a row for each prediction: name, what was found, error.

    For a classifier that is `class`, `probability` and a column `p(CLASS)` for each class; where an example has several
    classes, `classes`, those from one half up with ; between them, and `p(CLASS)`; for numbers a column for each, by
    its name; for an autoencoder `score`; for a detector `score` and `anomaly`, yes or no.
    Nothing is written, not even the header, before the first prediction has come.

    Args:
        file: text that was opened with `newline=""`.
        predictions: taken one by one.
        class_names: of the classes or numbers; None for an autoencoder.
        kind: of what is predicted, "class", "classes", "numbers" or "anomaly".

    Returns:
        How many of them were errors.
    """
    writer, errors = csv.writer(file, lineterminator="\n"), 0
    found = _header(class_names, kind)
    for i, prediction in enumerate(predictions):
        if i == 0:
            writer.writerow(map(encodable, ["name", *found, "error"]))
        values = [""] * len(found) if prediction.error else _cells(prediction, class_names, kind)
        writer.writerow(map(encodable, [prediction.name, *values, prediction.error]))
        errors += bool(prediction.error)
    return errors


def _header(names: Sequence[str] | None, kind: str) -> list[str]:
    """Names of the columns of what was found."""
    if names is None:
        return ["score", "anomaly"] if kind == "anomaly" else ["score"]
    if kind == "numbers":
        return list(names)
    return [*(["classes"] if kind == "classes" else ["class", "probability"]), *(f"p({name})" for name in names)]


def _cells(prediction: Prediction, class_names: Sequence[str] | None, kind: str) -> list[str]:
    if class_names is None:
        answer = [] if prediction.anomaly is None else ["yes" if prediction.anomaly else "no"]
        return [f"{prediction.score:.9g}", *answer]
    if kind == "numbers":
        return [f"{value:.9g}" for value in prediction.values]
    numbers = [f"{p:.9g}" for p in prediction.probabilities]
    if kind == "classes":
        return [";".join(_present(prediction, class_names)), *numbers]
    best = _best(prediction.probabilities)
    return [class_names[best], numbers[best], *numbers]


def _present(prediction: Prediction, class_names: Sequence[str]) -> list[str]:
    """The classes, of several, that an example has."""
    return [name for name, p in zip(class_names, prediction.probabilities, strict=True) if p >= 0.5]


def write_json_lines(
    file: TextIO, predictions: Iterable[Prediction], class_names: Sequence[str] | None, kind: str = "class"
) -> int:
    """Write a JSON object per line, as `write_csv` writes rows; `probabilities` and `values` are objects by name.

    A score that is no finite number is null.
    """
    errors = 0
    for prediction in predictions:
        file.write(json.dumps(as_json(prediction, class_names, kind)) + "\n")
        errors += bool(prediction.error)
    return errors


def as_json(prediction: Prediction, class_names: Sequence[str] | None, kind: str = "class") -> dict:
    """Make the JSON object of a prediction, of which `write_json_lines` writes one per line."""
    if prediction.error:
        return {"name": prediction.name, "error": prediction.error}
    if class_names is None:
        answer = {} if prediction.anomaly is None else {"anomaly": prediction.anomaly}
        return {"name": prediction.name, "score": _number(prediction.score)} | answer
    numbers = [_number(p) for p in (prediction.values if kind == "numbers" else prediction.probabilities)]
    by_class = dict(zip(class_names, numbers, strict=True))
    if kind == "numbers":
        return {"name": prediction.name, "values": by_class}
    if kind == "classes":
        return {"name": prediction.name, "classes": _present(prediction, class_names), "probabilities": by_class}
    best = _best(prediction.probabilities)
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
