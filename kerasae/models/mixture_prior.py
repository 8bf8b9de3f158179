"""A learned mixture of Gaussians as the prior of the code."""

import keras
from keras import ops

from kerasae.distributions.posteriors import GaussianPosterior
from kerasae.distributions.priors import PosteriorMixture, Prior
from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class MixturePrior(keras.layers.Layer, Prior):
    """Mix K trained Gaussians: p(z) = (1/K) Σ_k N(z; μ_k, diag σ_k²): Dilokthanakul et al., arXiv 1611.02648.

    The baseline "MoG" of Tomczak and Welling, arXiv 1705.07120, section 4: the weights μ and log σ² are trained with
    the model. The divergence has no closed form, and is estimated at the draw of z.

    Args:
        components: K ≥ 1.
        spread: standard deviation > 0 of the μ_k at the start; all σ_k start at 1.
        seed: integer, or None for one from `keras.utils.set_random_seed`.

    Raises:
        InputError: for K < 1.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=10, posterior="gaussian")
        >>> model = VariationalAutoencoder(*networks, prior=MixturePrior(10))
    """

    def __init__(self, components=10, spread=1.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if components < 1 or not spread > 0:
            raise InputError(
                "MixturePrior: components must be ≥ 1, and spread > 0. "
                f"Received: components={components}, spread={spread}"
            )
        self.components, self.spread, self.seed = int(components), float(spread), seed

    def build(self, input_shape):
        """Create the weights for codes of a shape, [B, *code_shape]."""
        shape = (self.components, *input_shape[1:])
        start = keras.initializers.RandomNormal(0.0, self.spread, seed=self.seed)
        self.means = self.add_weight(shape, start, autocast=False, name="means")
        self.log_variances = self.add_weight(shape, "zeros", autocast=False, name="log_variances")

    def bind(self, posterior, encode):
        encoded = ops.concatenate([ops.cast(v, "float32") for v in (self.means, self.log_variances)], axis=-1)
        return PosteriorMixture(GaussianPosterior(), encoded)

    def get_config(self):
        return {**super().get_config(), "components": self.components, "spread": self.spread, "seed": self.seed}
