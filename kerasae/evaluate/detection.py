"""Figures of anomaly scores against labels: without a threshold, and at one."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from kerasae.errors import InputError


def anomaly_figures(scores, anomalies) -> dict[str, float]:
    """Measure how scores order anomalies before normal examples, whatever the threshold.

    Args:
        scores: [N], higher = more anomalous.
        anomalies: bool [N], some of both kinds.

    Returns:
        `auroc`, the chance that an anomaly scores above a normal example; `average_precision`, which depends on the
        share of anomalies; `fpr_at_95_tpr`, the share of normal examples above the highest threshold that finds 95 % of
        the anomalies.

    Raises:
        InputError: another number of scores than labels, NaN, or one kind of examples alone.

    Example:
        >>> anomaly_figures([0.1, 0.2, 0.9], [False, False, True])
        {'auroc': 1.0, 'average_precision': 1.0, 'fpr_at_95_tpr': 0.0}
    """
    scores, anomalies = _checked(scores, anomalies)
    false, true, _ = roc_curve(anomalies, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(anomalies, scores)),
        "average_precision": float(average_precision_score(anomalies, scores)),
        "fpr_at_95_tpr": float(false[true >= 0.95].min()),
    }


def threshold_figures(scores, anomalies, threshold: float) -> dict[str, float]:
    """Measure the share of false alarms among normal examples, and of anomalies found, above a threshold.

    Returns:
        `false_alarms`, `recall`, and `precision`, 0 where nothing lies above the threshold.

    Example:
        >>> threshold_figures([0.1, 0.8, 0.9], [False, False, True], 0.5)
        {'false_alarms': 0.5, 'recall': 1.0, 'precision': 0.5}
    """
    scores, anomalies = _checked(scores, anomalies)
    above = scores > threshold
    return {
        "false_alarms": float(above[~anomalies].mean()),
        "recall": float(above[anomalies].mean()),
        "precision": float(anomalies[above].mean()) if above.any() else 0.0,
    }


def _checked(scores, anomalies):
    scores, anomalies = np.asarray(scores, np.float64), np.asarray(anomalies, bool)
    if scores.ndim != 1 or scores.shape != anomalies.shape or not np.isfinite(scores).all():
        raise InputError(f"scores: expected finite numbers, one for each of {len(anomalies)} labels.")
    if anomalies.all() or not anomalies.any():
        raise InputError("anomalies: expected examples of both kinds, normal ones and anomalies.")
    return scores, anomalies
