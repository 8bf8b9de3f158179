"""Measure whether each unit of a code holds one known factor of variation: MIG, DCI, the FactorVAE score."""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import mutual_info_score

from kerasae.errors import InputError

BINS = 20
"""Equally wide bins of a unit's values, in which its information about a factor is counted."""

SMALLEST = 1e-4
"""Share of the largest variance below which a unit takes no part in the FactorVAE score."""


@dataclass(frozen=True)
class Dci:
    """Disentanglement, completeness and informativeness, each from 0 to 1."""

    disentanglement: float
    completeness: float
    informativeness: float


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray) -> float:
    """Measure how much more the best unit tells of a factor than the second best: 0 to 1, mean over the factors.

    (1/K) Σ_k (I(z_j; v_k) − max_{j' ≠ j} I(z_j'; v_k)) / H(v_k), j the unit that tells most of factor k: Chen et al.,
    arXiv 1802.04942, eq. 6. The information is counted in 20 equally wide bins of each unit, as by Locatello et al.,
    arXiv 1811.12359, where the paper uses the posterior's density.

    Args:
        codes: [N, Z], Z ≥ 2.
        factors: values [N, K] of the known factors, each from few values.

    Raises:
        InputError: lengths that differ, codes of one unit, or a factor that never changes.

    Example:
        >>> grid = np.array([[a, b] for a in range(5) for b in range(5)])
        >>> round(mutual_information_gap(grid, grid), 2)
        1.0
    """
    codes, factors = checked(codes, factors)
    binned = [np.digitize(unit, np.histogram_bin_edges(unit, BINS)[1:-1]) for unit in codes.T]
    values = [np.unique(factor, return_inverse=True)[1] for factor in factors.T]
    told = np.array([[mutual_info_score(factor, unit) for unit in binned] for factor in values])
    entropies = np.array([mutual_info_score(factor, factor) for factor in values])
    ordered = np.sort(told, axis=1)
    return float(np.mean((ordered[:, -1] - ordered[:, -2]) / entropies))


def disentanglement_completeness_informativeness(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> Dci:
    """Measure by importances R [Z, K] of units for factors: one factor per unit, one unit per factor, factors told.

    Eastwood and Williams, ICLR 2018, section 2. Disentanglement is Σ_j ρ_j (1 − H(R_j / Σ_k R_jk) / log K), ρ_j the
    share of unit j in R; completeness likewise of the columns, weighted by their sums. Informativeness is the accuracy
    with which 30 randomised trees, which also give R, tell the factors of a held-out half, above that of the most
    frequent value and scaled to 1.

    Args:
        codes, factors, errors: as for `mutual_information_gap`.
        seed: of the trees and of the halves.
    """
    codes, factors = checked(codes, factors)
    rows = np.random.default_rng(seed).permutation(len(codes))
    learned, held = rows[::2], rows[1::2]
    importances, told = [], []
    for factor in (np.unique(column, return_inverse=True)[1] for column in factors.T):
        trees = ExtraTreesClassifier(30, min_samples_leaf=2, max_features=None, random_state=seed)
        trees.fit(codes[learned], factor[learned])
        importances.append(trees.feature_importances_)
        least = np.mean(factor[held] == np.bincount(factor[learned]).argmax())
        told.append((trees.score(codes[held], factor[held]) - least) / (1 - least))
    shares = np.array(importances).T
    return Dci(one_each(shares), one_each(shares.T), float(np.clip(np.mean(told), 0, 1)))


def one_each(importances: np.ndarray) -> float:
    """Measure how far each row lies in one column: 1 − its entropy in units of the largest, weighted by its sum."""
    sums = importances.sum(axis=1)
    shares = importances / np.where(sums > 0, sums, 1)[:, None]
    entropies = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1)
    return float(np.sum(sums * (1 - entropies / np.log(importances.shape[1]))) / max(sums.sum(), 1e-12))


def factor_vae_score(
    codes: np.ndarray, factors: np.ndarray, votes: int = 1000, examples: int = 64, seed: int = 0
) -> float:
    """Measure how well the unit that varies least tells which factor was held fixed: accuracy of a majority vote.

    Kim and Mnih, arXiv 1802.05983, section 4. A vote fixes one factor at a value, takes random examples that have it,
    and names the unit of least variance, in units of its variance over all examples. Half of the votes choose a factor
    for each unit, the others count. Chance is the share of the most frequent factor, about 1 / K. Units of almost no
    variance are left out.

    Args:
        codes, factors, errors: as for `mutual_information_gap`.
        votes: number of votes.
        examples: most examples in a vote.
        seed: of the votes.
    """
    codes, factors = checked(codes, factors)
    variances = codes.var(axis=0)
    kept = variances >= SMALLEST * variances.max()
    codes, rng = codes[:, kept] / np.sqrt(np.maximum(variances[kept], 1e-30)), np.random.default_rng(seed)
    cast = np.zeros((2, codes.shape[1], factors.shape[1]))
    for vote in range(votes):
        k = rng.integers(factors.shape[1])
        alike = np.flatnonzero(factors[:, k] == rng.choice(factors[:, k]))
        some = rng.permutation(alike)[:examples]
        cast[vote % 2, codes[some].var(axis=0).argmin(), k] += 1
    chosen = cast[0].argmax(axis=1)
    return float(cast[1][np.arange(len(chosen)), chosen].sum() / cast[1].sum())


def checked(codes, factors) -> tuple[np.ndarray, np.ndarray]:
    """Check codes [N, Z] and factors [N, K]; flatten codes of more axes."""
    codes, factors = np.asarray(codes, np.float64).reshape(len(codes), -1), np.asarray(factors)
    if factors.ndim != 2 or len(codes) != len(factors) or codes.shape[1] < 2 or factors.shape[1] < 2:
        raise InputError(
            "codes, factors: expected [N, Z] and [N, K] of one length, Z and K from 2 up. Received: "
            f"{codes.shape} and {factors.shape}"
        )
    if not np.isfinite(codes).all():
        raise InputError("codes: expected finite numbers. Received NaN or infinity; check the training of the model")
    if still := [k for k, column in enumerate(factors.T) if len(np.unique(column)) < 2]:
        raise InputError(f"factors: expected several values of each. Received: one value of factor {still[0]}")
    return codes, factors
