"""Measure frozen features: linear probe and nearest neighbours."""

from dataclasses import dataclass, field

import kerasae
from pipelines.ranges import within
from pipelines.recipe import DerivedRecipe


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Probe the encoder of a run."""

    labels: int | None = field(default=None, metadata=within("count"))
    """Labelled training examples to use, balanced over the classes; all of them when not given."""
    repeats: int = field(default=1, metadata=within("count"))
    """Probe this many times, with other labels, and report the mean and the standard deviation."""
    neighbours: int | None = field(default=None, metadata=within("count"))
    """Neighbours that vote in the nearest-neighbour probe; 20, or a tenth of the labels if that is less."""


def run(recipe: Recipe):
    """Encode the data once, then fit the probes."""
    from pipelines import run as runs

    recipe = recipe.inherit(f"probe-{recipe.labels or 'all'}")
    source = recipe.source()
    model = runs.load_model(recipe.run, source.info)
    directory = runs.Run(recipe.out, "probe", recipe, origin=model)
    return directory.finish(measure(model, source, recipe))


def measure(model, source, recipe):
    """Accuracies of the linear and the nearest-neighbour probe, as figures."""
    from pipelines.subsets import check_labels, labelled, spread

    check_labels(source, recipe)
    features = {name: kerasae.evaluate.features(model, source.splits[name]) for name in ("train", "test")}
    scores = {"probe": [], "knn": []}
    for seed in range(recipe.seed, recipe.seed + recipe.repeats):
        rows = labelled(source.train, recipe.labels, seed)
        data = features["train"][rows], source.train.labels[rows], features["test"], source.test.labels
        neighbours = recipe.neighbours or min(20, max(1, len(rows) // 10))
        linear = kerasae.evaluate.linear_probe(*data, seed=seed)
        knn = kerasae.evaluate.knn_probe(*data, k=neighbours)
        print(f"{linear.protocol}: {linear.accuracy:.4f}\n{knn.protocol}: {knn.accuracy:.4f}")
        scores["probe"].append(linear.accuracy)
        scores["knn"].append(knn.accuracy)
    return spread(scores)
