"""Tabulate probes and baselines, a row for each, with its protocol."""

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from kerasae.evaluate import LABEL_KINDS

CLASS = LABEL_KINDS["class"]

UNEQUAL = 1.5
"""Ratio of the largest to the smallest test class above which balanced accuracy is shown too."""


def row(name, kind, shape, labels, results, test_y, measured=CLASS, names=()):
    """A row of the table: a figure, of what it is, and how it came about.

    Args:
        name: name of the probe or baseline.
        kind: "features" or "baseline".
        shape: shape of one example's features.
        labels: number of labelled examples.
        results: one for each repeat, with the metric of the labels' kind, `predictions` and `protocol`.
        test_y: labels of the test examples.
        measured: the kind of the labels, of `kerasae.evaluate.LABEL_KINDS`.
        names: of what a label consists of, where it is no class.
    """
    scores = [measured.score(result) for result in results]
    return {
        "probe": name,
        "kind": kind,
        "features": " × ".join(map(str, shape)),
        "labels": labels,
        "repeats": len(results),
        measured.metric: float(np.mean(scores)),
        f"{measured.metric}_std": float(np.std(scores, ddof=1)) if len(results) > 1 else "",
        **(balanced(results, test_y) if measured is CLASS else others(results, measured, names)),
        "protocol": common(result.protocol for result in results),
    }


def balanced(results, test_y):
    """Mean balanced accuracy, "" where classes are of about the same size."""
    if not unequal(test_y):
        return {"balanced_accuracy": ""}
    return {"balanced_accuracy": float(np.mean([balanced_accuracy_score(test_y, r.predictions) for r in results]))}


def others(results, measured, names):
    """Means of the other figures of labels that are no class."""
    figures = [result.figures(names) for result in results]
    return {name: float(np.mean([f[name] for f in figures])) for name in figures[0] if name != measured.metric}


def unequal(labels):
    """Tell whether class sizes differ so much that accuracy alone misleads."""
    counts = np.unique(labels, return_counts=True)[1]
    return counts.max() > UNEQUAL * counts.min()


def common(protocols):
    """Merge the protocols of repeats into one line; words that differ are joined by slashes."""
    words = [protocol.split() for protocol in protocols]
    if len(set(map(len, words))) > 1:
        return "; or ".join(dict.fromkeys(map(" ".join, words)))
    return " ".join("/".join(dict.fromkeys(column)) for column in zip(*words, strict=True))


HEADINGS = {"balanced_accuracy": "balanced", "macro_f1": "macro F1", "micro_f1": "micro F1", "mae": "mean error"}
"""Column of the table → its heading."""


def amount(name, value):
    """A figure of a further column: an error in the units of the labels, or a share as a percentage."""
    return f"{value:.4g}" if name.endswith("mae") else f"{100 * value:.2f} %"


def spell(table):
    """Format the table as text, with the protocol at the end of each line."""
    kind = next(kind for kind in LABEL_KINDS.values() if kind.metric in table[0])
    more = [name for name in list(table[0])[7:-1] if any(line[name] != "" for line in table)]
    lines = [("probe", "features", "labels", kind.title, *(HEADINGS.get(name, name) for name in more), "protocol")]
    for line in table:
        spread = f" ± {100 * line[f'{kind.metric}_std']:.2f}" if line["repeats"] > 1 else ""
        cells = (line["probe"], line["features"], f"{line['labels']:,}", f"{100 * line[kind.metric]:.2f}{spread} %")
        lines.append((*cells, *(amount(name, line[name]) for name in more), line["protocol"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return "\n".join("  ".join([*map(str.ljust, line, widths), line[-1]]) for line in lines)
