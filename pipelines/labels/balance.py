"""Classes of unequal size: weights of the loss, and examples that come more than once."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

import kerasae
from kerasae.errors import InputError


def check(recipe, info):
    """Raise InputError for weights or sampling that these labels cannot have."""
    if recipe.balanced_sampling and info.label_kind != "class":
        raise InputError(f"balanced_sampling: needs one class per image, not {info.label_kind}; leave it out")
    asked = recipe.class_weights
    if asked is None or asked == ("balanced",):
        if asked and info.label_kind == "numbers":
            raise InputError("class_weights: numbers have no classes; leave it out")
        return
    given(asked, info)


def given(asked, info):
    """The weights that the words of a recipe spell, one for each class."""
    names = info.outputs if info.label_kind != "numbers" else ()
    try:
        found = [float(word) for word in asked]
    except ValueError:
        found = []
    if len(found) != len(names) or not all(0 <= weight < np.inf for weight in found):
        raise InputError(
            f"class_weights: expected balanced, or {len(names)} numbers from 0 up, for {', '.join(names) or 'no class'}"
            f". Received: {' '.join(asked)}"
        )
    return found


def weights(recipe, labels, info):
    """A weight for each class, or None.

    Balanced are, of one class, N / (K n_k), so that all classes weigh the same; of several, the number of examples
    without a class over that with it, which weighs its presence.
    """
    if recipe.class_weights is None:
        return None
    if recipe.class_weights != ("balanced",):
        return given(recipe.class_weights, info)
    if labels.ndim == 1:
        present, found = np.unique(labels), np.ones(info.classes)
        found[present] = compute_class_weight("balanced", classes=present, y=labels)
        return found.tolist()
    positive = labels.sum(axis=0)
    return np.where(positive > 0, (len(labels) - positive) / np.maximum(positive, 1), 1.0).tolist()


def sampled(recipe, split, seed):
    """The examples of an epoch: as they are, or each class as often as the largest."""
    return split.subset(kerasae.data.oversampled(split.labels, seed)) if recipe.balanced_sampling else split
