"""Draw the pictures on the page of a run: of its metrics, of an autoencoder and of a classifier.

Models are used through the public contract only. A function returns None where there is nothing to draw.
"""

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import kerasae
from kerasae import plots
from kerasae.errors import InputError

BOOKKEEPING = (
    *("stage", "epoch", "step", "seconds", "data_wait", "learning_rate", "examples_per_second"),
    *("gradient_norm", "skipped", "memory_mib"),
)
"""Columns of `metrics.csv` about the course of the training, not its quality."""

KINDS = {"finetune": "fine-tuned", "scratch": "from scratch"}
"""Kinds of stages that are drawn on the same axes → their labels."""

BASELINES = kerasae.evaluate.BASELINES | {
    "raw_svm": "raw input, support vectors",
    "start_probe": "weights before adaptation",
    "untrained_probe": "untrained encoder",
}
"""Figure NAME_accuracy of a baseline → its name beside a bar."""

SHARED = {text for name, text in BASELINES.items() if name not in ("untrained_probe", "start_probe")}
"""Baselines that do not depend on the run."""

METRICS = {kind.metric: kind.title for kind in kerasae.evaluate.LABEL_KINDS.values()}
"""Column of `probes.csv` with the score that is compared → its heading."""

GREY, ORANGE = "#9aa1a9", "#d9722e"
"""Colours of baselines and of controls from scratch."""

METHODS = {
    **KINDS,
    **BASELINES,
    "probe": "linear probe",
    "sgd_probe": "linear probe by SGD",
    "attentive": "attentive probe",
    "svm_probe": "support vectors",
    "knn": "nearest neighbours",
}
"""NAME of the figure NAME_accuracy → label of the method."""


@dataclass(frozen=True)
class Picture:
    """PNG picture as base64 text, `width` CSS pixels wide, with a caption that explains it."""

    title: str
    caption: str
    png: str
    width: int


def picture(title: str, caption: str, figure: Figure, scale: float) -> Picture:
    """Render a figure at `scale` times its nominal size, sharp on dense screens too."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a character that the font lacks becomes an empty box
        warnings.filterwarnings("ignore", "constrained_layout")  # no room beside very long names
        png = plots.png_base64(figure, dpi=round(160 * scale))
    return Picture(title, caption, png, round(96 * scale * figure.get_figwidth()))


# ---- figures


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


def measured(summary: dict) -> dict[str, float]:
    """Collect the figures NAME_accuracy of a summary: method → accuracy in [0, 1]."""
    shown = (name for name in summary if name.endswith("_accuracy") and not name.startswith("labels_"))
    values = {name.removesuffix("_accuracy"): summary[name] for name in shown}
    return {METHODS.get(n, n): v for n, v in values.items() if not isinstance(v, str) and 0 <= v <= 1}


def accuracies(bars: dict[str, float]) -> Picture:
    """Draw accuracies in [0, 1] side by side."""
    figure = plots.bars({plain(name): value for name, value in bars.items()}, {plain(n): colour(n) for n in bars})
    caption = (
        "Share of the test examples that are classified correctly: pretrained features in blue, the same network from "
        "scratch in orange, baselines without pretraining in grey."
    )
    return picture("Accuracies", caption, figure, 0.9)


def colour(name: str) -> str:
    """Choose the colour of a bar: of features, of a control from scratch, or of a baseline."""
    method = name.rpartition(": ")[2]
    baselines = {*BASELINES.values()}
    return GREY if method in baselines else ORANGE if method == KINDS["scratch"] else plots.COLOURS[0]


def metric_of(row: dict) -> str:
    """Tell which column of a row of `probes.csv` holds the score; raises KeyError if none does."""
    return next((metric for metric in METRICS if metric in row), "accuracy")


def label_curve(rows: list[dict]) -> Picture | None:
    """Draw the score over the number of labels, of the rows of `probes.csv`; None for a single number."""
    curves = {}
    for row in rows:
        metric = metric_of(row)
        point = (float(row["labels"]), max(0.0, float(row[metric])), float(row[f"{metric}_std"] or 0.0))
        curves.setdefault(plain(named(row)), []).append(point)
    if max(map(len, curves.values()), default=0) < 2:
        return None
    curves = dict(sorted(curves.items(), key=lambda curve: -max(curve[1])[1]))  # the legend in the order at the right
    ours, what = {plain(named(row)) for row in rows if row["kind"] == "features"}, METRICS[metric_of(rows[0])]
    figure = plots.label_curve(curves, ours, what)
    caption = (
        f"{what.capitalize()} over the number of labels: probes of the pretrained features in colour, with one "
        "standard deviation, and in grey what the same labels give without pretraining."
    )
    caption += " What is below zero is drawn there." if metric_of(rows[0]) == "r2" else ""
    return picture("What pretraining is worth", caption, figure, 0.9)


def named(row: dict) -> str:
    """Name the curve of a row."""
    return f"{row['probe']} probe" if row["kind"] == "features" else row["probe"]


# ---- autoencoders


@dataclass(frozen=True)
class Examples:
    """A few stored examples with their class names; `unseen` tells whether they are test examples."""

    images: np.ndarray
    names: list[str]
    unseen: bool

    @classmethod
    def of(cls, source, count=10):
        """Select examples of each class in turn, from the test split if there is one."""
        unseen = source.has_test
        split = source.test if unseen else source.train
        images, labels = split.gather(varied(split.labels, len(split), count))
        classes = class_names(source.info)
        names = [classes[n] if n >= 0 else f"example {i}" for i, n in enumerate(labels.numpy(), 1)]
        return cls(images.numpy(), names, unseen)


def varied(labels: np.ndarray | None, total: int, count: int) -> np.ndarray:
    """Choose `count` examples by index: the first of every class, then the second; evenly spread without labels."""
    if labels is None:
        return np.unique(np.linspace(0, total - 1, count).astype(int))
    turn = np.zeros(total, int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, turn))[:count]


def reconstructions(model, examples: Examples) -> Picture:
    """Draw inputs, corrupted or masked inputs if the model has them, and reconstructions."""
    prepared, corrupt = model.prepare(examples.images).x, corruption(model)
    x, seen = (model.restored(v) for v in (prepared, prepared if corrupt is None else corrupt(prepared)))
    what = "Test examples, which the training did not use" if examples.unseen else "Training examples"
    if hasattr(model, "hide"):
        caption = f"{what}; the patches that the encoder is shown; the model's prediction in place of the others."
        if model.normalize_targets:
            caption += " It predicts each patch's pattern, not its brightness and contrast: these mean nothing here."
        figure = masked_figure(model, examples.images)
    elif corrupt is None:
        caption = f"{what}, above what the model makes of each from its code alone."
        figure = plots.reconstructions(array(x), array(model.reconstruct(x)))
    else:
        caption = f"{what}; the same spoilt by {type(corrupt).__name__}; what the model makes of the spoilt ones."
        figure = plots.reconstructions(array(x), array(model.reconstruct(seen)), array(seen))
    return picture("Reconstructions", caption, figure, 0.78)


def masked_figure(model, images):
    """Draw images, their visible patches, and the reconstructions of a masked autoencoder."""
    noise = np.random.default_rng(0).random((len(images), model.patches_shape[0]))
    made, seen = model.reconstruct(images, noise), model.hide(images, noise)
    x = model.restored(model.prepare(images).x)
    return plots.reconstructions(array(x), array(made), array(seen), what="visible")


def corruption(model):
    """Copy the model's corruption with a fixed seed, for a stack the bottom layer's; None without one."""
    bottom = getattr(model, "autoencoders", [model])[0]
    layer = getattr(bottom, "corruption", None)
    return None if layer is None else type(layer).from_config({**layer.get_config(), "seed": 0})


def first_layer_filters(model, examples: Examples, count=64) -> Picture | None:
    """Draw the kernel of a dense or convolutional first layer as images, largest weights first."""
    layer = first_layer(model.encoder)
    if layer is None:
        return None
    kernel = array(layer.kernel)
    dense, units = kernel.ndim == 2, kernel.shape[-1]
    shape = tuple(model.example_shape) if dense else kernel.shape[:-1]
    if math.prod(shape) != kernel.size // units:  # a dense layer that runs along one axis of the input
        return None
    order = np.argsort(-np.square(kernel).reshape(-1, units).sum(axis=0), kind="stable")
    figure = plots.filters(kernel[..., order], shape, count)
    which = f"{count} of {units:,} units, those with the largest weights" if units > count else f"All {units} units"
    caption = f"{which}: the weights of each on {'the whole input' if dense else 'one place and its surroundings'}."
    if len(shape) == 3:
        caption += " Bright: light there speaks for the unit's pattern; dark: against it; mid-grey: it does not matter."
    return picture("First-layer filters", caption, figure, 0.6 if dense else 0.4)


def first_layer(network):
    """Find the first layer with weights, also in nested networks; None unless dense or convolutional."""
    known = keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            return first_layer(layer)
        if layer.weights:
            return layer if isinstance(layer, known) else None
    return None


def samples(model, examples: Examples, count=48) -> Picture | None:
    """Draw new examples, decoded from samples of the prior."""
    if not model.generative:
        return None
    figure = plots.image_grid(array(model.sample(count, seed=0)), columns=8)
    return picture("Samples", "New examples: codes drawn at random from the prior N(0, 1), decoded.", figure, 0.6)


def interpolations(model, examples: Examples, steps=9) -> Picture | None:
    """Draw decoded straight lines from the code of one example to the code of the next."""
    pairs = len(examples.names) // 2
    if not model.generative or not pairs:
        return None
    z = array(model.encode(examples.images[: 2 * pairs]))
    share = np.linspace(0, 1, steps, dtype=z.dtype).reshape(1, steps, *[1] * (z.ndim - 1))
    codes = z[0::2, None] * (1 - share) + z[1::2, None] * share
    images = array(model.decode(codes.reshape(-1, *z.shape[1:])))
    figure = plots.interpolations(images.reshape(pairs, steps, *images.shape[1:]))
    ends = ", ".join(f"{a} to {b}" for a, b in zip(examples.names[0::2], examples.names[1::2], strict=False))
    caption = f"From the code of one test example to that of another in equal steps, each step decoded: {ends}."
    return picture("Interpolations", caption, figure, 0.65)


# ---- classifiers


def confusion_matrix(matrix: np.ndarray, names: list[str]) -> Picture:
    """Draw a confusion matrix of counts [K, K]; the row is the true class."""
    right, total = int(matrix.trace()), int(matrix.sum())
    caption = f"{right:,} of {total:,} test examples are on the diagonal, that is right: {right / max(1, total):.2%}."
    return picture("Confusion matrix", caption, plots.confusion(matrix, [plain(name) for name in names]), 0.8)


def confusion_file(file: Path) -> Picture | None:
    """Draw the confusion matrix that an evaluation saved; None if there is no file."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return confusion_matrix(np.array(content["matrix"], int), [str(name) for name in content["classes"]])
    except (ValueError, TypeError, KeyError, OverflowError):
        raise InputError(f"{file.name} is damaged") from None


def confusion_of(model, source, result) -> Picture:
    """Draw the confusion matrix of a classifier's result."""
    return confusion_matrix(result.confusion, class_names(source.info))


def mistakes(model, source, result, count=20, looked_at=1000) -> Picture | None:
    """Draw the wrong predictions of which the classifier is surest."""
    labels, predictions = source.test.labels, result.predictions
    wrong = np.flatnonzero(predictions != labels)[:looked_at]
    if not len(wrong):
        return None
    surest = array(model.probabilities(source.test.gather(wrong)[0])).max(axis=1)
    rows = wrong[np.argsort(-surest, kind="stable")][:count]
    names = [short(plain(name)) for name in class_names(source.info)]
    titles = [f"{names[labels[i]]} → {names[predictions[i]]}" for i in rows]
    images = array(kerasae.ops.to_unit(source.test.gather(rows)[0], source.info.max_value))
    caption = f"The {len(rows)} wrong answers that the classifier is surest of: true class → predicted class."
    return picture("Mistakes", caption, plots.image_grid(images, 4, titles), 0.85)


# ---- labels that are no class


def estimates(source, result) -> Picture:
    """Draw estimated over true numbers of the test examples."""
    names = [plain(name) for name in source.info.label_names]
    caption = "Estimates of the test examples over the true values; on the line both are equal."
    return picture("Estimates", caption, plots.estimates(source.test.labels, result.predictions, names), 0.8)


def precisions(source, result) -> Picture:
    """Draw the average precision of every class that a test example has."""
    named = zip(source.info.label_names, result.average_precision, strict=True)
    figure = plots.bars({plain(name): value for name, value in named if value == value}, what="average precision")
    return picture(
        "Average precision", "Area under precision over recall of each class, on the test examples.", figure, 0.8
    )


OF_KIND = {"numbers": estimates, "classes": precisions}
"""Kind of labels → function that draws the answers to them."""

CURVES = (training_curves, supervised_curves)
AUTOENCODER = (reconstructions, first_layer_filters, samples, interpolations)
CLASSIFIER = (confusion_of, mistakes)


# ---- arrays and names


def array(tensor) -> np.ndarray:
    """Convert a tensor to a NumPy array in single precision."""
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def class_names(info) -> list[str]:
    """Return a name per class; empty without labels."""
    return [str(name) for name in info.class_names or ()]


def plain(text: str) -> str:
    """Escape text so that matplotlib draws it literally: no formulas, no bytes that are no characters."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def short(text: str, length=9) -> str:
    """Shorten text to fit above a small picture."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
