"""β-TC-VAE: a divergence from independent dimensions, estimated from the posteriors of a batch."""

import math

import keras
from keras import ops

from kerasae.distributions.posteriors import GaussianPosterior
from kerasae.errors import InputError
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.replicas import whole_batch
from kerasae.models.variational import VariationalAutoencoder


@keras.saving.register_keras_serializable("kerasae")
class TotalCorrelationAutoencoder(VariationalAutoencoder):
    """Minimise −E_q[log p(x | z)] + β KL(q(z | x) || p(z)) + γ KL(q(z) || Π_j q(z_j)), without a discriminator.

    Chen et al., arXiv 1802.04942, eq. 4, whose β is 1 + γ here: the divergence of eq. 2 holds the total correlation
    once already. log q(z) of a draw is estimated as log (1/M) Σ_m q(z | x_m) over the whole batch of M, and log q(z_j)
    likewise. The authors' weights for a data set of N add a constant, which changes no gradient. The estimate is
    too small where M is small, as the draw's own posterior is among the M.

    Terms: "reconstruction", "kl" and "total_correlation", each [B], nats. It takes M² Z memory.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `VariationalAutoencoder`; the code must be a vector.
        gamma: weight γ ≥ 0 of the total correlation; a `Knob`. The paper's β of 6 is γ = 5.
        **kwargs: beta, free_bits and prior as for `VariationalAutoencoder`.

    Raises:
        InputError: for codes that are no vectors, another posterior, and micro-batches.

    Example:
        >>> networks = kerasae.networks.dense((64, 64, 1), code=10, posterior="gaussian")
        >>> model = TotalCorrelationAutoencoder(*networks, "bernoulli", gamma=5.0)
    """

    terms = ("reconstruction", "kl", "total_correlation")
    statistics = ("total_correlation",)
    gamma = Knob(minimum=0.0)

    def __init__(self, encoder, decoder, likelihood="bernoulli", pixel_max=255.0, gamma=5.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        if len(self.code_shape) != 1 or not isinstance(self.posterior, GaussianPosterior):
            raise InputError(
                f"{type(self).__name__}: codes must be vectors of a diagonal Gaussian posterior. Received: codes "
                f"{self.code_shape}, {type(self.posterior).__name__}"
            )
        self.gamma = gamma

    def objective(self, batch, training=False):
        encoded = self.encoded(batch, training)
        z = self.posterior.draw(encoded, self.random(training))
        return {
            "reconstruction": self.reconstruction_term(z, batch, training),
            "kl": self.divergence(encoded, z),
            "total_correlation": total_correlation(
                z, *ops.split(whole_batch(ops.cast(encoded, "float32")), 2, axis=-1)
            ),
        }

    @property
    def term_weights(self):
        return {**super().term_weights, "total_correlation": self.gamma}


def total_correlation(z, means, log_variances):
    """Estimate log q(z) − Σ_j log q(z_j) of draws, q the mean of M Gaussians: [B], nats.

    Chen et al., arXiv 1802.04942, section 3.1, with equal weights.

    Args:
        z: [B, Z].
        means, log_variances: [M, Z], of the Gaussians.
    """
    apart = ops.square(ops.expand_dims(z, 1) - means) * ops.exp(-log_variances)
    each = -0.5 * (apart + log_variances + math.log(2.0 * math.pi))  # [B, M, Z]
    log_count = ops.log(ops.cast(ops.shape(means)[0], "float32"))
    joint = ops.logsumexp(ops.sum(each, axis=-1), axis=1) - log_count
    return joint - ops.sum(ops.logsumexp(each, axis=1) - log_count, axis=-1)
