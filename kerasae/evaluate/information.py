"""Split the bound of a variational autoencoder: rate, distortion, active units, information in the code."""

from dataclasses import dataclass

import keras
import numpy as np

from kerasae.distributions.priors import PosteriorMixture
from kerasae.errors import InputError
from kerasae.evaluate.bound import evidence_lower_bound
from kerasae.evaluate.probe import example_batches, features
from kerasae.layers.draws import Draws

ACTIVE = 0.01
"""Variance of a unit's mean code over the examples above which it is active: Burda et al., section 5.2."""

DRAWS = 1000
"""Most examples at whose draws the density of all codes is estimated."""

MIXED = 10_000
"""Most examples whose posteriors make up the density of all codes."""

COLLAPSED = 0.1
"""Rate in nats per example below which a code says nothing."""


@dataclass(frozen=True, kw_only=True)
class Information:
    """What a code holds; all but the units in nats per example.

    rate = mutual_information + aggregate_divergence, and rate + distortion is the negative evidence lower bound.
    """

    rate: float
    distortion: float
    active_units: int
    units: int
    mutual_information: float
    aggregate_divergence: float
    most_information: float
    """Logarithm of the number of examples, which the mutual information cannot exceed. Near it, the information may be
    more and the aggregate divergence less."""


def code_information(model, x, samples: int = 1, *, seed: int = 0) -> Information:
    """Measure rate, distortion, active units and mutual information of the codes of a variational model.

    The rate is E KL(q(z|x) ‖ p(z)), in closed form where there is one; the distortion is −E log p(x|z) (Alemi et al.,
    arXiv 1711.00464). Active units are those whose mean code varies by more than 0.01 over the examples (Burda et al.,
    arXiv 1509.00519, section 5.2). The rate is the sum of the information I(x; z) under q(z) = (1/N) Σ q(z|x_n), and of
    KL(q(z) ‖ p(z)) (Hoffman and Johnson, NIPS 2016 workshop, eq. 8).

    Args:
        model: a model with `has_posterior`.
        x: N examples as stored [N, ...], or a split. q(z) mixes at most 10,000 of them, drawn at random.
        samples: draws of z per example, for the distortion.
        seed: of all draws.

    Raises:
        InputError: a model whose codes have no posterior.

    Example:
        >>> code_information(model, source.test).active_units
        8
    """
    if not model.has_posterior:
        raise InputError(f"model: expected one with a posterior q(z | x). Received: {type(model).__name__}")
    encoded, means = posterior_parameters(model, x), features(model, x)
    rate = mean_divergence(model, encoded, seed)
    bound = float(evidence_lower_bound(model, x, samples, seed=seed).mean())
    chosen = np.random.default_rng(seed).permutation(len(encoded))[:MIXED]
    information = mutual_information(model, encoded[chosen], seed)
    return Information(
        rate=rate,
        distortion=-bound - rate,
        active_units=active_units(means),
        units=means.shape[1],
        mutual_information=information,
        aggregate_divergence=rate - information,
        most_information=float(np.log(len(chosen))),
    )


def code_use(model, x, seed: int = 0) -> tuple[float, int]:
    """Measure the rate, nats per example, and the number of active units; see `code_information`."""
    encoded = posterior_parameters(model, x)
    means = keras.ops.convert_to_numpy(model.posterior.mean(encoded))
    return mean_divergence(model, encoded, seed), active_units(means.reshape(len(means), -1))


def posterior_parameters(model, x) -> np.ndarray:
    """Collect the parameters of q(z | x) of all examples: [N, *shape]."""
    parts = (model.posterior_parameters(batch) for batch, _ in example_batches(x, 256))
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])


def posterior_draws(model, x, seed: int = 0) -> np.ndarray:
    """Draw one code z ~ q(z | x) of every example: [N, Z]."""
    z = model.posterior.draw(posterior_parameters(model, x), Draws(seed))
    return keras.ops.convert_to_numpy(z).reshape(len(z), -1)


def active_units(means: np.ndarray) -> int:
    """Count the units of mean codes [N, Z] whose variance over the examples exceeds 0.01.

    Example:
        >>> active_units(np.array([[0.0, 5.0], [1.0, 5.0]]))
        1
    """
    return int((np.var(means, axis=0) > ACTIVE).sum())


def mean_divergence(model, encoded: np.ndarray, seed: int = 0) -> float:
    """Average KL(q(z | x) ‖ p(z)) over examples, in closed form or at one draw each; nats."""
    prior, axes = model.code_prior(), len(model.code_shape)
    total = 0.0
    for start in range(0, len(encoded), 1000):
        part = encoded[start : start + 1000]
        kl = model.posterior.kl(part, prior)
        if kl is None:
            z = model.posterior.draw(part, Draws(seed + start))
            kl = model.posterior.log_prob(part, z, axes) - prior.log_prob(z, axes)
        total += float(keras.ops.convert_to_numpy(kl).sum(dtype=np.float64))
    return total / len(encoded)


def mutual_information(model, encoded: np.ndarray, seed: int = 0) -> float:
    """Estimate E [log q(z | x) − log (1/N) Σ_n q(z | x_n)] at one draw of each of at most 1,000 examples; nats.

    It lies between 0 and log N on average.
    """
    posterior, axes, some = model.posterior, len(model.code_shape), encoded[:DRAWS]
    z = posterior.draw(some, Draws(seed))
    own, mixture = posterior.log_prob(some, z, axes), PosteriorMixture(posterior, encoded)
    parts = [mixture.log_prob(z[i : i + 20], axes) for i in range(0, len(some), 20)]
    return float(np.mean(keras.ops.convert_to_numpy(own) - np.concatenate(parts), dtype=np.float64))


def collapse(rate: float, active: int) -> str:
    """Say in words that a code has collapsed to the prior; "" where it has not.

    Example:
        >>> collapse(rate=12.0, active=5)
        ''
    """
    if rate >= COLLAPSED and active:
        return ""
    units = "no active unit" if not active else f"{active} active unit{'s' * (active > 1)}"
    return f"the code has collapsed to the prior: {rate:.3g} nats per example, {units}, so that the decoder ignores it"
