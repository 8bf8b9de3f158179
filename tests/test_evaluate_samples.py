"""Samples against real examples: two-sample tests, distances of features, memorisation, Parzen windows."""

import doctest

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import kstest
from sklearn.neighbors import KernelDensity

import kerasae
from kerasae import ops
from kerasae.errors import InputError
from kerasae.evaluate import (
    copies,
    feature_distances,
    frechet_distance,
    memorisation,
    parzen,
    parzen_window,
    precision_and_recall,
    told_apart,
    trained_judge,
    two_sample_test,
    two_samples,
)
from kerasae.evaluate.parzen import SIGMAS
from kerasae.evaluate.two_samples import discrepancies, gaussian_kernel

RNG = np.random.default_rng(0)


def test_discrepancy_is_that_of_the_ops():
    x, y = RNG.normal(size=(20, 3)), RNG.normal(size=(15, 3)) + 0.5
    points = np.concatenate([x, y])
    kernel = gaussian_kernel(points)
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(points) for b in points[:i]]
    expected = ops.mmd(x, y, lambda squared: ops.rbf(squared, 2 * np.median(pairs)))
    members = np.r_[np.ones(20), np.zeros(15)][None]
    assert discrepancies(kernel, members)[0] == pytest.approx(float(expected), abs=1e-5)
    assert two_sample_test(x, y).mmd2 == pytest.approx(float(expected), abs=1e-5)


def test_false_alarms_are_as_frequent_as_said():
    """p-values of equal distributions are uniform: 400 pairs of 25 draws of N(0, I)."""
    rng = np.random.default_rng(1)
    p = [two_sample_test(*rng.normal(size=(2, 25, 4)), permutations=99, seed=i).p_value for i in range(400)]
    assert 0.025 < np.mean(np.array(p) <= 0.05) < 0.08
    assert kstest(p, "uniform").pvalue > 0.001


def test_other_means_and_other_spreads_are_found():
    x = RNG.normal(size=(200, 5))
    assert two_sample_test(x, RNG.normal(size=(150, 5)) + 0.5).p_value < 0.01
    assert two_sample_test(x, 0.5 * RNG.normal(size=(150, 5))).p_value < 0.01


def test_points_that_are_all_equal_are_not_told_apart():
    assert two_sample_test(np.zeros((5, 2)), np.zeros((6, 2))).p_value == 1.0


def test_a_classifier_cannot_tell_equal_distributions_apart():
    a, b = RNG.normal(size=(2, 2000, 3))
    assert abs(told_apart(a, b) - 0.5) < 0.05
    # two Gaussians at distance d are told apart by Φ(d / 2) at best
    assert told_apart(a, b + [2.0, 0, 0]) == pytest.approx(0.8413, abs=0.025)


def test_mistakes_are_named():
    for x, y in ((np.zeros((1, 2)), np.zeros((3, 2))), (np.zeros((3, 2)), np.zeros((3, 4)))):
        with pytest.raises(InputError, match="one width"):
            two_sample_test(x, y)
    with pytest.raises(InputError, match="finite"):
        told_apart(np.full((3, 2), np.nan), np.zeros((3, 2)))


def test_frechet_distance_is_that_of_the_covariances():
    x, y = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 4)), RNG.normal(size=(200, 4)) + 1
    s, t = np.cov(x.T), np.cov(y.T)
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0.0, abs=1e-9)


def test_features_that_never_change_do_no_harm():
    x = np.hstack([RNG.normal(size=(50, 2)), np.zeros((50, 3))])
    assert frechet_distance(x, x + [0, 0, 2.0, 0, 0]) == pytest.approx(4.0)


def test_precision_is_quality_and_recall_is_variety():
    """Real: two far clusters. One cluster alone has all of the quality and half of the variety."""
    near, far = RNG.normal(size=(100, 3)), RNG.normal(size=(100, 3)) + 100
    real, other = np.concatenate([near, far]), RNG.normal(size=(100, 3))
    assert precision_and_recall(real, other[:, :1] * 0 + near) == (1.0, 0.5)
    precision, recall = precision_and_recall(real, np.concatenate([other, other + 1000]))
    assert 0.35 < precision <= 0.5 and 0.35 < recall <= 0.5


def test_precision_and_recall_by_hand():
    """On a line, k = 1: real 0, 1, 3 of radii 1, 1, 2; generated 2, 9 of radius 7 each."""
    real, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [9.0]])
    assert precision_and_recall(real, generated, neighbours=1) == (0.5, 1.0)
    assert precision_and_recall(generated, real, neighbours=1) == (1.0, 0.5)


def test_copies_are_found():
    training, held = RNG.normal(size=(500, 6)), RNG.normal(size=(400, 6))
    copies = np.concatenate([training[:30] + 1e-3, RNG.normal(size=(70, 6))])
    found = memorisation(copies, held, training)
    assert 0.3 <= found.share < 0.36
    np.testing.assert_array_equal(found.nearest[:30], np.arange(30))
    assert found.distances[0] == pytest.approx(1e-3 * np.sqrt(6))
    fresh = memorisation(RNG.normal(size=(4000, 6)), held, training)
    assert fresh.share < 0.03


def test_parzen_window_is_a_kernel_density():
    generated, validation, test = RNG.normal(size=(3, 60, 3))
    found = parzen_window(generated, validation, test)
    density = KernelDensity(bandwidth=found.sigma).fit(generated)
    each = density.score_samples(test)
    assert found.log_likelihood == pytest.approx(each.mean())
    assert found.standard_error == pytest.approx(each.std(ddof=1) / np.sqrt(60))
    scores = [KernelDensity(bandwidth=s).fit(generated).score(validation) for s in SIGMAS]
    assert found.sigma == SIGMAS[np.argmax(scores)]


def test_a_judge_reads_digits_and_is_kept(monkeypatch):
    source = kerasae.data.load("digits")
    judge = trained_judge(source, steps=150)
    images, labels = source.test.arrays()
    assert judge.asked_class_share(images, labels) > 0.9 and judge.features(images).shape == (360, 128)
    np.testing.assert_array_equal(judge.classes(images), judge.network(images).numpy().argmax(axis=1))
    monkeypatch.setattr("kerasae.evaluate.judge.trained_convnet", lambda *a: pytest.fail("it was kept"))
    again = trained_judge(source, steps=150)
    np.testing.assert_array_equal(again.features(images), judge.features(images))
    assert again.about == judge.about and "test images" in judge.about


def test_a_judge_needs_classes():
    with pytest.raises(InputError, match="one class each"):
        trained_judge(kerasae.data.load("shapes"))


def test_examples_run():
    for module in (feature_distances, copies, parzen, two_samples):
        failed, tried = doctest.testmod(module, extraglobs={"np": np})
        assert failed == 0 and tried >= 2
