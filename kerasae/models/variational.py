"""Variational autoencoders: an approximate posterior over the code, and a prior to sample from."""

import keras
from keras import ops

from kerasae.distributions import free_bits, gaussian_kl, gaussian_log_density
from kerasae.errors import InputError
from kerasae.layers import GaussianSample
from kerasae.models.contract.base import Autoencoder
from kerasae.ops import sum_per_example


@keras.saving.register_keras_serializable("kerasae")
class VariationalAutoencoder(Autoencoder):
    """Minimise −E_q[log p(x | z)] + β KL(q(z | x) || N(0, 1)), the negative evidence lower bound at β = 1.

    Kingma and Welling, arXiv 1312.6114, eq. 10; β: Higgins et al., ICLR 2017, eq. 4; free bits: Kingma et al.,
    arXiv 1606.04934, eq. 16. q(z | x) is a diagonal Gaussian, and one draw estimates the expectation.

    Args:
        encoder: Keras model whose output [B, 2Z] holds the mean, then the log-variance (``code_parameters=2``).
        decoder, likelihood, pixel_max: as for `Autoencoder`.
        beta: weight β ≥ 0 of the divergence.
        free_bits: floor in nats of each dimension's batch-mean divergence, ≥ 0; 0 is the exact bound.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=40, widths=(400,), code_parameters=2)
        >>> model = VariationalAutoencoder(*networks, "bernoulli")
    """

    terms = ("reconstruction", "kl")
    code_parameters = 2
    generative = True

    def __init__(self, encoder, decoder, likelihood="bernoulli", pixel_max=255.0, beta=1.0, free_bits=0.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        for name, value in (("beta", beta), ("free_bits", free_bits)):
            if not value >= 0:
                raise InputError(f"VariationalAutoencoder: {name} must be ≥ 0. Received: {name}={value}")
        self.beta, self.free_bits = float(beta), float(free_bits)
        self.draw = GaussianSample()

    def posterior(self, x, training=False):
        """Mean and log-variance of q(z | x): two [B, *code_shape] tensors."""
        return ops.split(self.encoder(self.prepare(x), training=training), 2, axis=-1)

    def objective(self, x, y=None, training=False):
        mean, log_var = self.posterior(x, training)
        kl = free_bits(gaussian_kl(mean, log_var), self.free_bits)
        z = self.draw((mean, log_var))
        return {"reconstruction": self.reconstruction_term(z, x, training), "kl": sum_per_example(kl)}

    @property
    def term_weights(self):
        return {"kl": self.beta}

    def score(self, x):
        """Negative evidence lower bound with z at the posterior mean: [B], nats, higher = less like the data."""
        mean, log_var = self.posterior(x)
        rate = sum_per_example(gaussian_kl(mean, log_var))
        return self.reconstruction_term(mean, self.prepare(x), training=False) + rate

    def sample(self, n, seed=None):
        """Means of p(x | z) for `n` draws z ~ N(0, 1): [n, *shape]; the same for the same integer seed."""
        return self.decode(keras.random.normal((n, *self.code_shape), seed=seed))

    def log_weight(self, x, samples, seed=None):
        """log p(x | z) + log p(z) − log q(z | x) for draws z ~ q(z | x): [samples, B], nats.

        The mean over the draws estimates the bound; log-mean-exp over them estimates log p(x) (Burda et al., arXiv
        1509.00519, eq. 8).
        """
        x = self.prepare(x)
        mean, log_var = (ops.cast(p, "float32") for p in self.posterior(x))
        noise = keras.random.normal((samples, *ops.shape(mean)), seed=seed)
        z = mean + ops.exp(0.5 * log_var) * noise
        flat = ops.reshape(z, (-1, *self.code_shape))
        copies = ops.tile(x, (samples, *[1] * len(self.example_shape)))
        log_p = -self.reconstruction_term(flat, copies, training=False)
        log_p = ops.reshape(log_p, (samples, -1))
        log_ratio = gaussian_log_density(z) - gaussian_log_density(z, mean, log_var)
        # A code may have axes besides its last one, over which the density is a product too.
        return log_p + ops.sum(log_ratio, axis=tuple(range(2, len(log_ratio.shape))))

    def _code(self, encoded):
        return encoded[..., : encoded.shape[-1] // 2]
