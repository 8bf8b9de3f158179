"""Compare two sets of images by features of a network: Fréchet distance, precision and recall."""

import numpy as np
from scipy.spatial.distance import cdist

from kerasae.evaluate.two_samples import checked_pair


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Compute the Fréchet distance of the Gaussians of two sets of features.

    ‖m − m'‖² + tr(S + S' − 2 (S S')^½): Dowson and Landau, Journal of Multivariate Analysis 12 (1982), eq. 4; of
    features of images: Heusel et al., arXiv 1706.08500, section 3. It depends on the network, and is too large where
    examples are few: compare sets of the same sizes only.

    Args:
        real, generated: features [N, F] and [M, F].

    Raises:
        InputError: fewer than two examples, other widths, or numbers that are not finite.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> round(frechet_distance(x, x + [3.0, 0.0, 0.0]), 6)
        9.0
    """
    real, generated = checked_pair(real, generated)
    of_real, of_generated = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, generated))
    values, vectors = np.linalg.eigh(of_real)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    products = np.linalg.eigvalsh(root @ of_generated @ root)
    apart = np.sum((real.mean(axis=0) - generated.mean(axis=0)) ** 2)
    traces = np.trace(of_real) + np.trace(of_generated) - 2 * np.sqrt(np.maximum(products, 0)).sum()
    return float(apart + traces)


def precision_and_recall(real: np.ndarray, generated: np.ndarray, neighbours: int = 3) -> tuple[float, float]:
    """Measure which share of generated examples lies among the real ones, and which share of real among generated.

    An example lies among a set where it is no farther from one of its members than that member's k-th nearest
    neighbour in the set: Kynkäänniemi et al., arXiv 1904.06991, eq. 1 and 2. Precision is quality, recall variety.

    Args:
        real, generated: features [N, F] and [M, F]; it takes N², M² and NM memory.
        neighbours: k ≥ 1.

    Raises:
        InputError: as in `frechet_distance`.

    Example:
        >>> line = np.arange(10.0)[:, None]
        >>> precision_and_recall(line, line[:5] / 100, neighbours=1)
        (1.0, 0.1)
    """
    real, generated = checked_pair(real, generated)
    across = cdist(real, generated)
    precision = np.mean((across <= radii(real, neighbours)[:, None]).any(axis=0))
    recall = np.mean((across <= radii(generated, neighbours)).any(axis=1))
    return float(precision), float(recall)


def radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """Compute the distance of each point to its k-th nearest neighbour, itself left out, or to the farthest: [N]."""
    nearest = min(neighbours, len(points) - 1)
    return np.partition(cdist(points, points), nearest, axis=1)[:, nearest]
