import doctest

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kerasae.errors import InputError
from kerasae.evaluate import knn, knn_probe


def vote(distances, train_y, k):
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.array([np.bincount(train_y[row], minlength=10).argmax() for row in nearest])


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x = x + np.random.default_rng(0).uniform(0, 0.01, x.shape)  # no two distances are equal
    return x[:500], y[:500], x[500:900], y[500:900]


@pytest.mark.parametrize("k", [1, 4, 20])
def test_cosine_votes_equal_numpy(digits, k):
    train_x, train_y, test_x, test_y = digits
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (test_x, train_x))
    expected = vote(1 - a @ b.T, train_y, k)
    result = knn_probe(*digits, k=k)
    assert np.mean(result.predictions == expected) > 0.99  # float32 may swap near ties
    assert abs(result.accuracy - np.mean(expected == test_y)) < 0.006
    assert result.accuracy == np.mean(result.predictions == test_y) > 0.8
    assert f"k={k}" in result.protocol


def test_euclidean_votes_equal_numpy(digits):
    train_x, train_y, test_x, _ = digits
    distances = np.linalg.norm(test_x[:, None] - train_x[None], axis=2)
    result = knn_probe(*digits, k=5, metric="euclidean")
    assert np.mean(result.predictions == vote(distances, train_y, 5)) > 0.99


def test_cosine_ignores_length_and_euclidean_does_not():
    train_x, train_y = np.array([[1.0, 0.0], [10.0, 10.0]]), np.array([0, 1])
    test_x, test_y = np.array([[1.0, 1.0]]), np.array([1])
    assert knn_probe(train_x, train_y, test_x, test_y, k=1).accuracy == 1.0
    assert knn_probe(train_x, train_y, test_x, test_y, k=1, metric="euclidean").accuracy == 0.0


@pytest.mark.parametrize("change, word", [({"k": 0}, "k:"), ({"k": 5}, "k:"), ({"metric": "taxi"}, "metric")])
def test_mistakes_are_named(change, word):
    x, y = np.eye(4), np.array([0, 0, 1, 1])
    with pytest.raises(InputError, match=word):
        knn_probe(x, y, x, y, **({"k": 1} | change))


def test_examples_run():
    failed, tried = doctest.testmod(knn, extraglobs={"np": np})
    assert failed == 0 and tried >= 2
