"""Estimate the log-likelihood of a model that only samples, by a Parzen window."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import euclidean_distances

from kerasae.evaluate.two_samples import checked_pair

SIGMAS = tuple(np.logspace(-2, 0.5, 26))
"""Standard deviations among which validation chooses."""


@dataclass(frozen=True, eq=False)
class Parzen:
    """Log-likelihoods of test examples under Gaussians around samples; nats."""

    log_likelihood: float
    standard_error: float
    sigma: float


def parzen_window(generated: np.ndarray, validation: np.ndarray, test: np.ndarray, sigmas=SIGMAS) -> Parzen:
    """Estimate the mean log-likelihood log (1/M) Σ_m N(x; sample_m, σ² I) of test examples, in nats.

    σ is the one of greatest mean log-likelihood of the validation examples. Goodfellow et al., arXiv 1406.2661, section
    5. It is unreliable in many dimensions: it ranks models wrongly, and k-means centres beat the true distribution
    (Theis et al., arXiv 1511.01844, section 3.2). It is here for comparison with old tables, which took 10,000 samples.

    Args:
        generated, validation, test: vectors [M, F], [V, F], [N, F].
        sigmas: standard deviations to choose from, > 0.

    Raises:
        InputError: as in `two_sample_test`.

    Example:
        >>> points = np.random.default_rng(0).normal(size=(3, 500, 1))
        >>> -1.5 < parzen_window(*points).log_likelihood < -1.35
        True
    """
    (generated, validation), (_, test) = checked_pair(generated, validation), checked_pair(generated, test)
    squared = euclidean_distances(validation, generated, squared=True)
    means = [log_densities(squared, sigma, generated.shape[1]).mean() for sigma in sigmas]
    sigma = float(sigmas[int(np.argmax(means))])
    found = log_densities(euclidean_distances(test, generated, squared=True), sigma, generated.shape[1])
    return Parzen(float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found))), sigma)


def log_densities(squared: np.ndarray, sigma: float, dimensions: int) -> np.ndarray:
    """Compute log (1/M) Σ_m N(x_n; sample_m, σ² I) from squared distances [N, M]: [N], nats."""
    constant = math.log(squared.shape[1]) + 0.5 * dimensions * math.log(2 * math.pi * sigma**2)
    return logsumexp(-squared / (2 * sigma**2), axis=1) - constant
