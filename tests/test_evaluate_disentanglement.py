"""Scores of disentanglement, on codes of which the answer is known."""

import doctest
import itertools

import numpy as np
import pytest
from scipy.stats import ortho_group

from kerasae.errors import InputError
from kerasae.evaluate import (
    disentanglement,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    mutual_information_gap,
)

FACTORS = np.array(list(itertools.product(range(3), range(4), range(5), range(8), range(4))))
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(len(FACTORS), 6))
TURNED = (FACTORS - FACTORS.mean(axis=0)) / FACTORS.std(axis=0) @ ortho_group.rvs(5, random_state=1)


def dci(codes):
    return disentanglement_completeness_informativeness(codes, FACTORS)


def test_factors_as_codes_are_perfect():
    codes = np.hstack([-2.0 * FACTORS[:, ::-1], 1e-6 * NOISE[:, :2]])
    assert mutual_information_gap(codes, FACTORS) == pytest.approx(1.0, abs=0.03)
    assert factor_vae_score(codes, FACTORS, votes=400) == 1.0
    found = dci(codes)
    assert min(found.disentanglement, found.completeness, found.informativeness) > 0.97


def test_noise_tells_nothing():
    assert mutual_information_gap(NOISE, FACTORS) < 0.02
    assert factor_vae_score(NOISE, FACTORS) < 0.35  # chance is about a fifth
    found = dci(NOISE)
    assert max(found.disentanglement, found.completeness) < 0.05 and found.informativeness < 0.05


def test_a_code_that_never_changes_is_scored():
    still = np.zeros((len(FACTORS), 3))
    assert mutual_information_gap(still, FACTORS) == pytest.approx(0, abs=1e-12)
    assert factor_vae_score(still, FACTORS) < 0.35 and dci(still).disentanglement == 0


def test_a_rotation_lies_between():
    assert mutual_information_gap(TURNED, FACTORS) < 0.4
    assert factor_vae_score(TURNED, FACTORS) < 0.95
    found = dci(TURNED)
    assert found.disentanglement < 0.6 and found.completeness < 0.6 and found.informativeness > 0.3


def test_two_units_with_one_factor_have_no_gap_but_each_has_one_factor():
    """Every factor twice: disentangled, not complete; the gap is zero."""
    codes = np.hstack([FACTORS, FACTORS]) + 1e-9 * RNG.normal(size=(len(FACTORS), 10))
    assert mutual_information_gap(codes, FACTORS) == pytest.approx(0.0, abs=0.01)
    found = dci(codes)
    assert found.disentanglement > 0.97 and found.completeness < 0.8


def test_importances_by_hand():
    """Rows (1, 0) and (½, ½) of weights 1 and 1: (1 · 1 + 1 · 0) / 2."""
    assert disentanglement.one_each(np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx(0.5)
    # rows of weights 3 and 1, the first with the entropy of (⅔, ⅓)
    entropy = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(2)
    assert disentanglement.one_each(np.array([[2.0, 1.0], [0.0, 1.0]])) == pytest.approx((3 * (1 - entropy) + 1) / 4)


def test_gap_by_hand():
    """A bit told whole by one unit and three quarters of the time by another."""
    bit = np.repeat([0, 1], 400)
    other = np.tile([0, 0, 0, 1], 100)
    codes = np.stack([bit, np.r_[other, 1 - other]], axis=1).astype(float)
    second = np.log(2) - (-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    side = np.tile([0, 1], 400)
    expected = ((np.log(2) - second) / np.log(2) + 0.0) / 2
    found = mutual_information_gap(codes, np.stack([bit, side], axis=1))
    of_side = [float(v) for v in sorted(disentanglement.mutual_info_score(side, unit) for unit in codes.T)]
    assert found == pytest.approx(expected + (of_side[1] - of_side[0]) / np.log(2) / 2)


def test_mistakes_are_named():
    with pytest.raises(InputError, match="one length"):
        mutual_information_gap(NOISE[:5], FACTORS)
    with pytest.raises(InputError, match="one value of factor 1"):
        factor_vae_score(NOISE, FACTORS * [1, 0, 1, 1, 1])


def test_examples_run():
    failed, tried = doctest.testmod(disentanglement, extraglobs={"np": np})
    assert failed == 0 and tried >= 2
