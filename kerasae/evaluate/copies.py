"""Find samples that are nearer to a training example than held-out examples are."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

from kerasae.evaluate.two_samples import checked_pair

PERCENTILE = 1.0
"""Percentage of held-out examples that lie nearer to a training example than the threshold."""


@dataclass(frozen=True, eq=False)
class Memorisation:
    """Distances of samples to their nearest training examples."""

    share: float
    """Share of samples below the threshold: about 0.01 where samples lie as held-out examples do."""
    threshold: float
    distances: np.ndarray
    """Distance of each sample to its nearest training example, [M]."""
    nearest: np.ndarray
    """Row of that example, [M]."""


def memorisation(generated: np.ndarray, held_out: np.ndarray, training: np.ndarray) -> Memorisation:
    """Measure the share of samples that are nearer to a training example than 99 % of held-out examples.

    Distances are Euclidean. Samples that are smoother than real examples are near to everything, so that a high share
    is a reason to look at the nearest pairs, not a proof; a low share is no proof either, for a copy that is shifted by
    a pixel is far (Theis et al., arXiv 1511.01844, section 4.1).

    Args:
        generated, held_out, training: vectors [M, F], [H, F], [N, F].

    Raises:
        InputError: as in `two_sample_test`.

    Example:
        >>> line = np.arange(100.0)[:, None]
        >>> memorisation(line[:4], line + 0.25, line).share
        1.0
    """
    generated, training = checked_pair(generated, training)
    held_out, _ = checked_pair(held_out, training)
    nearest, distances = pairwise_distances_argmin_min(generated, training)
    usual = pairwise_distances_argmin_min(held_out, training)[1]
    threshold = float(np.percentile(usual, PERCENTILE))
    return Memorisation(float(np.mean(distances < threshold)), threshold, distances, nearest)
