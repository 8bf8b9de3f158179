"""Measure a classifier: accuracy and confusion matrix."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix

from kerasae.errors import InputError
from kerasae.evaluate.probe import outputs


@dataclass(frozen=True, eq=False, kw_only=True)
class Classification:
    """Result of a classifier: `accuracy` and `error` are fractions in [0, 1], `predictions` are labels [N].

    `confusion` [K, K] holds counts: the row is the true class, the column the predicted one.
    """

    accuracy: float
    error: float
    examples: int
    confusion: np.ndarray
    predictions: np.ndarray

    def as_dict(self) -> dict:
        """Return the numbers as JSON values, without the predictions; the confusion matrix as nested lists."""
        return {
            "accuracy": self.accuracy,
            "error": self.error,
            "examples": self.examples,
            "confusion": self.confusion.tolist(),
        }


def measure_classification(labels: np.ndarray, predicted: np.ndarray) -> Classification:
    """Compare true labels [N] with logits or probabilities [N, K], or with predicted labels [N].

    The confusion matrix is [K, K]; for predicted labels K is one more than the largest label on either side.

    Raises:
        InputError: lengths that differ, labels that are not integers ≥ 0 or not below K, non-finite logits.

    Example:
        >>> measure_classification(np.array([0, 1, 1]), np.array([0, 1, 0])).confusion.tolist()
        [[1, 0], [1, 1]]
    """
    predicted = np.asarray(predicted)
    if predicted.ndim not in (1, 2):
        raise InputError(f"predicted: expected logits [N, K] or labels [N], received shape {predicted.shape}.")
    labels = _check_labels("labels", labels, len(predicted))
    if predicted.ndim == 2:
        classes = predicted.shape[1]
        predicted = _most_likely(predicted)
    else:
        predicted = _check_labels("predicted", predicted, len(labels))
        classes = int(max(labels.max(), predicted.max())) + 1
    if labels.max() >= classes:
        raise InputError(
            f"labels: expected below {classes} (the number of logits), received {labels.max()}; "
            "build the classifier with as many classes as the data has."
        )
    accuracy = float(accuracy_score(labels, predicted))
    return Classification(
        accuracy=accuracy,
        error=1.0 - accuracy,
        examples=len(labels),
        confusion=confusion_matrix(labels, predicted, labels=np.arange(classes)),
        predictions=predicted,
    )


def classify(model, split, batch_size: int = 256) -> Classification:
    """Run a classifier with logits [B, K] over a labelled split (or a pair of arrays) and measure it.

    Raises:
        InputError: if the split has no labels, or as in `measure_classification`.

    Example:
        >>> x = np.eye(3, dtype="float32")
        >>> classify(lambda x, training: x, (x, np.array([0, 1, 2]))).accuracy
        1.0
    """
    labels, logits = [], []
    for _, y, output in outputs(lambda x: model(x, training=False), split, batch_size):
        if y is None:
            raise InputError("split: expected labels, received none; use data with labels or pass (x, y).")
        labels.append(y)
        logits.append(output)
    return measure_classification(np.concatenate(labels), np.concatenate(logits))


def _most_likely(logits: np.ndarray) -> np.ndarray:
    if not np.isfinite(logits).all():
        raise InputError("predicted: expected finite logits, received NaN or infinity; check the training.")
    return logits.argmax(axis=1)


def _check_labels(name: str, labels: np.ndarray, length: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) == 0 or len(labels) != length:
        raise InputError(
            f"{name}: expected [{length}] with one label per example, received shape {labels.shape}; "
            "pass labels and predictions of the same examples."
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(
            f"{name}: expected integers of at least 0, received {labels.dtype} from {labels.min()}; "
            "number the classes from 0 and leave out examples without a label."
        )
    return labels.astype(np.int64)
