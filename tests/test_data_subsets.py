"""Labelled subsets and held-out parts: balance by counting, seeds, and the refusals."""

import numpy as np
import pytest

from kerasae.data import balanced_subset, holdout, load
from kerasae.errors import InputError

UNEVEN = np.repeat([0, 1, 2], [50, 4, 30])


def counts(labels, indices):
    return np.bincount(labels[indices], minlength=labels.max() + 1)


@pytest.mark.parametrize("n", [10, 100, 103, 999])
def test_balanced_within_one(n):
    labels = load("digits").train.labels
    chosen = balanced_subset(labels, n, seed=3)
    assert len(set(chosen)) == n and (np.diff(chosen) > 0).all()
    per_class = counts(labels, chosen)
    assert per_class.max() - per_class.min() == (0 if n % 10 == 0 else 1)


def test_depends_on_the_seed_only_and_smaller_is_part_of_larger():
    labels = np.random.RandomState(0).permutation(np.arange(400) % 7)
    few, many = balanced_subset(labels, 20, seed=5), balanced_subset(labels, 101, seed=5)
    np.testing.assert_array_equal(few, balanced_subset(labels, 20, seed=5))
    assert set(few) < set(many)
    assert set(few) != set(balanced_subset(labels, 20, seed=6))


def test_the_choice_is_random_within_a_class():
    labels = np.repeat([0, 1], 50)
    drawn = np.concatenate([balanced_subset(labels, 10, seed) for seed in range(200)])
    frequency = np.bincount(drawn, minlength=100) / 200
    assert abs(frequency - 0.1).max() < 0.1  # 0.1 +- 4.7 standard deviations


@pytest.mark.parametrize(("n", "expected"), [(12, [4, 4, 4]), (20, [8, 4, 8]), (70, [36, 4, 30]), (84, [50, 4, 30])])
def test_a_short_class_gives_all_it_has(n, expected):
    assert counts(UNEVEN, balanced_subset(UNEVEN, n, seed=1)).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "n", "says"),
    [
        (None, 4, "labels missing"),
        ([0, 1, -1], 2, "labels missing"),
        ([0, 1, 2], 4, "from 3 to 3; received 4"),
        ([0, 1, 2], 2, "from 3 to 3; received 2"),
        ([0, 1, 2], 3.0, "received 3.0"),
        ([5, 5, 5], 1, "at least two classes"),
        ([[0], [1]], 2, "labels"),
        ([0.0, 1.0], 2, "type float64"),
    ],
)
def test_balanced_subset_refuses(labels, n, says):
    with pytest.raises(InputError, match=says):
        balanced_subset(labels if labels is None else np.array(labels), n, seed=0)


@pytest.mark.parametrize(("fraction", "held"), [(0.1, 9), (0.5, 42), (0.999, 83), (1e-6, 1)])
def test_holdout_parts_everything_in_proportion(fraction, held):
    train, test = holdout(UNEVEN, fraction, seed=0)
    assert len(test) == held
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(84))
    exact = np.array([50, 4, 30]) * held / 84
    assert (abs(counts(UNEVEN, test) - exact) < 1).all()


def test_holdout_of_a_count_and_its_seed():
    train, test = holdout(30, 0.1, seed=1)
    assert (len(train), len(test)) == (27, 3)  # 0.1 * 30 exactly, in spite of floating point
    np.testing.assert_array_equal(test, holdout(30, 0.1, seed=1)[1])
    assert len({tuple(holdout(30, 0.1, seed)[1]) for seed in range(9)}) == 9


@pytest.mark.parametrize(
    ("what", "fraction", "seed", "says"),
    [
        (0, 0.5, 0, "labels_or_count"),
        (1, 0.5, 0, r"holdout: expected at least 2 examples, .* received 1; give holdout 0"),
        (np.array([3]), 0.5, 0, "at least 2"),
        (None, 0.5, 0, "labels missing"),
        (10, 0.0, 0, "fraction"),
        (10, 1.0, 0, "fraction"),
        (10, 1.5, 0, "fraction"),
        (10, float("nan"), 0, "fraction"),
        (10, 0.5, -1, "seed"),
    ],
)
def test_holdout_refuses(what, fraction, seed, says):
    with pytest.raises(InputError, match=says):
        holdout(what, fraction, seed)
