"""The autoencoder that measures its reconstructions by the features of a discriminator of images."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.models.contract.base import check_network
from kerasae.models.contract.codec import call_network
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.players import Player
from kerasae.models.variational import VariationalAutoencoder
from kerasae.networks import dense


@keras.saving.register_keras_serializable("kerasae")
class AdversarialVariationalAutoencoder(VariationalAutoencoder):
    """Reconstruct the features of a discriminator D of images, which the decoder tries to deceive: VAE-GAN.

    Larsen, Sønderby, Larochelle and Winther, arXiv 1512.09300, eq. 7 to 9 and algorithm 1. With x̃ the mean of
    p(x | z), z ~ q(z | x), x_p that of p(x | z_p), z_p ~ p(z), and f(x) the features on which D decides, three players
    minimise

        encoder         β KL(q(z | x) || p(z)) + F,  F = ½ ‖f(x) − f(x̃)‖²,
        decoder         γ F − log D(x̃) − log D(x_p),
        discriminator   −log D(x) − log(1 − D(x̃)) − log(1 − D(x_p)).

    F is −log N(f(x); f(x̃), I) without its constant. The decoder's −log D takes the place of log(1 − D) of the paper's
    equation, whose gradient vanishes while D is sure. Each step updates all players once, from the same draws.
    `score` and `bound` are of the pixels' likelihood, as of the parent, which no player minimises.

    Terms, each [B], nats: "kl", "feature" F, "generator" and "discriminator".

    Args:
        encoder, decoder, likelihood, pixel_max: as for `VariationalAutoencoder`.
        critic: Keras model, [B, *shape] → features f [B, F]; a linear layer on top gives the logit of D. None builds
            one with a hidden layer of 256 and 128 features.
        gamma: weight γ ≥ 0 of the features in the decoder's loss; a `Knob`.
        **kwargs: beta, free_bits, posterior and prior as for `VariationalAutoencoder`.

    Raises:
        InputError: for a critic of other examples or whose features are no vectors.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=16, posterior="gaussian")
        >>> model = AdversarialVariationalAutoencoder(*networks, "bernoulli")
        >>> model.compile("adam", players={"discriminator": 0.5})
    """

    terms = ("kl", "feature", "generator", "discriminator")
    may_be_conditional = False
    gamma = Knob(minimum=0.0)

    def __init__(self, encoder, decoder, likelihood="bernoulli", pixel_max=255.0, critic=None, gamma=0.1, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.gamma = gamma
        self.critic = critic or dense(self.example_shape, 128, (256,), name="critic")[0]
        check_critic(self)
        self.judge = layers.Dense(1, name="judge")
        self.judge.build(self.critic.output_shape)

    def objective(self, batch, training=False):
        encoded, random = self.encoded(batch, training), self.random(training)
        z = self.posterior.draw(encoded, random)
        drawn = self.bound_prior().draw(ops.shape(z), random)
        # One pass serves all players: each gradient is taken with respect to one player's weights only.
        (real, judged), (copy, of_copy), (_, of_drawn) = (
            self.features_and_logits(x, training)
            for x in (batch.target, self.mean_of(z, training), self.mean_of(drawn, training))
        )
        return {
            "kl": self.divergence(encoded, z),
            "feature": 0.5 * ops.sum(ops.square(real - copy), axis=-1),
            "generator": ops.softplus(-of_copy) + ops.softplus(-of_drawn),
            "discriminator": ops.softplus(-judged) + ops.softplus(of_copy) + ops.softplus(of_drawn),
        }

    def players(self):
        """Return the players by name: "model", which is the encoder, "decoder" and "discriminator"."""
        prior = [self.prior] if isinstance(self.prior, keras.layers.Layer) else []
        return {
            "model": Player([self.encoder, *prior], {"kl": self.beta, "feature": 1.0}),
            "decoder": Player([self.decoder], {"feature": self.gamma, "generator": 1.0}),
            "discriminator": Player([self.critic, self.judge], {"discriminator": 1.0}),
        }

    def mean_of(self, z, training=False):
        """Decode codes to the mean of p(x | z): float32 [B, *shape]."""
        return ops.cast(self.likelihood.mean(call_network(self.decoder, z, training=training)), "float32")

    def features_and_logits(self, x, training=False):
        """Compute the features f(x) and the logits of D(x): float32 [B, F] and [B]."""
        features = self.critic(x, training=training)
        logits = ops.squeeze(self.judge(features), axis=-1)
        return ops.cast(features, "float32"), ops.cast(logits, "float32")


def check_critic(model):
    """Raise InputError unless a model's critic takes the model's examples and gives a vector of features."""
    name = type(model).__name__
    check_network(name, "critic", model.critic)
    taken, given = (tuple(shape[1:]) for shape in (model.critic.input_shape, model.critic.output_shape))
    if taken != model.example_shape or len(given) != 1:
        raise InputError(
            f"{name}: the critic takes {taken} and gives {given}, but must take examples {model.example_shape} and "
            "give one vector of features"
        )
