"""Thresholds of anomaly scores, and the false alarms that they let expect."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from kerasae.errors import InputError


class Calibration(NamedTuple):
    """A threshold of scores, and how many of the normal examples that chose it lie above."""

    threshold: float
    alarms: int
    """Normal examples above the threshold."""
    examples: int
    """All normal examples that were scored."""

    @property
    def rate(self) -> float:
        """Expected share of new normal examples above the threshold, (alarms + 1) / (examples + 1), or a bit less."""
        return (self.alarms + 1) / (self.examples + 1)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Compute the Clopper–Pearson interval of the share of normal examples above the threshold.

        Clopper and Pearson, Biometrika 26 (1934). It also holds for a threshold that is an order statistic of these
        scores: the share of new examples above it is distributed as Beta(alarms + 1, examples − alarms).
        """
        tail = (1.0 - confidence) / 2.0
        low = stats.beta.ppf(tail, self.alarms, self.examples - self.alarms + 1) if self.alarms else 0.0
        above = self.alarms < self.examples
        high = stats.beta.ppf(1.0 - tail, self.alarms + 1, self.examples - self.alarms) if above else 1.0
        return float(low), float(high)

    def words(self) -> str:
        """Say how many false alarms to expect."""
        low, high = (f"{1000 * share:.0f}" for share in self.interval())
        return (
            f"about {1000 * self.rate:.0f} of 1,000 normal examples will be called anomalies "
            f"(95 % interval {low} to {high}, from {self.examples:,} held-out normal examples)"
        )


def quantile_threshold(scores, contamination: float) -> Calibration:
    """Choose the least score of normal examples above which a new one lies with a chance of at most `contamination`.

    It is the k-th smallest of n scores, k = ⌈(n + 1)(1 − contamination)⌉: split conformal prediction, Vovk, Gammerman
    and Shafer, Algorithmic Learning in a Random World (2005). No distribution of the scores is assumed, only that the
    n examples and the new one are drawn alike, and that training has not seen them.

    Args:
        scores: [N] of normal examples that training has not seen.
        contamination: in (0, 1).

    Raises:
        InputError: too few examples, or a score that is no number.

    Example:
        >>> quantile_threshold(np.arange(1.0, 100.0), 0.05)
        Calibration(threshold=95.0, alarms=4, examples=99)
    """
    scores = _checked(scores)
    if not 0.0 < contamination < 1.0:
        raise InputError(f"contamination: expected a share between 0 and 1. Received: {contamination}")
    count = len(scores)
    place = int(np.ceil((count + 1) * (1.0 - contamination) - 1e-9))
    if place > count:
        least = int(np.ceil(1.0 / contamination - 1e-9)) - 1
        raise InputError(
            f"contamination: {contamination:g} needs at least {least} normal examples that training has not seen. "
            f"Received: {count}; hold more out, or give a larger contamination"
        )
    threshold = np.float32(np.sort(scores)[place - 1])
    return Calibration(float(threshold), int((scores > threshold).sum()), count)


def f1_threshold(scores, anomalies) -> Calibration:
    """Choose the threshold of the best F1 = 2 precision · recall / (precision + recall) on labelled examples.

    The expected false alarms are then a little too few, as the same examples have chosen the threshold.

    Args:
        scores: [N], of examples that training has not seen.
        anomalies: [N], true for anomalies; some of both kinds.

    Example:
        >>> f1_threshold([1.0, 2.0, 3.0, 4.0], [False, False, True, True]).threshold
        2.5
    """
    scores, anomalies = _checked(scores), np.asarray(anomalies, bool)
    if len(scores) != len(anomalies) or anomalies.all() or not anomalies.any():
        raise InputError("anomalies: expected a label for each score, some true and some false")
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(anomalies[order])
    f1 = 2.0 * found / (np.arange(1, len(scores) + 1) + anomalies.sum())
    possible = np.append(ranked[:-1] > ranked[1:], True)  # equal scores stay together
    best = int(np.argmax(np.where(possible, f1, -1.0)))
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best] - 1.0
    threshold = np.float32((ranked[best] + below) / 2.0)
    normal = scores[~anomalies]
    return Calibration(float(threshold), int((normal > threshold).sum()), len(normal))


def _checked(scores) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise InputError(f"scores: expected finite numbers [N]. Received: shape {scores.shape}, or NaN")
    return scores
