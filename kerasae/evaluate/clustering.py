"""Cluster codes without labels, and compare the clusters with the classes."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from kerasae.evaluate.probe import check_features


@dataclass(frozen=True)
class ClusterAgreement:
    """Agreement of clusters with classes: 1 where they are the same, about 0 where clusters tell nothing."""

    nmi: float
    """Normalised mutual information, I(clusters; classes) / mean of the two entropies: 0 to 1."""
    ari: float
    """Adjusted Rand index: share of pairs on which both agree, above chance and scaled to 1."""


def cluster_agreement(x: np.ndarray, labels: np.ndarray, starts: int = 5, seed: int = 0) -> ClusterAgreement:
    """Find as many clusters as there are classes by k-means, and compare them with the classes.

    The best of several starts by the k-means objective, which sees no labels, is taken. x is used as it is: units of
    large variance weigh more.

    Args:
        x: vectors [N, F].
        labels: classes [N], integers ≥ 0.
        starts: starts of k-means++.
        seed: of the starts.

    Raises:
        InputError: lengths that differ, labels that are missing, or numbers that are not finite.

    Example:
        >>> cluster_agreement(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([1, 1, 0, 0]))
        ClusterAgreement(nmi=1.0, ari=1.0)
    """
    x, labels = check_features("clustered", x, labels)
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than classes
        found = KMeans(len(np.unique(labels)), n_init=starts, random_state=seed).fit_predict(x)
    return ClusterAgreement(
        float(normalized_mutual_info_score(labels, found)), float(adjusted_rand_score(labels, found))
    )
