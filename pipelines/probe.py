"""Measure frozen features: linear and attentive probes, and nearest neighbours."""

from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within

USUAL = ("linear", "knn")
"""The probes that are fitted when none are named."""

FIGURES = {"linear": "probe", "knn": "knn", "sgd": "sgd_probe", "attentive": "attentive"}
"""Probe → NAME of its figure NAME_accuracy."""


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Probe the encoder of a run."""

    probes: tuple[Literal["linear", "knn", "sgd", "attentive"], ...] = USUAL
    """What to fit: linear (logistic regression), knn (nearest neighbours), sgd (batch norm and a linear layer, trained
    by small batches), attentive (a learned query over all tokens, of vision transformers only)."""
    labels: int | None = field(default=None, metadata=within("count"))
    """Labelled training examples to use, balanced over the classes; all of them when not given."""
    repeats: int = field(default=1, metadata=within("count"))
    """Probe this many times, with other labels, and report the mean and the standard deviation."""
    neighbours: int | None = field(default=None, metadata=within("count"))
    """Neighbours that vote in the nearest-neighbour probe; 20, or a tenth of the labels if that is less."""
    sgd_optimizer: Literal["sgd", "lars"] = "sgd"
    """Optimiser of the sgd probe; lars is the paper's, for as many examples as ImageNet has."""
    sgd_epochs: int = field(default=90, metadata=within("count"))
    """Epochs of the sgd probe; more where these are fewer than 1000 steps."""
    sgd_batch: int = field(default=512, metadata=within("count"))
    """Examples per step of the sgd probe; the learning rate is 0.1 per 256 of them."""
    attentive_epochs: int = field(default=10, metadata=within("count"))
    """Epochs of the attentive probe; more where these are fewer than 500 steps."""

    @property
    def folder(self):
        """Folder of this run inside the run: what is probed with how many labels."""
        names = [] if self.probes == USUAL else dict.fromkeys(self.probes)
        return "-".join(["probe", str(self.labels or "all"), *names])


def run(recipe: Recipe):
    """Encode the data once, then fit the probes; their table is printed and goes into `probes.csv`."""
    from kerasae import runs
    from pipelines.labels.names import matched

    with door.entered(recipe) as (recipe, source, begin):
        model = runs.load_model(recipe.run, source.info)
        check_probes(recipe, model)
        source = matched(recipe.run, model, source)
        directory = begin("probe", origin=model)
        table, figures = measure(model, source, recipe)
        runs.write_rows(directory.path / "probes.csv", table)
        print(spell(table))
        return finish(directory, figures)


def check_probes(recipe, model):
    """Raise InputError for a probe that this model is not made for."""
    if "attentive" in recipe.probes and not hasattr(model, "tokens"):
        raise InputError(
            f"probes: attentive needs the tokens of a vision transformer, but {recipe.run} holds a "
            f"{type(model).__name__}; leave it out"
        )


def measure(model, source, recipe):
    """The table of the probes, a row for each, and their accuracies as figures."""
    from pipelines.labels.repeats import check_labels, labelled, spread

    check_labels(source, recipe)
    train, test = encode(model, source, recipe)
    results = {name: [] for name in recipe.probes}
    inputs = {name: "tokens" if name == "attentive" else "features" for name in results}
    for seed in range(recipe.seed, recipe.seed + recipe.repeats):
        rows = labelled(source.train, recipe.labels, seed)
        for name, found in results.items():
            x, test_x = train[inputs[name]], test[inputs[name]]
            data = take(x, rows), source.train.labels[rows], test_x, source.test.labels
            found.append(fit(name, data, recipe, seed))
    figures = spread({FIGURES[name]: [result.accuracy for result in found] for name, found in results.items()})
    shapes = {"features": train["features"].shape[1:], "tokens": train["tokens"].shape if "tokens" in train else ()}
    return [row(name, found, shapes[inputs[name]], len(rows), figures) for name, found in results.items()], figures


def encode(model, source, recipe):
    """Features of the training and of the test examples; also their tokens, where a probe looks at them."""
    splits = source.train, source.test
    if "attentive" not in recipe.probes:
        return [{"features": kerasae.evaluate.features(model, split)} for split in splits]
    pairs = [kerasae.evaluate.tokens_and_features(model, split) for split in splits]
    return [dict(zip(("tokens", "features"), pair, strict=True)) for pair in pairs]


def take(values, rows):
    """Some rows of features or of tokens; of tokens without a copy."""
    return values.subset(rows) if isinstance(values, kerasae.evaluate.Tokens) else values[rows]


def fit(name, data, recipe, seed):
    """The result of one probe on (train_x, train_y, test_x, test_y)."""
    evaluate = kerasae.evaluate
    if name == "linear":
        return evaluate.linear_probe(*data, seed=seed)
    if name == "knn":
        return evaluate.knn_probe(*data, k=recipe.neighbours or min(20, max(1, len(data[1]) // 10)))
    if name == "sgd":
        budget = {"epochs": recipe.sgd_epochs, "batch_size": recipe.sgd_batch}
        return evaluate.sgd_probe(*data, optimizer=recipe.sgd_optimizer, **budget, seed=seed)
    return evaluate.attentive_probe(*data, epochs=recipe.attentive_epochs, seed=seed)


# ---- the table


def row(name, found, shape, labels, figures):
    """A row of the table: a figure, of what it is, and how it came about."""
    figure = f"{FIGURES[name]}_accuracy"
    return {
        "probe": name,
        "features": " × ".join(map(str, shape)),
        "labels": labels,
        "repeats": len(found),
        "accuracy": figures[figure],
        "accuracy_std": figures.get(f"{figure}_std", ""),
        "protocol": common(result.protocol for result in found),
    }


def common(protocols):
    """One line for several that differ in a few words: these are given side by side."""
    words = [protocol.split() for protocol in protocols]
    if len(set(map(len, words))) > 1:
        return "; or ".join(dict.fromkeys(map(" ".join, words)))
    return " ".join("/".join(dict.fromkeys(column)) for column in zip(*words, strict=True))


def spell(table):
    """The table as text: the protocol stands in the line of its figure."""
    lines = [("probe", "features", "labels", "test accuracy", "protocol")]
    for line in table:
        spread = f" ± {100 * line['accuracy_std']:.2f}" if line["repeats"] > 1 else ""
        accuracy = f"{100 * line['accuracy']:.2f}{spread} %"
        lines.append((line["probe"], line["features"], f"{line['labels']:,}", accuracy, line["protocol"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return "\n".join("  ".join([*map(str.ljust, line, widths), line[-1]]) for line in lines)
