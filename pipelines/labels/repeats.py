"""Choose labelled subsets of a source, and summarise accuracies over several of them."""

import numpy as np

import kerasae
from kerasae.errors import InputError


def check_labels(source, counts, seed):
    """Raise InputError for missing or too few labels, a single class, or a test split without labels.

    Args:
        source: the data.
        counts: numbers of labelled examples, None for all.
        seed: seed by which they are chosen.
    """
    for count in counts:
        least = max(2, source.info.classes)
        kerasae.data.labelled_subset(source.train.labels, least if count is None else count, seed)
    if source.test.labels is None or (source.test.labels.ndim == 2 and len(source.test) < 2):
        raise InputError(f"{source.info.spec}: the test examples have no labels to measure accuracy with")


def labelled(split, labels, seed):
    """Choose the rows of the labelled subset: all, or `labels` of them, balanced over the classes."""
    return np.arange(len(split)) if labels is None else kerasae.data.labelled_subset(split.labels, labels, seed)


def spread(scores, metric="accuracy"):
    """Summarise lists of accuracies as figures: the mean and, of several, the sample standard deviation."""
    figures = {}
    for kind, values in scores.items():
        if values:
            figures[f"{kind}_{metric}"] = float(np.mean(values))
        if len(values) > 1:
            figures[f"{kind}_{metric}_std"] = float(np.std(values, ddof=1))
    return figures
