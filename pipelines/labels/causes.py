"""Diagnose why pretraining did not pay: check a run for known causes, and give the command to try next."""

import importlib
import shlex
from dataclasses import MISSING, fields

import numpy as np

import kerasae
from kerasae import runs
from pipelines.building.variants import scale_of
from pipelines.command_line.main import COMMANDS

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
        source.test.subset(np.sort(rows)), scale_of(source.info), side=max(source.info.shape)
    )
    mean = float(np.mean(np.var(pixels, axis=0)))
    if error < NEAR_MEAN * mean:
        return None
    return (
        f"Its squared error, {error:.4f}, is no better than that of the mean image ({mean:.4f}); "
        f"raise --learning-rate or the size of the code, then train again: {command(recipe, out=f'{run}-2')}"
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
    """Give the command that trains for three times the epochs, or minutes."""
    names = [name for name in ("minutes", "epochs", "pretrain_epochs") if recipe["recipe"].get(name)]
    changes = {name: 3 * recipe["recipe"][name] for name in names[:1]}
    return command(recipe, **changes, out=f"{run}-longer")


def few_images(run, recipe, source):
    """Diagnose a masked autoencoder that was trained on few images."""
    count = source.info.counts["train"]
    if recipe["command"] != "mae" or count >= FEW:
        return None
    return (
        f"{count:,} images are few for a masked autoencoder; start from a model that was trained on more: "
        f"kerasae mae --start RUN --data {recipe['recipe']['data']}"
    )


def command(recipe, **changes):
    """Spell the command of a run with these settings changed; settings at their defaults are left out."""
    cls = importlib.import_module(COMMANDS[recipe["command"]]).Recipe
    values, spelled = {**recipe["recipe"], **changes}, ["kerasae", recipe["command"]]
    chosen = [f.metadata["in_place_of"] for f in fields(cls) if "in_place_of" in f.metadata and values.get(f.name)]
    for f in sorted(fields(cls), key=lambda f: not f.metadata.get("positional")):
        default = f.default_factory() if f.default is MISSING and f.default_factory is not MISSING else f.default
        value, default = (list(v) if isinstance(v, tuple) else v for v in (values.get(f.name, default), default))
        if f.metadata.get("positional"):
            spelled.append(shlex.quote(str(value)))
        elif f.name not in chosen and (value != default or f.name == "data"):
            spelled += flags(f"--{f.name.replace('_', '-')}", value)
    return " ".join(spelled)


def flags(flag, value):
    """Spell a setting as words of a command line."""
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, dict):
        return [f"{flag}.{name} {spell(one)}" for name, one in value.items()]
    return [flag, *map(spell, value if isinstance(value, list | tuple) else [value])]


def spell(value):
    """Spell one value of a setting."""
    return f"{value:g}" if isinstance(value, float) else shlex.quote(str(value))
