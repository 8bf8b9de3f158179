"""Cluster codes without labels, and compare the clusters with the classes."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from kerasae.errors import InputError
from kerasae.evaluate.probe import check_features

FULL = 64
"""Most dimensions in which a mixture of Gaussians has full covariances; beyond, they are diagonal."""

LEAST = 5
"""Fewest examples of a cluster of HDBSCAN."""


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
    return agreement(labels, find_clusters(x, "kmeans", len(np.unique(labels)), starts, seed))


def find_clusters(x: np.ndarray, method: str = "kmeans", count: int = 10, starts: int = 5, seed: int = 0) -> np.ndarray:
    """Find clusters of vectors [N, F] by scikit-learn: int64 [N], -1 for noise, which only HDBSCAN knows.

    Args:
        x: vectors [N, F], used as they are.
        method: "kmeans", "gmm" (a mixture of Gaussians, with full covariances up to 64 dimensions), or "hdbscan"
            (Campello et al., PAKDD 2013), which finds the number of clusters itself.
        count: clusters of the first two, at most N.
        starts: starts of the first two, of which the best by their own objective is taken.
        seed: of the starts.

    Raises:
        InputError: another method, more clusters than vectors, or numbers that are not finite.

    Example:
        >>> find_clusters(np.array([[0.0], [0.1], [5.0], [5.1]]), "gmm", 2).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
        True
    """
    x, _ = check_features("clustered", x, np.zeros(len(x), int))
    makers = {
        "kmeans": lambda: KMeans(count, n_init=starts, random_state=seed),
        "gmm": lambda: GaussianMixture(count, covariance_type=shape_of(x), n_init=starts, random_state=seed),
        "hdbscan": lambda: HDBSCAN(min_cluster_size=min(LEAST, len(x)), copy=True),
    }
    if method not in makers:
        raise InputError(f"clusters: expected one of {', '.join(makers)}. Received: {method!r}")
    if method != "hdbscan" and not 1 <= count <= len(x):
        raise InputError(f"k: expected from 1 to {len(x)} clusters, as there are so many examples. Received: {count}")
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than clusters
        found = makers[method]().fit_predict(x.astype(np.float64) if method == "gmm" else x)
    return found.astype(np.int64)


def shape_of(x: np.ndarray) -> str:
    """Choose the covariances of a mixture of Gaussians by the number of dimensions."""
    return "full" if x.shape[1] <= FULL else "diag"


def agreement(labels: np.ndarray, clusters: np.ndarray) -> ClusterAgreement:
    """Compare clusters [N] with classes [N], both whole numbers; noise, -1, counts as one more cluster.

    Example:
        >>> agreement(np.array([0, 0, 1]), np.array([5, 5, 2]))
        ClusterAgreement(nmi=1.0, ari=1.0)
    """
    return ClusterAgreement(
        float(normalized_mutual_info_score(labels, clusters)), float(adjusted_rand_score(labels, clusters))
    )
