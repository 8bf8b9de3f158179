"""Tabulate probes and baselines, a row for each, with its protocol."""

import numpy as np
from sklearn.metrics import balanced_accuracy_score

UNEQUAL = 1.5
"""Ratio of the largest to the smallest test class above which balanced accuracy is shown too."""


def row(name, kind, shape, labels, results, test_y):
    """Make a row of the table: a mean accuracy with its features, labels and protocol.

    Args:
        name: name of the probe or baseline.
        kind: "features" or "baseline".
        shape: shape of one example's features.
        labels: number of labelled examples.
        results: one for each repeat, with `accuracy`, `predictions` and `protocol`.
        test_y: labels of the test examples.
    """
    balanced = [balanced_accuracy_score(test_y, result.predictions) for result in results] if unequal(test_y) else []
    accuracies = [result.accuracy for result in results]
    return {
        "probe": name,
        "kind": kind,
        "features": " × ".join(map(str, shape)),
        "labels": labels,
        "repeats": len(results),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_std": float(np.std(accuracies, ddof=1)) if len(results) > 1 else "",
        "balanced_accuracy": float(np.mean(balanced)) if balanced else "",
        "protocol": common(result.protocol for result in results),
    }


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


def spell(table):
    """Format the table as text, with the protocol at the end of each line."""
    balanced = any(line["balanced_accuracy"] != "" for line in table)
    lines = [("probe", "features", "labels", "test accuracy", *["balanced"] * balanced, "protocol")]
    for line in table:
        spread = f" ± {100 * line['accuracy_std']:.2f}" if line["repeats"] > 1 else ""
        cells = (line["probe"], line["features"], f"{line['labels']:,}", f"{100 * line['accuracy']:.2f}{spread} %")
        even = (f"{100 * line['balanced_accuracy']:.2f} %",) if balanced else ()
        lines.append((*cells, *even, line["protocol"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return "\n".join("  ".join([*map(str.ljust, line, widths), line[-1]]) for line in lines)
