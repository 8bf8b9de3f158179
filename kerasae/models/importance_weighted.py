"""Importance-weighted autoencoder: several draws of the code per example tighten the bound."""

import math

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.models.variational import VariationalAutoencoder

ESTIMATORS = ("reparametrised", "doubly")


@keras.saving.register_keras_serializable("kerasae")
class ImportanceWeightedAutoencoder(VariationalAutoencoder):
    """Minimise −E log (1/K) Σ_k w_k, w_k = p(x | z_k) p(z_k) / q(z_k | x): a tighter bound on −log p(x) than one draw.

    Burda, Grosse and Salakhutdinov, arXiv 1509.00519, eq. 8. With K = 1 it is the negative evidence lower bound, its
    divergence estimated at the draw. A step costs the decoder K times. The more draws, the worse the encoder's gradient
    by reparametrisation alone; `estimator="doubly"` reparametrises twice, which keeps its quality: Tucker et al., arXiv
    1810.04152, eq. 8: Σ_k w̃_k² ∂log w_k/∂z_k ∂z_k/∂φ with w̃_k the normalised weights. It runs the decoder
    forward twice.

    Term: "negative_bound" [B], nats, at K draws.

    Args:
        encoder, decoder, likelihood, pixel_max, posterior, prior: as for `VariationalAutoencoder`.
        samples: K ≥ 1.
        estimator: "reparametrised" (the paper's) or "doubly".

    Raises:
        InputError: for K < 1, another estimator, or one-hot codes, whose draws are not reparametrised.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=50, widths=(200, 200), posterior="gaussian")
        >>> model = ImportanceWeightedAutoencoder(*networks, "bernoulli", samples=5)
    """

    terms = ("negative_bound",)
    sets_itself = ("beta", "free_bits", "capacity")
    beta, capacity = 1.0, 0.0
    """No `Knob`s here: the bound of several draws has no divergence to weigh."""

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        samples=5,
        estimator="reparametrised",
        posterior="gaussian",
        prior=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, 1.0, 0.0, posterior, prior, 0.0, **kwargs)
        name = type(self).__name__
        if not samples >= 1:
            raise InputError(f"{name}: samples must be at least 1. Received: samples={samples}")
        if estimator not in ESTIMATORS:
            raise InputError(f"{name}: estimator must be one of {', '.join(ESTIMATORS)}. Received: {estimator!r}")
        if self.posterior.support == "one-hot":
            raise InputError(f"{name}: importance weights of one-hot codes have no gradient; choose another posterior")
        self.samples, self.estimator = int(samples), estimator

    def objective(self, batch, training=False):
        encoded = self.encoded(batch, training)
        z = self.posterior.draw(encoded, self.random(training), self.samples)
        if training and self.estimator == "doubly":
            return {"negative_bound": self.doubly_reparametrised(encoded, z, batch)}
        weights = self.log_weights(encoded, z, batch, training)
        return {"negative_bound": math.log(self.samples) - ops.logsumexp(weights, axis=0)}

    @property
    def term_weights(self):
        return {}

    def doubly_reparametrised(self, encoded, z, batch):
        """Compute the negative bound with the gradients of Tucker et al., eq. 8: [B], nats."""
        held = ops.stop_gradient(encoded)
        log_weights = ops.stop_gradient(self.log_weights(held, z, batch, True))
        shares = ops.softmax(log_weights, axis=0)
        factors = ops.reshape(shares, (*ops.shape(shares), *[1] * len(self.code_shape)))
        # A gradient through z meets the share twice, once here and once below; the decoder's meets it once.
        scaled = ops.stop_gradient((1.0 - factors) * z) + factors * z
        surrogate = -ops.sum(shares * self.log_weights(held, scaled, batch, True), axis=0)
        bound = math.log(self.samples) - ops.logsumexp(log_weights, axis=0)
        return surrogate + ops.stop_gradient(bound - surrogate)
