"""Diagnose why pretraining did not pay: check a run for known causes, and give the command to try next."""

import numpy as np

import kerasae
from kerasae import runs

FALLING = 0.01
"""Relative decrease of the loss over the last fifth of the epochs above which training was too short."""

NEAR_MEAN = 0.95
"""Squared error, relative to that of predicting the mean image, above which a model has learned only the mean."""

FEW = 20_000
"""Number of training images below which a masked autoencoder should start from weights."""

SATURATED = 0.999
"""Training accuracy above which a probe has nothing left to learn."""


def verdict(worth, run, source, labels, train_accuracy=None):
    """Say what pretraining was worth; if nothing, also give the cause and the command to try next.

    Args:
        worth: a `kerasae.evaluate.Worth`.
        run: directory of the pretraining.
        source: data of the pretraining.
        labels: number of labelled examples, None for all.
        train_accuracy: training accuracy of the best probe; None after fine-tuning.
    """
    return worth.sentence() if worth.pays else f"{worth.sentence()} {advice(run, source, labels, train_accuracy)}."


def advice(run, source, labels, train_accuracy):
    """Name the first cause that applies to the run, and the command to try next, in one sentence."""
    recipe = runs.read_recipe(run)
    for cause in (at_the_mean, still_falling, few_images):
        if found := cause(run, recipe, source):
            return found
    if train_accuracy is None:
        return "No known cause applies; features pay most where labels are fewest"
    tuned = f"kerasae finetune {run}" + ("" if labels is None else f" --labels {labels}")
    if train_accuracy >= SATURATED:
        return f"The probe fits all its training labels; fine-tune the encoder too: {tuned}"
    return f"No known cause applies; give more labels, or fine-tune: {tuned}"


def at_the_mean(run, recipe, source):
    """Diagnose reconstructions that are no better than the mean image."""
    error = runs.read_summary(run).get("test_mse")
    if error is None:
        return None
    rows = np.random.default_rng(0).permutation(len(source.test))[:1000]
    pixels = kerasae.evaluate.raw_input(
        source.test.subset(np.sort(rows)), source.info.max_value, side=max(source.info.shape)
    )
    mean = float(np.mean(np.var(pixels, axis=0)))
    if error < NEAR_MEAN * mean:
        return None
    return (
        f"Its squared error, {error:.4f}, is no better than that of the mean image ({mean:.4f}); "
        f"raise --learning-rate or the size of the code, then train again: kerasae {words(recipe)} --out {run}-2"
    )


def still_falling(run, recipe, source):
    """Diagnose a loss that was still falling when training ended."""
    rows = [row for row in runs.read_rows(run / "metrics.csv") if not row["stage"].startswith(("finetune", "scratch"))]
    losses = [float(row["loss"]) for row in rows if row["stage"] == rows[-1]["stage"] and row.get("loss")]
    fifth = len(losses) // 5
    if not fifth:
        return f"It trained for {len(losses)} epochs only; train longer: {longer(run, recipe)}" if losses else None
    early, late = np.mean(losses[-2 * fifth : -fifth]), np.mean(losses[-fifth:])
    if early - late <= FALLING * abs(early):
        return None
    return f"Its loss was still falling when training ended; train longer: {longer(run, recipe)}"


def longer(run, recipe):
    """Give the command that trains for three times the epochs."""
    name = next((n for n in ("epochs", "pretrain_epochs") if recipe["recipe"].get(n)), None)
    if name is None:
        return f"kerasae {words(recipe)} --out {run}-longer"
    return f"kerasae {words(recipe)} --{name.replace('_', '-')} {3 * recipe['recipe'][name]} --out {run}-longer"


def few_images(run, recipe, source):
    """Diagnose a masked autoencoder that was trained on few images."""
    count = source.info.counts["train"]
    if recipe["command"] != "mae" or count >= FEW:
        return None
    return (
        f"{count:,} images are few for a masked autoencoder; start from a model that was trained on more: "
        f"kerasae mae --start RUN --data {recipe['recipe']['data']}"
    )


def words(recipe):
    """Spell the command of a run and its data."""
    values = recipe["recipe"]
    variant = f" {values['variant']}" if "variant" in values else ""
    return f"{recipe['command']}{variant} --data {values['data']}"
