"""Fit probes and baselines to the same labels, and tabulate them."""

from pathlib import Path

import numpy as np

import kerasae
from kerasae.evaluate import BASELINES
from pipelines.building import starting
from pipelines.labels import causes, table
from pipelines.labels.baselines import Baselines, neighbours
from pipelines.labels.repeats import check_labels, labelled, spread

FIGURES = {"linear": "probe", "knn": "knn", "sgd": "sgd_probe", "attentive": "attentive"}
"""Probe → prefix of its figure, as in probe_accuracy."""


def measure(model, source, recipe):
    """Fit probes and baselines for each number of labels; return the table's rows and the figures."""
    counts = recipe.labels or (None,)
    check_labels(source, counts, recipe.seed)
    train, test = encode(model, source, recipe)
    width, start = train["features"].shape[1], Path(recipe.run) / "start.keras"
    before_adaptation = kerasae.saving.load_model(start) if start.exists() and recipe.baselines else None
    if before_adaptation is not None:
        before_adaptation = starting.fit_to(before_adaptation, source.info, start)
    baselines = Baselines(source, width, recipe.seed, model, before_adaptation) if recipe.baselines else None
    rows, figures = [], {}
    for count in counts:
        found = repeat(train, test, source, recipe, count, baselines)
        rows += tabulate(found, train, source.test.labels, count or len(source.train))
        prefix = f"labels_{count}_" if len(counts) > 1 else ""
        figures |= {f"{prefix}{name}": value for name, value in summarise(found, source, recipe, count).items()}
    return rows, figures


def repeat(train, test, source, recipe, count, baselines):
    """Fit probes and baselines to `repeats` choices of labels: name → list of results."""
    found = {}
    for seed in range(recipe.seed, recipe.seed + recipe.repeats):
        rows = labelled(source.train, count, seed)
        results = {}
        for name in dict.fromkeys(recipe.probes):
            x, test_x = (part[inputs(name)] for part in (train, test))
            data = take(x, rows), source.train.labels[rows], test_x, source.test.labels
            results[name] = fit(name, data, recipe, seed)
        for name, result in (results | (baselines.fit(rows, seed) if baselines else {})).items():
            found.setdefault(name, []).append(result)
    return found


def tabulate(found, train, test_y, labels):
    """Make a table row for each probe and baseline."""
    shapes = {"features": train["features"].shape[1:], "tokens": train["tokens"].shape if "tokens" in train else ()}
    return [
        table.row(name, "features", shapes[inputs(name)], labels, results, test_y)
        if name in FIGURES
        else table.row(BASELINES[name], "baseline", (), labels, results, test_y)
        for name, results in found.items()
    ]


def summarise(found, source, recipe, count):
    """Collect the figures: accuracies with their spread, and what pretraining is worth, also in words."""
    accuracies = {name: [result.accuracy for result in results] for name, results in found.items()}
    figures = spread({FIGURES.get(name, name): values for name, values in accuracies.items()})
    if accuracies.keys().isdisjoint(BASELINES):
        return figures
    features = {f"{name} probe": accuracies[name] for name in recipe.probes}
    worth = kerasae.evaluate.worth_of(features, {BASELINES[n]: v for n, v in accuracies.items() if n in BASELINES})
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


def fit(name, data, recipe, seed):
    """Fit one probe to (train_x, train_y, test_x, test_y)."""
    evaluate = kerasae.evaluate
    if name == "linear":
        return evaluate.linear_probe(*data, seed=seed)
    if name == "knn":
        return evaluate.knn_probe(*data, k=recipe.neighbours or neighbours(len(data[1])))
    if name == "sgd":
        budget = {"epochs": recipe.sgd_epochs, "batch_size": recipe.sgd_batch}
        return evaluate.sgd_probe(*data, optimizer=recipe.sgd_optimizer, **budget, seed=seed)
    return evaluate.attentive_probe(*data, epochs=recipe.attentive_epochs, seed=seed)
