"""Factor-VAE: a discriminator measures how much the dimensions of the code depend on each other."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import part_of_replica
from kerasae.models.adversarial import build_discriminator, check_discriminator, discriminator_logits
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.replicas import whole_batch
from kerasae.models.variational import VariationalAutoencoder
from kerasae.ops import permute_dimensions


@keras.saving.register_keras_serializable("kerasae")
class FactorVariationalAutoencoder(VariationalAutoencoder):
    """Minimise −E_q[log p(x | z)] + β KL(q(z | x) || p(z)) + γ KL(q(z) || Π_j q(z_j)): independent dimensions.

    Kim and Mnih, arXiv 1802.05983, eq. 2 and algorithm 2. The last divergence, the total correlation, is estimated as
    log D(z) − log(1 − D(z)) by a discriminator D that minimises −½ log D(z) − ½ log(1 − D(z̄)): z̄ are the codes of the
    whole batch with every dimension permuted by itself. The estimate is valid only once D is
    trained. The paper permutes a second batch; here it is the same one. Each step updates both players once;
    `compile("adam", players={"discriminator": 0.5})` gives D half the learning rate.

    Terms: "reconstruction", "kl", "total_correlation" and "discriminator", each [B], nats.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `VariationalAutoencoder`.
        gamma: weight γ ≥ 0 of the total correlation; a `Knob`.
        discriminator: Keras model, [B, Z] → [B, 1] logits of D; None builds one with two hidden layers of 256, where
            the paper has six of 1,000.
        **kwargs: beta, free_bits, posterior and prior as for `VariationalAutoencoder`.

    Raises:
        InputError: for a discriminator of other codes, a posterior on the sphere, whose dimensions cannot be
            independent, and micro-batches, as the permutation needs the whole batch.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=10, posterior="gaussian")
        >>> model = FactorVariationalAutoencoder(*networks, "bernoulli", gamma=6.0)
        >>> model.compile("adam", players={"discriminator": 0.5})
    """

    terms = ("reconstruction", "kl", "total_correlation", "discriminator")
    statistics = ("discriminator",)
    gamma = Knob(minimum=0.0)

    def __init__(
        self, encoder, decoder, likelihood="bernoulli", pixel_max=255.0, gamma=6.0, discriminator=None, **kwargs
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        if self.posterior.support != "reals":
            raise InputError(
                f"{type(self).__name__}: dimensions of codes of {type(self.posterior).__name__} are never independent; "
                'give posterior="gaussian"'
            )
        self.gamma = gamma
        self.discriminator = build_discriminator(self.code_shape) if discriminator is None else discriminator
        check_discriminator(self)

    def objective(self, batch, training=False):
        encoded, random = self.encoded(batch, training), self.random(training)
        z = self.posterior.draw(encoded, random)
        permuted = permute_dimensions(whole_batch(ops.stop_gradient(z)), whole_batch(random.uniform(ops.shape(z))))
        independent = part_of_replica(ops.shape(z), lambda _: permuted)
        # One pass serves both players: each gradient is taken with respect to one player's weights only.
        joint, product = (discriminator_logits(self.discriminator, codes, training) for codes in (z, independent))
        return {
            "reconstruction": self.reconstruction_term(z, batch, training),
            "kl": self.divergence(encoded, z),
            "total_correlation": joint,
            "discriminator": 0.5 * (ops.softplus(-joint) + ops.softplus(product)),
        }

    @property
    def term_weights(self):
        return {**super().term_weights, "total_correlation": self.gamma}

    @property
    def adversaries(self):
        return {"discriminator": [self.discriminator]}
