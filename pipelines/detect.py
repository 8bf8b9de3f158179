"""Turn a run, or several, into a detector of anomalies with a threshold, beside detectors of scikit-learn.

Its run holds model.keras with the threshold inside, scores.csv of the test examples, and a sheet of heat maps of
images, or points.csv of recordings. What is normal is the class that the run has learned from (--only-class), or all of
its training examples.
"""

from dataclasses import dataclass, field
from typing import Literal

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import DerivedRecipe
from pipelines.command_line.figures import finish
from pipelines.command_line.ranges import within
from pipelines.detecting import examples, judging, outputs


@dataclass(frozen=True, kw_only=True)
class Recipe(DerivedRecipe):
    """Settings for making one detector."""

    others: tuple[str, ...] = field(default=(), metadata={"positional": True, "may_be_empty": True})
    """Further runs on the same data; the scores of all, standardised, are averaged."""
    score: Literal["reconstruction", "squared", "bound", "gaussian", "neighbours", "masked"] = "reconstruction"
    """The model's own score, the squared error, a likelihood bound, the Mahalanobis distance of codes, the distance to
    the nearest codes, or the error of hidden patches over several masks."""
    contamination: float = field(default=0.01, metadata=within("share"))
    """Share of normal examples that may be called anomalies: the threshold's quantile of held-out normal examples."""
    threshold_by: Literal["contamination", "f1"] = "contamination"
    """Or the threshold of the best F1 on held-out examples: normal ones, and training examples of other classes."""
    calibrate: bool = True
    """Choose a threshold; without one the detector only gives figures."""
    neighbours: int = field(default=5, metadata=within("count"))
    """Nearest codes whose distance is averaged, of the score neighbours."""
    bank: int = field(default=5000, metadata=within("count"))
    """Most codes of training examples that are stored, of the score neighbours."""
    draws: int = field(default=16, metadata=within("count"))
    """Draws of the code, of the score bound."""
    masks: int = field(default=16, metadata=within("count"))
    """Masks, of the score masked."""
    baselines: bool = True
    """Also fit detectors of scikit-learn to the same training examples, where the test examples have labels."""
    most: int = field(default=10000, metadata=within("count"))
    """Most training examples, drawn at random, that the baselines and the codes' statistics see."""

    @property
    def folder(self):
        """Name the folder inside the run by the score."""
        return f"detect-{self.score}"


def run(recipe: Recipe):
    """Fit the score to training examples, choose the threshold on held-out ones, measure on test examples, save."""
    from kerasae import runs

    if recipe.calibrate and recipe.threshold_by == "contamination" and not recipe.contamination:
        raise InputError("contamination: expected a share above 0. Received: 0; or give --no-calibrate")
    with door.entered(recipe) as (recipe, source, begin):
        members = [runs.load_model(run, source.info) for run in (recipe.run, *recipe.others)]
        check(members, source)
        parts = examples.parts(recipe, source)
        detector = build(recipe, members, len(parts.train))
        directory = begin("detect", origin=members[0])
        detector.adapt(parts.train)
        figures = calibrated(detector, parts, recipe)
        figures |= judging.measured(detector, parts, recipe)
        outputs.write(directory, detector, parts, source.info)
        directory.save_model(detector)
        finish(directory, judging.own(figures))
        return directory.finish(figures)


def check(members, source):
    """Raise InputError for data or models that have no anomalies."""
    if source.info.kind == "ratings":
        raise InputError("data: ratings have no anomalies here; give images, vectors, tables or recordings")
    if any(isinstance(model, kerasae.models.Classifier) for model in members):
        raise InputError("run: a classifier does not say how unlike its data an example is; give its pretraining's run")


def build(recipe, members, count):
    """Build the detector that a recipe names."""
    options = {name: getattr(recipe, name) for name in ("neighbours", "draws", "masks")}
    bank = min(recipe.bank, count) if recipe.score == "neighbours" else 0
    return kerasae.detectors.Detector(members, recipe.score, bank=bank, **options)


def calibrated(detector, parts, recipe):
    """Choose the threshold, and say how many false alarms to expect; no figures without a threshold."""
    if not recipe.calibrate:
        print("no threshold was chosen: predict and export need one")
        return {}
    anomalies = None
    held = parts.held_out()
    if recipe.threshold_by == "f1":
        held, anomalies = parts.labelled_held_out()
    found = detector.calibrate(held, recipe.contamination, anomalies)
    low, high = found.interval()
    print(f"threshold {found.threshold:.6g}: {found.words()}")
    rates = {"expected_false_alarms": found.rate, "false_alarms_from": low, "false_alarms_to": high}
    return {"threshold": found.threshold, **rates, "held_out_examples": found.examples}
