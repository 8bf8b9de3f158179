"""Measure frozen features by linear, attentive and kernel probes and nearest neighbours, beside baselines."""

from dataclasses import dataclass, field
from typing import Literal

from kerasae.errors import InputError
from pipelines.building import starting
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.ranges import within

USUAL = ("linear", "knn")
"""The probes that are fitted when none are named."""


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Probe the encoder of a run."""

    probes: tuple[Literal["linear", "knn", "svm", "sgd", "attentive"], ...] = USUAL
    """What to fit: linear (logistic regression, or ridge regression of numbers; the only one of labels that are not one
    class), knn (nearest neighbours), svm (support vectors with a radial kernel; slow with more than thousands of
    labels), sgd (batch norm and a linear layer, trained by small batches), attentive (a learned query over all tokens,
    of vision transformers only)."""
    labels: tuple[int, ...] | None = field(default=None, metadata=within("count"))
    """Labelled training examples to use, balanced over the classes; all of them when not given. Several numbers give a
    curve."""
    repeats: int = field(default=1, metadata=within("count"))
    """Probe this many times, with other labels, and report the mean and the standard deviation."""
    neighbours: int | None = field(default=None, metadata=within("count"))
    """Neighbours that vote in the nearest-neighbour probe; 1, or 20 from 1,000 labels on."""
    sgd_optimizer: Literal["sgd", "lars"] = "sgd"
    """Optimiser of the sgd probe; lars is the paper's, for as many examples as ImageNet has."""
    sgd_epochs: int = field(default=90, metadata=within("count"))
    """Epochs of the sgd probe; more where these are fewer than 1000 steps."""
    sgd_batch: int = field(default=512, metadata=within("count"))
    """Examples per step of the sgd probe; the learning rate is 0.1 per 256 of them."""
    attentive_epochs: int = field(default=10, metadata=within("count"))
    """Epochs of the attentive probe; more where these are fewer than 500 steps."""

    baselines: bool = True
    """Give the same labels to classifiers that know no pretraining: of raw input, PCA and an untrained encoder, and a
    convolutional network from scratch."""

    @property
    def folder(self):
        """Name the folder inside the run by the numbers of labels and the probes."""
        names = [] if self.probes == USUAL else dict.fromkeys(self.probes)
        return "-".join(["probe", *map(str, self.labels or ["all"]), *names])


def run(recipe: Recipe):
    """Encode the data once, fit the probes, print their table and write it to `probes.csv`."""
    from kerasae import runs
    from pipelines.labels import probing, table
    from pipelines.labels.names import matched

    with door.entered(recipe) as (recipe, source, begin):
        model = starting.fit_to(runs.load_model(recipe.run), source.info, recipe.run)
        check_probes(recipe, model)
        source = matched(recipe.run, model, source)
        directory = begin("probe", origin=model)
        rows, figures = probing.measure(model, source, recipe)
        runs.write_rows(directory.path / "probes.csv", rows)
        print(table.spell(rows))
        verdicts(recipe, figures)
        return directory.finish(figures)


def verdicts(recipe, figures):
    """Print what pretraining is worth with each number of labels."""
    for count in recipe.labels or (None,):
        prefix = f"labels_{count}_" if len(recipe.labels or ()) > 1 else ""
        if text := figures.get(f"{prefix}probe_verdict"):
            print(f"{'all' if count is None else count} labels: {text}")


def check_probes(recipe, model):
    """Raise InputError for a probe that this model is not made for."""
    if "attentive" in recipe.probes and not hasattr(model, "tokens"):
        raise InputError(
            f"probes: attentive needs the tokens of a vision transformer, but {recipe.run} holds a "
            f"{type(model).__name__}; leave it out"
        )
