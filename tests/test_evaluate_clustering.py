"""Clusters against classes, with the two scores computed by hand."""

import doctest

import numpy as np
import pytest

from kerasae.errors import InputError
from kerasae.evaluate import agreement, cluster_agreement, clustering, find_clusters


def test_scores_by_hand():
    """Two clusters of 4 and 4, of which one example belongs to the other class."""
    x = np.array([0, 0, 0, 0, 9, 9, 9, 9.0])[:, None]
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    p = np.array([[3, 1], [0, 4]]) / 8
    rows, columns = p.sum(axis=1), p.sum(axis=0)

    def entropy(q):
        return -np.sum(q[q > 0] * np.log(q[q > 0]))

    information = entropy(rows) + entropy(columns) - entropy(p)
    found = cluster_agreement(x, labels)
    assert found.nmi == pytest.approx(2 * information / (entropy(rows) + entropy(columns)))
    both, of_rows, of_columns, pairs = 3 + 6, 6 + 6, 3 + 10, 28
    expected = of_rows * of_columns / pairs
    assert found.ari == pytest.approx((both - expected) / ((of_rows + of_columns) / 2 - expected))


def test_noise_agrees_with_nothing():
    rng = np.random.default_rng(0)
    found = cluster_agreement(rng.normal(size=(1000, 4)), rng.integers(0, 5, 1000))
    assert found.nmi < 0.03 and abs(found.ari) < 0.02


def test_missing_labels_are_refused():
    with pytest.raises(InputError, match="clustered_y"):
        cluster_agreement(np.zeros((2, 2)), np.array([0, -1]))


@pytest.mark.parametrize("method", ["kmeans", "gmm", "hdbscan"])
def test_clusters_are_those_of_scikit_learn(method):
    from sklearn.cluster import HDBSCAN, KMeans
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(1)
    x = (rng.normal(size=(90, 3)) + 4 * rng.integers(0, 3, 90)[:, None]).astype("float32")
    theirs = {
        "kmeans": KMeans(3, n_init=5, random_state=7),
        "gmm": GaussianMixture(3, n_init=5, random_state=7),
        "hdbscan": HDBSCAN(min_cluster_size=5, copy=True),
    }[method]
    found = find_clusters(x, method, 3, seed=7)
    assert agreement(theirs.fit_predict(x), found).ari == 1 and len(set(found) - {-1}) > 1


def test_impossible_clusters_are_refused():
    for options, words in (
        ({"count": 4}, "k: expected from 1 to 3"),
        ({"method": "dbscan"}, "clusters: expected one of kmeans, gmm, hdbscan. Received: 'dbscan'"),
    ):
        with pytest.raises(InputError, match=words):
            find_clusters(np.eye(3), **options)
    with pytest.raises(InputError, match="finite"):
        find_clusters(np.full((3, 2), np.nan), "hdbscan")


def test_examples_run():
    failed, tried = doctest.testmod(clustering, extraglobs={"np": np})
    assert failed == 0 and tried == 3
