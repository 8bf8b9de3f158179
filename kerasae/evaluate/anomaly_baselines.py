"""Detectors of scikit-learn that know no autoencoder, fitted to the same training examples as a detector."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import OneClassSVM

from kerasae.evaluate.reconstruction import as_decoded

NEIGHBOURS, VARIANCE = 5, 0.95


def flat_values(x: np.ndarray, model) -> np.ndarray:
    """Flatten stored examples in the units of a model, 0 where one is missing: float32 [N, D]."""
    return np.nan_to_num(np.asarray(as_decoded(x, model), np.float32).reshape(len(x), -1))


def one_class_svm(train, test, seed=0):
    """Score by scikit-learn's `OneClassSVM` with its own settings."""
    return -OneClassSVM().fit(train).score_samples(test)


def isolation_forest(train, test, seed=0):
    """Score by scikit-learn's `IsolationForest` with its own settings."""
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def pca_error(train, test, seed=0):
    """Score by the squared error of a reconstruction from principal components of 95 % of the variance."""
    found = PCA(VARIANCE, svd_solver="covariance_eigh").fit(train)
    return np.square(test - found.inverse_transform(found.transform(test))).sum(axis=1)


def nearest_raw(train, test, seed=0):
    """Score by the mean Euclidean distance of the raw values to the 5 nearest training examples."""
    neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(train)), algorithm="brute").fit(train)
    return np.concatenate([neighbours.kneighbors(part)[0].mean(axis=1) for part in _parts(test)])


def _parts(x, size=1000):
    return (x[i : i + size] for i in range(0, len(x), size))


ANOMALY_BASELINES = {
    "one_class_svm": one_class_svm,
    "isolation_forest": isolation_forest,
    "pca_error": pca_error,
    "nearest_raw": nearest_raw,
}
"""Name → function of training and test examples [N, D] and a seed → scores of the latter, higher = more anomalous."""
