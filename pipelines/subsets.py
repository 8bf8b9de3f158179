"""Labelled subsets of a source, and figures over several of them."""

import numpy as np

import kerasae
from kerasae.errors import InputError


def check_labels(source, recipe):
    """Raise InputError before anything is trained: no labels, too few of them, one class, no test examples."""
    if recipe.repeats < 1:
        raise InputError(f"repeats: expected at least 1. Received: {recipe.repeats}")
    kerasae.data.balanced_subset(source.train.labels, recipe.labels or source.info.classes, recipe.seed)
    if source.test.labels is None:
        raise InputError(f"{source.info.spec}: the test examples have no labels to measure accuracy with")


def labelled(split, labels, seed):
    """Rows of the labelled subset of this seed: all, or `labels` of them, balanced over the classes."""
    return np.arange(len(split)) if labels is None else kerasae.data.balanced_subset(split.labels, labels, seed)


def spread(scores):
    """Kind → scores, as figures: the mean and, over several, the sample standard deviation."""
    figures = {}
    for kind, values in scores.items():
        if values:
            figures[f"{kind}_accuracy"] = float(np.mean(values))
        if len(values) > 1:
            figures[f"{kind}_accuracy_std"] = float(np.std(values, ddof=1))
    return figures
