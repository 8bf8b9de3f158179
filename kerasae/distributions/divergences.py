"""Densities and divergences of diagonal Gaussians, and divergences of Bernoulli distributions."""

import math

from keras import ops

LOG_2PI = math.log(2.0 * math.pi)


def gaussian_kl(mean, log_var):
    """Compute KL( N(mean, exp(log_var)) || N(0, 1) ) for every dimension of the code, in nats.

    ½ (μ² + σ² − 1 − log σ²): Kingma and Welling, arXiv 1312.6114, appendix B.

    Args:
        mean: [B, Z].
        log_var: [B, Z], natural logarithm of the variance.

    Returns:
        float32 [B, Z]; sum over the last axis for the divergence of each example.
    """
    mean, log_var = ops.cast(mean, "float32"), ops.cast(log_var, "float32")
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - 1.0 - log_var)


def gaussian_log_density(z, mean=0.0, log_var=0.0):
    """Compute log N(z; mean, exp(log_var)) summed over the last axis, in nats: [..., Z] → [...]."""
    z = ops.cast(z, "float32")
    mean, log_var = ops.cast(mean, "float32"), ops.cast(log_var, "float32")
    squares = ops.square(z - mean) * ops.exp(-log_var)
    return -0.5 * ops.sum(squares + log_var + LOG_2PI, axis=-1)


def free_bits(mean_kl, nats):
    """Sum the KL of the dimensions with a floor λ under each, the free bits: a scalar in nats.

    Σ_j max(λ, E_batch[KL_j]): Kingma et al., arXiv 1606.04934, eq. 16. A dimension under the floor is replaced by the
    constant λ, so that it gets no gradient.

    Args:
        mean_kl: [Z], mean over the whole batch of each dimension's divergence, nats.
        nats: the floor λ ≥ 0 of each dimension; 0 changes nothing.
    """
    return ops.sum(ops.where(mean_kl > nats, mean_kl, ops.full_like(mean_kl, nats)))


def bernoulli_kl(target, mean):
    """Compute KL( Bernoulli(target) || Bernoulli(mean) ), in nats.

    ρ log(ρ / ρ̂) + (1 − ρ) log((1 − ρ) / (1 − ρ̂)): Ng, CS294A lecture notes "Sparse autoencoder", section 3.

    Args:
        target: ρ in (0, 1).
        mean: ρ̂ in [0, 1], of any shape; it is kept 10⁻⁶ away from 0 and 1, where the divergence is infinite.

    Returns:
        float32, in the shape of `mean`.
    """
    mean = ops.clip(ops.cast(mean, "float32"), 1e-6, 1.0 - 1e-6)
    target = ops.cast(target, "float32")
    return target * (ops.log(target) - ops.log(mean)) + (1.0 - target) * (ops.log1p(-target) - ops.log1p(-mean))
