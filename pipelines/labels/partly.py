"""Hide all labels but some from a variant that infers them, and measure the classes that it infers."""

import numpy as np

import kerasae
from kerasae.errors import InputError
from pipelines.building.variants import scale_of
from pipelines.labels.repeats import check_labels, labelled


def check(recipe, source):
    """Raise InputError for data whose classes a variant cannot learn, and networks that do not take them."""
    if source.info.label_kind != "class" or source.train.labels is None:
        raise InputError(f"variant: {recipe.variant} learns one class per example; {source.info.spec} has no classes")
    if recipe.network not in ("dense", "conv"):
        raise InputError(f"network: {recipe.variant} takes dense or conv. Received: {recipe.network}")
    check_labels(source.labelled(), [recipe.labels], recipe.seed)


def split(training, validation, recipe):
    """Hide the labels of the training examples but `recipe.labels` of them, and all of the validation examples."""
    rows = known_rows(training, recipe)
    labels = np.full(len(training), -1)
    labels[rows] = training.labels[rows]
    order = with_share(np.flatnonzero(labels < 0), rows, recipe.labelled_share)
    hidden = validation and validation.relabelled(np.full(len(validation), -1))
    return training.relabelled(labels).subset(order), hidden


def known_rows(training, recipe):
    """Choose the rows of the training examples whose labels are used, balanced over the classes."""
    known = np.flatnonzero(training.labels >= 0)
    return known[labelled(training.subset(known), recipe.labels, recipe.seed)]


def with_share(unlabelled, rows, share):
    """Repeat the labelled rows until they are at least a share of all: int64 [n]."""
    wanted = int(np.ceil(share / (1.0 - share) * len(unlabelled)))
    return np.concatenate([unlabelled, np.resize(rows, max(len(rows), wanted))])


def measure(model, training, source, recipe):
    """Measure the accuracy of the inferred classes on the test examples, beside raw input with the same labels."""
    source, rows = source.labelled(), known_rows(training, recipe)
    found = kerasae.evaluate.classify(lambda x, training: model.probabilities(x), source.test)
    known = training.subset(rows)
    raw, test = (kerasae.evaluate.raw_input(part, scale_of(source.info)) for part in (known, source.test))
    probe = kerasae.evaluate.linear_probe(raw, known.labels, test, source.test.labels, seed=recipe.seed)
    figures = {"labels": len(rows), "test_accuracy": found.accuracy, "raw_probe_accuracy": probe.accuracy}
    print(f"for more baselines with these labels: kerasae probe {recipe.out} --labels {len(rows)} --seed {recipe.seed}")
    return figures
