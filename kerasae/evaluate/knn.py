"""Classify frozen features by their k nearest neighbours: a probe without training."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from kerasae.errors import InputError
from kerasae.evaluate.probe import check_features, check_widths


@dataclass(frozen=True, eq=False, kw_only=True)
class KnnResult:
    """Result of a nearest-neighbour probe: accuracy in [0, 1], predictions [N], and the protocol in one line."""

    accuracy: float
    predictions: np.ndarray
    k: int
    metric: str
    protocol: str

    def as_dict(self) -> dict:
        """Return the accuracy and the protocol as JSON values, without the predictions."""
        return {"accuracy": self.accuracy, "k": self.k, "metric": self.metric, "protocol": self.protocol}


def knn_probe(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    k: int = 20,
    metric: str = "cosine",
) -> KnnResult:
    """Classify each test example by a vote of its `k` nearest training features; ties go to the lower label.

    Args:
        train_x, test_x: features [N, ...], flattened to [N, F]; not standardised.
        train_y, test_y: labels [N], integers ≥ 0.
        k: neighbours that vote, each with the same weight.
        metric: any distance of scikit-learn that takes two vectors: "cosine", "euclidean", "manhattan"…

    Raises:
        InputError: lengths that differ, non-finite features, bad labels, a k above the training examples.

    Example:
        >>> x, y = np.eye(4), np.array([0, 0, 1, 1])
        >>> knn_probe(x, y, x, y, k=1).accuracy
        1.0
    """
    train_x, train_y = check_features("train", train_x, train_y)
    test_x, test_y = check_features("test", test_x, test_y)
    check_widths(train_x, test_x)
    if not 1 <= k <= len(train_y):
        raise InputError(f"k: expected 1 to {len(train_y)} (training examples), received {k}; choose k in that range.")
    neighbours = KNeighborsClassifier(k, algorithm="brute", metric=metric)
    try:
        predictions = neighbours.fit(train_x, train_y).predict(test_x)
    except ValueError as error:
        raise InputError(
            f"metric: expected a distance that scikit-learn knows, received {metric!r}; use cosine."
        ) from error
    return KnnResult(
        accuracy=float(np.mean(predictions == test_y)),
        predictions=predictions,
        k=k,
        metric=metric,
        protocol=f"kNN probe: k={k}, {metric} distance, {train_x.shape[1]} frozen features, {len(train_y)} labels",
    )
