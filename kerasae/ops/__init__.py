"""Level 0: pure tensor functions, without weights, state or files."""

from kerasae.ops.divergences import free_bits, gaussian_kl, gaussian_log_density
from kerasae.ops.likelihoods import Bernoulli, Categorical, Gaussian, Likelihood
from kerasae.ops.pixels import sum_per_example, to_unit

__all__ = [
    "Bernoulli",
    "Categorical",
    "Gaussian",
    "Likelihood",
    "free_bits",
    "gaussian_kl",
    "gaussian_log_density",
    "sum_per_example",
    "to_unit",
]
