"""Compare fine-tuned classifiers with training from scratch and baselines on the same labels."""

from pathlib import Path

import numpy as np

import kerasae
from kerasae import runs
from kerasae.evaluate import LABEL_KINDS
from pipelines.labels import causes, table
from pipelines.labels.baselines import Baselines
from pipelines.labels.repeats import labelled, spread

TUNED = {"finetune": "fine-tuning", "scratch": "same network from scratch, same steps"}
"""Prefix of a figure, as in finetune_accuracy → the classifier's name in the table."""


def judge(directory, reports, model, source, recipe):
    """Write and print the table of a fine-tuning; return its figures.

    Args:
        directory: the run; the table goes into its `probes.csv`.
        reports: "finetune" and "scratch" → a result of the labels' kind for each repeat, or none.
        model: the pretrained model.
        source: the data.
        recipe: recipe of the fine-tuning.
    """
    kind, names = LABEL_KINDS[source.info.label_kind], TUNED | LABEL_KINDS[source.info.label_kind].baselines
    reports = {name: found for name, found in reports.items() if found}
    figures = spread({name: [kind.score(report) for report in found] for name, found in reports.items()}, kind.metric)
    baselines = fitted(model, source, recipe) if recipe.baselines else {}
    if not baselines:
        return figures
    found, whole, source = reports | baselines, source, source.labelled()
    labels = recipe.labels or len(source.train)
    rows = [row(name, results, labels, source, recipe) for name, results in found.items()]
    runs.write_rows(directory.path / "probes.csv", rows)
    print(table.spell(rows))
    scores = {name: [kind.score(result) for result in results] for name, results in found.items()}
    tuned = {TUNED["finetune"]: scores.pop("finetune")}
    worth = kerasae.evaluate.worth_of(tuned, {names[name]: values for name, values in scores.items()}, kind.of)
    verdict = causes.verdict(worth, Path(recipe.run), whole, recipe.labels)
    scores.pop("scratch", None)
    print(verdict)
    return figures | spread(scores, kind.metric) | {"finetune_worth_points": worth.points, "finetune_verdict": verdict}


def fitted(model, source, recipe):
    """Fit the baselines to each choice of labels: name → list of results."""
    baselines = Baselines(source, int(np.prod(model.code_shape)), recipe.seed)
    found, source = {}, source.labelled()
    for seed in range(recipe.seed, recipe.seed + recipe.repeats):
        for name, result in baselines.fit(labelled(source.train, recipe.labels, seed), seed).items():
            found.setdefault(name, []).append(result)
    return found


def row(name, results, labels, source, recipe):
    """Make a table row for a fine-tuned classifier, its control or a baseline."""
    measured, names = LABEL_KINDS[source.info.label_kind], source.info.outputs
    if name not in TUNED:
        text = measured.baselines[name]
        return table.row(text, "baseline", (), labels, results, source.test.labels, measured, names)
    protocol = f"{recipe.finetune_epochs} epochs of fine-tuning, {labels:,} labels"
    if name == "scratch":
        protocol = f"random weights, {recipe.finetune_epochs} epochs, {labels:,} labels"
    results = [measured.judge(source.test.labels, found.predictions, protocol) for found in results]
    kind = "features" if name == "finetune" else "baseline"
    return table.row(TUNED[name], kind, (), labels, results, source.test.labels, measured, names)
