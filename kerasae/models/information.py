"""InfoVAE: a stochastic encoder whose codes, all together, follow the prior."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.terms import Statistic
from kerasae.models.variational import VariationalAutoencoder
from kerasae.models.wasserstein import SCALES, several_scales, whole_vectors
from kerasae.networks.shapes import size
from kerasae.ops import mmd, rbf


@keras.saving.register_keras_serializable("kerasae")
class InfoVariationalAutoencoder(VariationalAutoencoder):
    """Minimise −E_q[log p(x | z)] + (1 − α) KL(q(z | x) || p(z)) + (α + λ − 1) MMD²(q(z), p(z)).

    Zhao, Song and Ermon, arXiv 1706.02262, eq. 6. β is the paper's 1 − α, and `mmd_weight` its α + λ − 1. The
    default, β = 0, is the MMD-VAE (α = 1): the code may carry all that it can about x, while the codes of all x
    follow the prior. MMD² is estimated from the draws z of the whole batch by the sum of Gaussian kernels of
    `WassersteinAutoencoder`.

    Terms: "reconstruction" and "kl" [B], nats; "mmd", one unitless number for the batch of all replicas.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `VariationalAutoencoder`.
        beta: weight 1 − α ≥ 0 of the divergence; a `Knob`.
        mmd_weight: weight ≥ 0 of the discrepancy; a `Knob`.
        **kwargs: free_bits, posterior and prior as for `VariationalAutoencoder`.

    Raises:
        InputError: for a prior that depends on the encoder or is learned, and micro-batches.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=10, posterior="gaussian")
        >>> model = InfoVariationalAutoencoder(*networks, "bernoulli", mmd_weight=1000.0)
    """

    terms = ("reconstruction", "kl", "mmd")
    statistics = ("mmd",)
    mmd_weight = Knob(minimum=0.0)

    def __init__(
        self, encoder, decoder, likelihood="bernoulli", pixel_max=255.0, beta=0.0, mmd_weight=1000.0, **kwargs
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, beta, **kwargs)
        if isinstance(self.prior, keras.layers.Layer):
            raise InputError(f"{type(self).__name__}: the prior must be fixed. Received: {type(self.prior).__name__}")
        self.mmd_weight = mmd_weight

    def objective(self, batch, training=False):
        encoded, random = self.encoded(batch, training), self.random(training)
        z = self.posterior.draw(encoded, random)
        draws = self.prior.draw(ops.shape(z), random)
        kernel = several_scales(rbf, SCALES, size(self.code_shape))
        return {
            "reconstruction": self.reconstruction_term(z, batch, training),
            "kl": self.divergence(encoded, z),
            "mmd": Statistic(mmd(whole_vectors(z), whole_vectors(draws), kernel)),
        }

    @property
    def term_weights(self):
        return {**super().term_weights, "mmd": self.mmd_weight}
