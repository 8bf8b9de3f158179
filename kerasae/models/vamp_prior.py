"""VampPrior: a learned prior, the mixture of the posteriors of trained pseudo-inputs."""

import keras
from keras import ops

from kerasae.distributions.priors import PosteriorMixture, Prior
from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class VampPrior(keras.layers.Layer, Prior):
    """Mix the posteriors of K trained pseudo-inputs: p(z) = (1/K) Σ_k q(z | u_k), u_k = sigmoid(w_k) in [0, 1].

    Tomczak and Welling, arXiv 1705.07120, eq. 9: the prior that maximises the bound is the mean of q(z | x) over the
    data, and K pseudo-inputs approximate it. The model that takes the prior makes the weights w [K, *shape], and trains
    them through its encoder. The divergence has no closed form, and is estimated at the draw of z.

    Args:
        components: K ≥ 1; a step encodes K additional inputs. The paper has 500.
        seed: integer, or None for one from `keras.utils.set_random_seed`; w starts as N(0, 1).

    Raises:
        InputError: for K < 1; a model raises it if its encoder takes a condition, which pseudo-inputs do not have.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=40, posterior="gaussian")
        >>> model = VariationalAutoencoder(*networks, prior=VampPrior(500))
        >>> model.prior.pseudo_inputs()  # [500, 28, 28, 1], as pictures
    """

    of_encoder = True

    def __init__(self, components, seed=None, **kwargs):
        super().__init__(**kwargs)
        if components < 1:
            raise InputError(f"VampPrior: components must be ≥ 1. Received: components={components}")
        self.components, self.seed = int(components), seed

    def build(self, input_shape):
        """Create the weights for examples of a shape, [B, *shape]."""
        start = keras.initializers.RandomNormal(0.0, 1.0, seed=self.seed)
        self.logits = self.add_weight((self.components, *input_shape[1:]), start, autocast=False, name="pseudo_inputs")

    def pseudo_inputs(self):
        """Compute the pseudo-inputs u = sigmoid(w): float32 [K, *shape] in [0, 1]."""
        return ops.sigmoid(ops.cast(self.logits, "float32"))

    def bind(self, posterior, encode):
        return PosteriorMixture(posterior, encode(self.pseudo_inputs()))

    def get_config(self):
        return {**super().get_config(), "components": self.components, "seed": self.seed}
