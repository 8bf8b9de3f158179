"""Draw the metrics of a run, epoch by epoch."""

import math

import numpy as np
from matplotlib.figure import Figure

from kerasae import plots
from kerasae.report.pictures.rendering import Picture, picture

BOOKKEEPING = (
    *("stage", "epoch", "step", "seconds", "data_wait", "learning_rate", "examples_per_second"),
    *("gradient_norm", "skipped", "memory_mib"),
)
"""Columns of `metrics.csv` about the course of the training, not its quality."""


KINDS = {"finetune": "fine-tuned", "scratch": "from scratch"}
"""Kinds of stages that are drawn on the same axes → their labels."""


def training_curves(rows: list[dict], unit: str = "") -> Picture | None:
    """Draw every quantity of every stage in a panel of its own; fine-tuning has a separate picture."""
    stages = {}
    for row in rows:
        if kind(row) not in KINDS:
            stages.setdefault(row["stage"], []).append(row)
    rows = [row for stage in stages.values() for row in without_repetition(stage)]
    keys = dict.fromkeys(name.removeprefix("val_") for row in rows for name in row if name not in BOOKKEEPING)
    if not keys:
        return None
    terms = "" if list(keys) == ["loss"] else " and the terms that it is made of"
    caption = f"Loss per example{terms}, epoch by epoch."
    if any(name.startswith("val_") for row in rows for name in row):
        caption += " Dashed: the same on examples that were held out."
    if len(stages) > 1:
        caption += " Each layer reproduces what the layer below gives it, so only the shapes compare."
    units = {name: "fraction" if name == "accuracy" else unit for name in keys}
    return picture("Training", caption, plots.curves(rows, list(keys), units), 0.8)


def without_repetition(rows: list[dict]) -> list[dict]:
    """Drop terms that equal the loss from the rows of a stage: losses that have a single term."""
    names = {name for row in rows for name in row if name not in BOOKKEEPING and not name.endswith("loss")}
    same = [name for name in names if all(repeats_loss(row, name) for row in rows)]
    return [{name: value for name, value in row.items() if name not in same} for row in rows]


def repeats_loss(row: dict, name: str) -> bool:
    """Tell whether a term equals the loss, training or validation, up to rounding."""
    loss = row.get("val_loss" if name.startswith("val_") else "loss")
    return name not in row or loss is not None and math.isclose(float(loss), float(row[name]), rel_tol=1e-5)


def supervised_curves(rows: list[dict], unit: str = "") -> Picture | None:
    """Draw fine-tuning beside the control from scratch, on the same axes."""
    rows = [row for row in rows if kind(row) in KINDS]
    if not rows:
        return None
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    estimates = any("mae" in row for row in rows)
    second = ("mae", "units of the labels") if estimates else ("accuracy", "fraction")
    for axes, key, unit in ((left, "loss", "variances" if estimates else "nats"), (right, *second)):
        for colour, stage in zip(plots.COLOURS, KINDS, strict=False):
            draw_repeats(axes, rows, stage, key, "-", colour)
            draw_repeats(axes, rows, stage, f"val_{key}", "--", colour)
        name = "mean absolute error" if key == "mae" else key
        axes.set_title(name, fontsize=10, color=plots.INK)
        axes.set_xlabel("epoch", color=plots.INK)
        axes.set_ylabel(f"{name} ({unit})", color=plots.INK)
        axes.tick_params(colors=plots.INK, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(plots.FAINT)
        axes.grid(color=plots.FAINT, linewidth=0.6)
    left.legend(frameon=False, fontsize=9)
    both = len({kind(row) for row in rows}) > 1
    caption = "The pretrained network on the labels"
    caption += ", beside the same network from random weights on the same labels." if both else "."
    repeats = len({row["stage"] for row in rows if kind(row) == kind(rows[0])})
    if repeats > 1:
        caption += f" Lines: mean of {repeats} repeats with other labels; bands: their range."
    return picture("Fine-tuning beside training from scratch" if both else "Fine-tuning", caption, figure, 0.8)


def draw_repeats(axes, rows: list[dict], stage: str, key: str, style: str, colour: str) -> None:
    """Draw mean and range over the repeats of a stage, epoch by epoch."""
    values = {}
    for row in rows:
        if kind(row) == stage and key in row:
            values.setdefault(int(row["epoch"]), []).append(float(row[key]))
    if not values:
        return
    epochs, repeats = zip(*sorted(values.items()), strict=True)
    part = "held-out labels" if key.startswith("val_") else "training labels"
    axes.plot(epochs, [np.mean(v) for v in repeats], style, color=colour, label=f"{KINDS[stage]}, {part}")
    if max(map(len, repeats)) > 1:
        axes.fill_between(epochs, [*map(min, repeats)], [*map(max, repeats)], color=colour, alpha=0.12, linewidth=0)


def kind(row: dict) -> str:
    """Return the kind of a row's stage: finetune of the stage finetune-1."""
    return row["stage"].rpartition("-")[0] or row["stage"]
