"""Draw the scores of features beside those of baselines."""

import kerasae
from kerasae import plots
from kerasae.report.pictures.courses import KINDS
from kerasae.report.pictures.rendering import Picture, picture, plain

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
