"""Accuracy of logistic regression by cross-validation, for data without a test part of their own."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def fold_accuracies(
    features: Callable[[np.ndarray], object],
    labels: np.ndarray,
    *,
    folds: int = 5,
    scaled: bool = True,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> np.ndarray:
    """Measure the accuracy of logistic regression on each held-out fold: float64 [folds].

    C is chosen from `strengths` within the training folds, by three folds of their own.

    Args:
        features: function of the rows of the training folds → features of all examples, [N, F], dense or sparse, so
            that what is learned from examples is learned from the training ones; labels are not given to it.
        labels: integers [N].
        folds: number of folds, in equal shares of the classes.
        scaled: features are divided by their deviation in the training folds, and centred where they are dense.
        strengths: values of C.
        seed: of the folds.

    Example:
        >>> x, y = np.arange(40.0)[:, None] % 2, np.arange(40) % 2
        >>> fold_accuracies(lambda rows: x, y).mean()
        1.0
    """
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    return np.array([_accuracy(features(train), labels, train, test, scaled, strengths) for train, test in splits])


def _accuracy(x, labels, train, test, scaled, strengths):
    dense = isinstance(x, np.ndarray)
    steps = [StandardScaler(with_mean=dense)] if scaled else []
    model = make_pipeline(*steps, LogisticRegression(max_iter=500))
    search = GridSearchCV(model, {"logisticregression__C": list(strengths)}, cv=3)
    with threadpool_limits(1, user_api="blas"):
        return search.fit(x[train], labels[train]).score(x[test], labels[test])
