"""Tell whether two sets of points come from the same distribution: a permutation test, and a classifier."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kerasae.errors import InputError


@dataclass(frozen=True)
class TwoSampleTest:
    """Squared maximum mean discrepancy of two samples, and the chance of one as large if they are of one kind."""

    mmd2: float
    p_value: float


def two_sample_test(x: np.ndarray, y: np.ndarray, permutations: int = 500, seed: int = 0) -> TwoSampleTest:
    """Test by permutations whether x and y are drawn from one distribution, with the squared MMD.

    The kernel is exp(−‖a − b‖² / (2 s²)), s the median distance of all points; the estimate is without bias (Gretton
    et al., JMLR 13, 2012, eq. 3). The p-value is (1 + those of P random divisions of all points whose discrepancy is at
    least as large) / (1 + P): where both are of one distribution it is at most α in a share α of all tests.

    Args:
        x, y: points [N, Z] and [M, Z], each of at least 2. It takes (N + M)² memory.
        permutations: P.
        seed: of the divisions.

    Raises:
        InputError: fewer than two points, other widths, or numbers that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> two_sample_test(rng.normal(size=(50, 2)), 1 + rng.normal(size=(50, 2))).p_value < 0.01
        True
    """
    x, y = checked_pair(x, y)
    kernel = gaussian_kernel(np.concatenate([x, y]))
    true = np.repeat([1.0, 0.0], [len(x), len(y)])
    drawn = np.random.default_rng(seed).permuted(np.tile(true, (permutations, 1)), axis=1)
    found = discrepancies(kernel, np.vstack([true, drawn]))
    as_large = found[1:] >= found[0] * (1 - 1e-9)
    return TwoSampleTest(float(found[0]), float((1 + as_large.sum()) / (1 + permutations)))


def gaussian_kernel(points: np.ndarray) -> np.ndarray:
    """Compute exp(−‖a − b‖² / (2 s²)), s the median distance, with zeros on the diagonal: [N, N]."""
    squared = cdist(points, points, "sqeuclidean")
    median = np.median(squared[np.triu_indices(len(points), 1)])
    kernel = np.exp(-squared / (2 * median)) if median > 0 else (squared == 0).astype(float)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def discrepancies(kernel: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute the squared MMD of each division of the points: kernel [N, N], members [P, N] of 0 and 1; [P]."""
    n, total = members[0].sum(), kernel.sum()
    m = len(kernel) - n
    sums = members @ kernel
    within, all_of_x = (sums * members).sum(axis=1), sums.sum(axis=1)
    across, within_y = all_of_x - within, total - 2 * all_of_x + within
    return within / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)


def told_apart(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> float:
    """Train logistic regression to tell real from generated examples; return its accuracy on the held-out half.

    One half of both sets, of equal sizes, trains it. One half right cannot tell; 1 always can (Lopez-Paz and Oquab,
    arXiv 1610.06545). It is linear in what it is given: what fools it may not fool a stronger classifier.

    Args:
        real, generated: vectors [N, F] and [M, F].
        seed: of the choice of halves.

    Raises:
        InputError: as in `two_sample_test`.
    """
    real, generated = checked_pair(real, generated)
    count = min(len(real), len(generated))
    rng = np.random.default_rng(seed)  # what is stored is often sorted
    x = np.concatenate([rng.permutation(points)[:count] for points in (real, generated)])
    y = np.repeat([0, 1], count)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.5, stratify=y, random_state=seed)
    with threadpool_limits(1, user_api="blas"):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200)).fit(train_x, train_y)
        return float(model.score(test_x, test_y))


def checked_pair(x, y) -> tuple[np.ndarray, np.ndarray]:
    """Check two sets of finite vectors of one width: float64 [N, F], [M, F]."""
    x, y = (np.asarray(points, np.float64).reshape(len(points), -1) for points in (x, y))
    if min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1]:
        raise InputError(f"x, y: expected two sets [N, F] of one width, N > 1. Received: {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("x, y: expected finite numbers. Received NaN or infinity; check the training of the model")
    return x, y
