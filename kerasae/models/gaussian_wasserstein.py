"""Wasserstein autoencoder whose codes are pulled to the prior by the distance of two Gaussians."""

import keras
from keras import ops

from kerasae.distributions.priors import StandardNormal
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.terms import Statistic
from kerasae.models.wasserstein import whole_vectors
from kerasae.networks.shapes import size
from kerasae.ops import gaussian_w2


@keras.saving.register_keras_serializable("kerasae")
class GaussianWassersteinAutoencoder(Autoencoder):
    """Minimise −log p(x | z) + λ W₂²(N(m, S), N(0, I)), m and S the mean and covariance of the batch's codes.

    The distance is in closed form, ‖m‖² + tr(S + I − 2 S^½): Dowson and Landau, Journal of Multivariate Analysis 12
    (1982), eq. 4; see `kerasae.ops.gaussian_w2`. It sees two moments of
    the codes only: codes may have another shape than the prior's at distance 0. Batches should have several times as
    many examples as the code has dimensions Z.

    Terms: "reconstruction" [B], nats; "w2", one number in squared units of the code for the batch of all replicas.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`.
        w2_weight: weight λ ≥ 0 of the distance; a `Knob`.

    Raises:
        InputError: for micro-batches.

    Example:
        >>> model = GaussianWassersteinAutoencoder(*kerasae.networks.dense((28, 28, 1), code=8), w2_weight=10.0)
    """

    terms = ("reconstruction", "w2")
    statistics = ("w2",)
    generative = True
    w2_weight = Knob(minimum=0.0)

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, w2_weight=10.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.w2_weight = w2_weight

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        return {"reconstruction": self.reconstruction_term(z, batch, training), "w2": Statistic(to_normal(z))}

    @property
    def term_weights(self):
        return {"w2": self.w2_weight}

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws z ~ N(0, I) to means of p(x | z): [n, *shape]; the same for the same integer seed."""
        return self.decode_draws(StandardNormal(), n, y, seed, batch_size)


def to_normal(z):
    """Compute W₂² between the Gaussian of the whole batch's codes and N(0, I)."""
    codes = whole_vectors(z)
    centred = codes - ops.mean(codes, axis=0)
    covariance = ops.matmul(ops.transpose(centred), centred) / ops.cast(ops.shape(codes)[0], "float32")
    dimensions = size(z.shape[1:])
    return gaussian_w2(ops.mean(codes, axis=0), covariance, ops.zeros(dimensions), ops.eye(dimensions))
