"""Level 1: densities, means, draws and divergences of distributions, as plain values and pure functions."""

from kerasae.distributions.divergences import bernoulli_kl, free_bits, gaussian_kl, gaussian_log_density
from kerasae.distributions.likelihoods import Bernoulli, Categorical, Gaussian, Likelihood
from kerasae.distributions.posteriors import GaussianPosterior, Posterior, VonMisesFisherPosterior
from kerasae.distributions.priors import PosteriorMixture, Prior, StandardNormal, UniformSphere
from kerasae.distributions.table_columns import TableColumns
from kerasae.distributions.token_softmax import Tokens
from kerasae.distributions.trigram import Trigram

__all__ = [
    "Bernoulli",
    "Categorical",
    "Gaussian",
    "GaussianPosterior",
    "Likelihood",
    "Posterior",
    "PosteriorMixture",
    "Prior",
    "StandardNormal",
    "TableColumns",
    "Tokens",
    "Trigram",
    "UniformSphere",
    "VonMisesFisherPosterior",
    "bernoulli_kl",
    "free_bits",
    "gaussian_kl",
    "gaussian_log_density",
]
