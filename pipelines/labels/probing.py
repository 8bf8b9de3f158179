"""Fit probes and baselines to the same labels, and tabulate them."""

from pathlib import Path

import numpy as np

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import LABEL_KINDS
from pipelines.building import starting
from pipelines.labels import causes, table
from pipelines.labels.baselines import Baselines, neighbours
from pipelines.labels.repeats import check_labels, labelled, spread

FIGURES = {"linear": "probe", "knn": "knn", "svm": "svm_probe", "sgd": "sgd_probe", "attentive": "attentive"}
"""Probe → prefix of its figure, as in probe_accuracy."""


def measure(model, source, recipe):
    """Fit probes and baselines for each number of labels; return the table's rows and the figures."""
    counts, whole, source = recipe.labels or (None,), source, source.labelled()
    check_labels(source, counts, recipe.seed)
    train, test = encode(model, source, recipe)
    width, start = train["features"].shape[1], Path(recipe.run) / "start.keras"
    before = kerasae.saving.load_model(start) if start.exists() and recipe.baselines else None
    if before is not None:
        before = starting.fit_to(before, source.info, start)
    baselines = Baselines(whole, width, recipe.seed, model, before) if recipe.baselines else None
    rows, figures = [], {}
    for count in counts:
        found = repeat(train, test, source, recipe, count, baselines)
        rows += tabulate(found, train, source, count or len(source.train))
        prefix = f"labels_{count}_" if len(counts) > 1 else ""
        figures |= {f"{prefix}{name}": value for name, value in summarise(found, source, recipe, count).items()}
    return rows, figures


def repeat(train, test, source, recipe, count, baselines):
    """Fit probes and baselines to `repeats` choices of labels: name → list of results."""
    found = {}
    for seed in range(recipe.seed, recipe.seed + recipe.repeats):
        rows = labelled(source.train, count, seed)
        results = {}
        for name in probes(recipe, source.info):
            x, test_x = (part[inputs(name)] for part in (train, test))
            data = take(x, rows), source.train.labels[rows], test_x, source.test.labels
            results[name] = fit(name, data, recipe, seed, LABEL_KINDS[source.info.label_kind])
        for name, result in (results | (baselines.fit(rows, seed) if baselines else {})).items():
            found.setdefault(name, []).append(result)
    return found


def probes(recipe, info):
    """List the probes to fit: the recipe's, or the linear one alone for labels that are not one class."""
    from pipelines.probe import USUAL

    asked = tuple(dict.fromkeys(recipe.probes))
    if info.label_kind == "class" or asked == ("linear",):
        return asked
    if asked == USUAL:
        return ("linear",)
    raise InputError(f"probes: expected linear for labels that are not one class. Received: {' '.join(asked)}")


def tabulate(found, train, source, labels):
    """A row for each probe and baseline."""
    kind, names = LABEL_KINDS[source.info.label_kind], source.info.outputs
    shapes = {"features": train["features"].shape[1:], "tokens": train["tokens"].shape if "tokens" in train else ()}
    return [
        table.row(name, "features", shapes[inputs(name)], labels, results, source.test.labels, kind, names)
        if name in FIGURES
        else table.row(kind.baselines[name], "baseline", (), labels, results, source.test.labels, kind, names)
        for name, results in found.items()
    ]


def summarise(found, source, recipe, count):
    """Collect the figures: accuracies with their spread, and what pretraining is worth, also in words."""
    kind = LABEL_KINDS[source.info.label_kind]
    scores = {name: [kind.score(result) for result in results] for name, results in found.items()}
    figures = spread({FIGURES.get(name, name): values for name, values in scores.items()}, kind.metric)
    if scores.keys().isdisjoint(kind.baselines):
        return figures
    features = {f"{name} probe": scores[name] for name in scores if name in FIGURES}
    baselines = {kind.baselines[name]: values for name, values in scores.items() if name in kind.baselines}
    worth = kerasae.evaluate.worth_of(features, baselines, kind.of)
    trained = np.mean([getattr(result, "train_accuracy", 0.0) for result in found[worth.best.split()[0]]])
    verdict = causes.verdict(worth, Path(recipe.run), source, count, float(trained))
    return figures | {"probe_worth_points": worth.points, "probe_verdict": verdict}


def encode(model, source, recipe):
    """Encode the training and test examples: features, and tokens if the attentive probe needs them."""
    splits = source.train, source.test
    if "attentive" not in recipe.probes:
        return [{"features": kerasae.evaluate.features(model, split)} for split in splits]
    pairs = [kerasae.evaluate.tokens_and_features(model, split) for split in splits]
    return [dict(zip(("tokens", "features"), pair, strict=True)) for pair in pairs]


def inputs(name):
    """Name the input of a probe: tokens or features."""
    return "tokens" if name == "attentive" else "features"


def take(values, rows):
    """Select rows of features, or of tokens without a copy."""
    return values.subset(rows) if isinstance(values, kerasae.evaluate.Tokens) else values[rows]


def fit(name, data, recipe, seed, kind=LABEL_KINDS["class"]):
    """Fit one probe to (train_x, train_y, test_x, test_y)."""
    evaluate = kerasae.evaluate
    if name == "linear":
        return kind.probe(*data, seed=seed)
    if name == "knn":
        return evaluate.knn_probe(*data, k=recipe.neighbours or neighbours(len(data[1])))
    if name == "svm":
        return evaluate.support_vectors(*data)
    if name == "sgd":
        budget = {"epochs": recipe.sgd_epochs, "batch_size": recipe.sgd_batch}
        return evaluate.sgd_probe(*data, optimizer=recipe.sgd_optimizer, **budget, seed=seed)
    return evaluate.attentive_probe(*data, epochs=recipe.attentive_epochs, seed=seed)
