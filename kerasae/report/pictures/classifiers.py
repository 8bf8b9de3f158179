"""Draw the answers of a classifier, and of a model of labels that are no class."""

import json
from pathlib import Path

import numpy as np

import kerasae
from kerasae import plots
from kerasae.errors import InputError
from kerasae.report.pictures.rendering import Picture, array, class_names, picture, plain, short


def confusion_matrix(matrix: np.ndarray, names: list[str]) -> Picture:
    """Draw a confusion matrix of counts [K, K]; the row is the true class."""
    right, total = int(matrix.trace()), int(matrix.sum())
    caption = f"{right:,} of {total:,} test examples are on the diagonal, that is right: {right / max(1, total):.2%}."
    return picture("Confusion matrix", caption, plots.confusion(matrix, [plain(name) for name in names]), 0.8)


def confusion_file(file: Path) -> Picture | None:
    """Draw the confusion matrix that an evaluation saved; None if there is no file."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return confusion_matrix(np.array(content["matrix"], int), [str(name) for name in content["classes"]])
    except (ValueError, TypeError, KeyError, OverflowError):
        raise InputError(f"{file.name} is damaged") from None


def confusion_of(model, source, result) -> Picture:
    """Draw the confusion matrix of a classifier's result."""
    return confusion_matrix(result.confusion, class_names(source.info))


def mistakes(model, source, result, count=20, looked_at=1000) -> Picture | None:
    """Draw the wrong predictions of which the classifier is surest."""
    labels, predictions = source.test.labels, result.predictions
    wrong = np.flatnonzero(predictions != labels)[:looked_at]
    if not len(wrong):
        return None
    surest = array(model.probabilities(source.test.gather(wrong)[0])).max(axis=1)
    rows = wrong[np.argsort(-surest, kind="stable")][:count]
    names = [short(plain(name)) for name in class_names(source.info)]
    titles = [f"{names[labels[i]]} → {names[predictions[i]]}" for i in rows]
    images = array(kerasae.ops.to_unit(source.test.gather(rows)[0], source.info.max_value))
    caption = f"The {len(rows)} wrong answers that the classifier is surest of: true class → predicted class."
    return picture("Mistakes", caption, plots.image_grid(images, 4, titles), 0.85)


def estimates(source, result) -> Picture:
    """Draw estimated over true numbers of the test examples."""
    names = [plain(name) for name in source.info.label_names]
    caption = "Estimates of the test examples over the true values; on the line both are equal."
    return picture("Estimates", caption, plots.estimates(source.test.labels, result.predictions, names), 0.8)


def precisions(source, result) -> Picture:
    """Draw the average precision of every class that a test example has."""
    named = zip(source.info.label_names, result.average_precision, strict=True)
    figure = plots.bars({plain(name): value for name, value in named if value == value}, what="average precision")
    return picture(
        "Average precision", "Area under precision over recall of each class, on the test examples.", figure, 0.8
    )
