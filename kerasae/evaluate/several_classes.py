"""Measure answers of which classes an example has, several or none: average precision, F1; probe and baseline."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kerasae.errors import InputError
from kerasae.evaluate.probe import STRENGTHS, check_widths

FOLDS, CHOOSE_ON, TINY = 3, 5000, 1e-7


@dataclass(frozen=True, eq=False, kw_only=True)
class SeveralClasses:
    """Answers for K classes, each for itself, beside the true ones.

    `mean_average_precision` is the mean, over the classes that a test example has, of the area under precision over
    recall as scikit-learn sums it; `average_precision` [K] is that of each class, NaN where no test example has it.
    `macro_f1`, the mean over the same classes, and `micro_f1`, of all answers together, take probabilities from 0.5 up
    as yes. `predictions` are probabilities [N, K]; `protocol` says how they came about.
    """

    mean_average_precision: float
    macro_f1: float
    micro_f1: float
    average_precision: np.ndarray
    f1: np.ndarray
    predictions: np.ndarray
    protocol: str = ""

    def figures(self, names) -> dict[str, float]:
        """Name the figures."""
        return {
            "mean_average_precision": self.mean_average_precision,
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
        }


def measure_several_classes(labels: np.ndarray, predicted: np.ndarray, protocol: str = "") -> SeveralClasses:
    """Compare labels 0 and 1 [N, K] with probabilities [N, K].

    Raises:
        InputError: shapes that differ, probabilities that are not finite, or no example of any class.

    Example:
        >>> measure_several_classes(np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.4], [0.2, 0.8]])).micro_f1
        1.0
    """
    labels, predicted = np.asarray(labels) > 0.5, np.asarray(predicted, np.float64)
    if labels.shape != predicted.shape or labels.ndim != 2 or not np.isfinite(predicted).all():
        raise InputError(
            f"labels, predicted: expected [N, K] of the same examples, all finite, received {labels.shape} and "
            f"{predicted.shape}."
        )
    there = labels.any(axis=0)
    if not there.any():
        raise InputError("labels: no test example has any of the classes; expected some that have.")
    precision = np.full(labels.shape[1], np.nan)
    precision[there] = average_precision_score(labels[:, there], predicted[:, there], average=None)
    answers = predicted >= 0.5
    each = f1_score(labels, answers, average=None, zero_division=0.0)
    return SeveralClasses(
        mean_average_precision=float(np.mean(precision[there])),
        macro_f1=float(np.mean(np.atleast_1d(each)[there])),
        micro_f1=float(f1_score(labels.ravel(), answers.ravel(), zero_division=0.0)),
        average_precision=precision,
        f1=np.where(there, np.atleast_1d(each), np.nan),
        predictions=predicted,
        protocol=protocol,
    )


def several_probe(train_x, train_y, test_x, test_y, seed: int = 0) -> SeveralClasses:
    """Fit a logistic regression for each class on standardised frozen features; measure its answers to test examples.

    All share one C, chosen from `STRENGTHS` by the likelihood in 3-fold cross-validation on the training labels, on a
    random 5,000 of them where there are more. A class that all or no training examples have is answered by its
    frequency.

    Args:
        train_x, test_x: features [N, ...], flattened.
        train_y, test_y: labels 0 and 1 [N, K].
        seed: of the subsample and the folds.
    """
    train_x, test_x = (np.asarray(x).reshape(len(x), -1).astype(np.float32) for x in (train_x, test_x))
    check_widths(train_x, test_x)
    y = np.asarray(train_y) > 0.5
    taken = np.random.default_rng(seed).permutation(len(y))[:CHOOSE_ON]
    strength = _choose(train_x[taken], y[taken], seed)
    return measure_several_classes(
        test_y,
        _answers(train_x, y, test_x, strength),
        f"linear probe: a logistic regression for each of {y.shape[1]} classes on {train_x.shape[1]} standardised "
        f"frozen features, {len(y)} labels, C={strength:g} chosen of {len(STRENGTHS)} by {FOLDS}-fold "
        f"cross-validation on {len(taken)} training labels",
    )


def _choose(x, y, seed) -> float:
    """The C of the best likelihood of held-out labels; the middle one where there are too few to hold some out."""
    if len(y) < FOLDS:
        return STRENGTHS[len(STRENGTHS) // 2]
    losses = np.zeros(len(STRENGTHS))
    for fit, held in KFold(FOLDS, shuffle=True, random_state=seed).split(x):
        for i, strength in enumerate(STRENGTHS):
            p = np.clip(_answers(x[fit], y[fit], x[held], strength), TINY, 1 - TINY)
            losses[i] -= np.sum(np.where(y[held], np.log(p), np.log1p(-p)))
    return STRENGTHS[int(np.argmin(losses))]


def _answers(x, y, other, strength) -> np.ndarray:
    """Probabilities [N, K] of the other examples, by classifiers of x and y [M, K]."""
    scaler = StandardScaler().fit(x)
    x, other, columns = scaler.transform(x), scaler.transform(other), []
    for has in y.T:
        if has.all() or not has.any():
            columns.append(np.full(len(other), (has.sum() + 1) / (len(has) + 2)))
            continue
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            columns.append(LogisticRegression(C=strength, max_iter=1000).fit(x, has).predict_proba(other)[:, 1])
    return np.stack(columns, axis=1)


def class_frequencies(train_y, test_y) -> SeveralClasses:
    """Answer every test example by how frequent each class is among the training labels."""
    frequencies = np.mean(np.asarray(train_y, np.float64), axis=0)
    predicted = np.broadcast_to(frequencies, np.shape(test_y))
    return measure_several_classes(test_y, predicted, f"frequency of each class in {len(train_y)} training labels")
