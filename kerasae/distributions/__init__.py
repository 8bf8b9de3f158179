"""Level 1: densities, means, draws and divergences of distributions, as plain values and pure functions."""

from kerasae.distributions.divergences import bernoulli_kl, free_bits, gaussian_kl, gaussian_log_density
from kerasae.distributions.full_gaussian import FullGaussianPosterior
from kerasae.distributions.likelihoods import Bernoulli, Categorical, Gaussian, Likelihood
from kerasae.distributions.one_hot import OneHotPosterior, UniformOneHot
from kerasae.distributions.posteriors import GaussianPosterior, Posterior, VonMisesFisherPosterior
from kerasae.distributions.priors import PosteriorMixture, Prior, StandardNormal, UniformCube, UniformSphere
from kerasae.distributions.spread_likelihoods import GaussianPerValue, LogisticMixture
from kerasae.distributions.table_columns import TableColumns
from kerasae.distributions.token_softmax import Tokens
from kerasae.distributions.trigram import Trigram

__all__ = [
    "Bernoulli",
    "Categorical",
    "FullGaussianPosterior",
    "Gaussian",
    "GaussianPerValue",
    "GaussianPosterior",
    "Likelihood",
    "LogisticMixture",
    "OneHotPosterior",
    "Posterior",
    "PosteriorMixture",
    "Prior",
    "StandardNormal",
    "TableColumns",
    "Tokens",
    "Trigram",
    "UniformCube",
    "UniformOneHot",
    "UniformSphere",
    "VonMisesFisherPosterior",
    "bernoulli_kl",
    "free_bits",
    "gaussian_kl",
    "gaussian_log_density",
]
