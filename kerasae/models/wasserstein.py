"""Wasserstein autoencoder: pulls the distribution of all codes, not each example's posterior, to the prior."""

import keras
from keras import ops

from kerasae.distributions.priors import Prior, get_prior
from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.replicas import whole_batch
from kerasae.models.contract.terms import Statistic
from kerasae.networks.shapes import size
from kerasae.ops import inverse_multiquadratic, mmd, rbf

KERNELS = {"inverse_multiquadratic": inverse_multiquadratic, "rbf": rbf}
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Default scales of the kernel, from the authors' code."""


@keras.saving.register_keras_serializable("kerasae")
class WassersteinAutoencoder(Autoencoder):
    """Minimise −log p(x | z) + λ MMD²(q(z), p(z)), z = encode(x): the WAE-MMD.

    Tolstikhin, Bousquet, Gelly and Schölkopf, arXiv 1711.01558, eq. 4 and algorithm 2. MMD² is the unbiased estimate of
    `kerasae.ops.mmd` between the codes of the whole batch and as many draws of the prior; it may be negative. The
    kernel is Σ_s C_s / (C_s + ‖z − z̃‖²) with C_s = 2 Z s, where 2 Z is the mean squared distance of two draws of
    N(0, I). For a prior of variance σ² multiply the scales by σ².

    Terms: "reconstruction" [B], nats (Gaussian: half the squared error and a constant); "mmd", one unitless
    number for the batch of all replicas, which ignores weights of examples. It takes B² memory.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`.
        mmd_weight: weight λ ≥ 0 of the discrepancy; a `Knob`.
        prior: "standard", or a `kerasae.distributions.priors.Prior`; one made of encoded examples is refused.
        kernel: "inverse_multiquadratic", or "rbf" for Σ_s exp(−‖z − z̃‖² / C_s).
        scales: the scales s > 0 of the kernel.

    Raises:
        InputError: for an unknown prior or kernel, scales that are not positive, and micro-batches.

    Example:
        >>> model = WassersteinAutoencoder(*kerasae.networks.dense((28, 28, 1), code=8), mmd_weight=100.0)
        >>> model.compile("adam")
    """

    terms = ("reconstruction", "mmd")
    statistics = ("mmd",)
    generative = True
    mmd_weight = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="gaussian",
        pixel_max=255.0,
        mmd_weight=10.0,
        prior="standard",
        kernel="inverse_multiquadratic",
        scales=SCALES,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.mmd_weight, self.prior = mmd_weight, get_prior(prior)
        if not isinstance(self.prior, Prior):
            raise InputError(f"{type(self).__name__}: prior must not depend on the encoder. Received: {prior!r}")
        if kernel not in KERNELS:
            raise InputError(f"{type(self).__name__}: kernel must be one of {', '.join(KERNELS)}. Received: {kernel!r}")
        if not scales or not min(scales) > 0:
            raise InputError(f"{type(self).__name__}: scales must be numbers > 0. Received: scales={scales}")
        self.kernel, self.scales = KERNELS[kernel], tuple(float(s) for s in scales)

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        draws = self.prior.draw(ops.shape(z), self.random(training))
        kernel = several_scales(self.kernel, self.scales, size(self.code_shape))
        return {
            "reconstruction": self.reconstruction_term(z, batch, training),
            "mmd": Statistic(mmd(whole_vectors(z), whole_vectors(draws), kernel)),
        }

    @property
    def term_weights(self):
        return {"mmd": self.mmd_weight}

    def code_prior(self):
        return self.prior

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws z ~ p(z) to means of p(x | z): [n, *shape]; the same for the same integer seed."""
        return self.decode_draws(self.prior, n, y, seed, batch_size)


def several_scales(kernel, scales, dimensions):
    """Build the kernel Σ_s k(·, 2 Z s) of squared distances, Z the dimensions of the code."""
    return lambda squared: sum(kernel(squared, 2.0 * dimensions * scale) for scale in scales)


def whole_vectors(z):
    """Flatten the codes of the batch of all replicas: float32 [B, Z]."""
    return whole_batch(ops.reshape(ops.cast(z, "float32"), (-1, size(z.shape[1:]))))
