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
        kerasae.data.balanced_subset(source.train.labels, source.info.classes if count is None else count, seed)
    if source.test.labels is None:
        raise InputError(f"{source.info.spec}: the test examples have no labels to measure accuracy with")


def labelled(split, labels, seed):
    """Choose the rows of the labelled subset: all, or `labels` of them, balanced over the classes."""
    return np.arange(len(split)) if labels is None else kerasae.data.balanced_subset(split.labels, labels, seed)


def spread(scores):
    """Summarise lists of accuracies as figures: the mean and, of several, the sample standard deviation."""
    figures = {}
    for kind, values in scores.items():
        if values:
            figures[f"{kind}_accuracy"] = float(np.mean(values))
        if len(values) > 1:
            figures[f"{kind}_accuracy_std"] = float(np.std(values, ddof=1))
    return figures
