"""What pretraining is worth: the accuracy of features beside that of the best baseline, in points and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasae.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Accuracy that features have beyond the best baseline.

    `points` is the mean difference over the repeats in percentage points, `spread` its sample standard deviation, None
    for a single repeat; `best` and `baseline` name what is compared, `accuracies` are their means in [0, 1].
    """

    best: str
    baseline: str
    accuracies: tuple[float, float]
    points: float
    spread: float | None
    repeats: int
    of: str = ""
    """Words behind a percentage, of scores that are no accuracy."""

    @property
    def pays(self) -> bool:
        """Whether the difference is more than one point and more than its spread."""
        return self.points > max(1.0, self.spread or 0.0)

    def sentence(self) -> str:
        """The comparison in words, with the spread and what was repeated.

        Example:
            >>> features, baselines = {"linear probe": [0.9, 0.92]}, {"raw pixels": [0.8, 0.82]}
            >>> print(worth_of(features, baselines).sentence())
            Pretraining pays: linear probe 91.0 %, 10.0 ± 0.0 points above the best baseline, raw pixels (81.0 %).
        """
        spread = f" ± {self.spread:.1f}" if self.spread is not None else ""
        amount = f"{abs(self.points):.1f}{spread} points {'above' if self.points >= 0 else 'below'}"
        verdict = "Pretraining pays" if self.pays else "Pretraining is worth nothing here"
        if not self.pays and self.points > 0:
            verdict = "Pretraining is worth no more than chance here"
        ours, theirs = (100 * accuracy for accuracy in self.accuracies)
        found = f"{self.best} {ours:.1f} %{self.of}"
        return f"{verdict}: {found}, {amount} the best baseline, {self.baseline} ({theirs:.1f} %)."


def worth_of(features: Mapping[str, Sequence[float]], baselines: Mapping[str, Sequence[float]], of: str = "") -> Worth:
    """Compare the best features with the best baseline, repeat by repeat.

    The best are those of the highest mean on the test examples, on both sides: where there are more baselines than
    features, the difference leans to the baselines. Each repeat gives one difference, of the same labels.

    Args:
        features: name → accuracies in [0, 1], one for each repeat.
        baselines: likewise, of the same repeats.
        of: words behind a percentage, where scores are no accuracies, such as " of the variance".

    Raises:
        InputError: nothing to compare, or numbers of repeats that differ.
    """
    counts = {len(values) for values in (*features.values(), *baselines.values())}
    if not features or not baselines or len(counts) != 1 or 0 in counts:
        raise InputError(f"features, baselines: expected accuracies of the same repeats. Received: {counts} repeats")
    best, baseline = (max(group, key=lambda name: np.mean(group[name])) for group in (features, baselines))
    differences = 100 * (np.asarray(features[best]) - np.asarray(baselines[baseline]))
    return Worth(
        best=best,
        baseline=baseline,
        accuracies=(float(np.mean(features[best])), float(np.mean(baselines[baseline]))),
        points=float(np.mean(differences)),
        spread=float(np.std(differences, ddof=1)) if len(differences) > 1 else None,
        repeats=len(differences),
        of=of,
    )
