"""Measure what weights and activations in 8 bits cost: answers of an export beside those of its model."""

import numpy as np
import tensorflow as tf

from kerasae import models
from kerasae.export.offers import batches_for, call, endpoints

BATCH = 256


def cost(model, path, test, checker, served):
    """Compare the answers of a quantised export and of its model on test examples, for the card.

    Args:
        model: the model that was exported.
        path: the export.
        test: (x, y) as stored; y None, or labels as the classifier has learned them, −1 or NaN where unknown.
        checker: `Checker` of the export's runtime.
        served: names of the endpoints that the export has.

    Returns:
        "examples", and by "endpoint/output" the mean absolute difference and, beside it, the standard deviation of the
        model's own output; of whole numbers, such as classes of pixels, the share that is the same. Of a classifier
        with labels also "measure", accuracy or mean absolute error, and its value for "model" and "export".
    """
    x, y = test
    wanted, found = {}, {}
    for i in range(0, len(x), BATCH):
        part = x[i : i + BATCH], y if y is None else y[i : i + BATCH]
        for whole, some in zip((wanted, found), answers(model, path, *part, checker, served), strict=True):
            for name, values in some.items():
                whole.setdefault(name, []).append(values)
    wanted, found = ({name: np.concatenate(parts) for name, parts in whole.items()} for whole in (wanted, found))
    outputs = {name: difference(wanted[name], found[name]) for name in wanted}
    return {"examples": len(x), "outputs": outputs, **judged(model, y, wanted, found)}


def answers(model, path, x, y, checker, served):
    """Return the answers of a model and of its export to one batch: two dicts "endpoint/output" → [B, …]."""
    offered = endpoints(model, x.dtype.name)
    with tf.device("CPU:0"):
        given = batches_for(model, offered, x, y)
        wanted = {
            f"{name}/{output}": np.asarray(value)
            for name in served
            for output, value in call(offered[name], given).items()
        }
    found = checker.ask(path, {f"{name}/all": batch for name, batch in given.items()})
    return wanted, {name: found[f"{name}/all"] for name in wanted}


def difference(wanted, found):
    """Return the mean absolute difference, and the standard deviation of what is wanted; of integers those the same."""
    if wanted.dtype.kind != "f":
        return {"same": float((found == wanted).mean())}
    return {"mean_abs_diff": float(np.abs(found - wanted).mean()), "deviation": float(wanted.std())}


def judged(model, y, wanted, found):
    """Return the measure of a classifier and its values for model and export; nothing without known labels."""
    if not isinstance(model, models.Classifier) or y is None or not (known := known_rows(y)).any():
        return {}
    measure, figure = MEASURES[model.kind]
    return {
        "measure": measure,
        "labelled": int(known.sum()),
        **{who: figure(y[known], given, known) for who, given in (("model", wanted), ("export", found))},
    }


def known_rows(y):
    """Tell which examples have labels: bool [B]."""
    y = np.asarray(y)
    return y >= 0 if y.ndim == 1 else np.isfinite(y).all(axis=1)


def share_of_classes(y, given, known):
    return float((given["classify/probabilities"][known].argmax(-1) == y).mean())


def share_of_answers(y, given, known):
    return float(((given["classify/probabilities"][known] > 0.5) == (y > 0.5)).mean())


def mean_error(y, given, known):
    return float(np.abs(given["estimate/values"][known] - y).mean())


MEASURES = {
    "class": ("accuracy", share_of_classes),
    "classes": ("accuracy", share_of_answers),
    "numbers": ("mae", mean_error),
}
"""Kind of labels → name of the measure, and function (labels, answers, rows that have labels) → number."""
