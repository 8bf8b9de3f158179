"""Figures of anomaly scores against counting, and the baselines against what they should find."""

import numpy as np
import pytest

from kerasae.errors import InputError
from kerasae.evaluate import ANOMALY_BASELINES, anomaly_figures, threshold_figures

RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) >= 40
SCORES = (RANDOM.normal(size=60) + LABELS).round(1)


def test_auroc_counts_pairs_and_the_false_alarms_are_those_of_the_highest_threshold_that_finds_95_percent():
    found = anomaly_figures(SCORES, LABELS)
    normal, odd = SCORES[~LABELS], SCORES[LABELS]
    pairs = (odd[:, None] > normal).mean() + 0.5 * (odd[:, None] == normal).mean()
    assert found["auroc"] == pytest.approx(pairs)
    highest = max(t for t in SCORES if (odd >= t).mean() >= 0.95)
    assert found["fpr_at_95_tpr"] == pytest.approx((normal >= highest).mean())
    ranks = [t for t in np.sort(np.unique(SCORES))[::-1]]
    recalls = np.array([0.0, *((odd >= t).mean() for t in ranks)])
    precisions = [LABELS[SCORES >= t].mean() for t in ranks]
    assert found["average_precision"] == pytest.approx((np.diff(recalls) * precisions).sum())


def test_figures_at_a_threshold_count():
    found = threshold_figures(SCORES, LABELS, 1.0)
    above = SCORES > 1.0
    assert found["false_alarms"] == pytest.approx((above & ~LABELS).sum() / 40)
    assert found["recall"] == pytest.approx((above & LABELS).sum() / 20)
    assert found["precision"] == pytest.approx((above & LABELS).sum() / above.sum())


@pytest.mark.parametrize("name", ANOMALY_BASELINES)
def test_a_baseline_scores_what_leaves_the_plane_of_the_training_examples_higher(name):
    plane = RANDOM.normal(size=(2, 6))
    train, test = RANDOM.normal(size=(200, 2)) @ plane, RANDOM.normal(size=(30, 2)) @ plane
    odd = np.concatenate([test, 3 * RANDOM.normal(size=(30, 6))]).astype("float32")
    scores = ANOMALY_BASELINES[name](train.astype("float32"), odd, 0)
    assert anomaly_figures(scores, np.arange(60) >= 30)["auroc"] > 0.9


@pytest.mark.parametrize("labels", [np.ones(60, bool), LABELS[:-1]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(InputError):
        anomaly_figures(SCORES, labels)
