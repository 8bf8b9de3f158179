"""Adversarial regularisation of the code: a discriminator beside the autoencoder."""

import keras
from keras import layers, ops

from kerasae.distributions.priors import StandardNormal
from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder, check_network
from kerasae.models.contract.knobs import Knob


@keras.saving.register_keras_serializable("kerasae")
class AdversarialAutoencoder(Autoencoder):
    """Reconstruct, while a discriminator pulls the distribution of codes towards N(0, 1).

    Makhzani et al., arXiv 1511.05644, section 2. The autoencoder minimises −log p(x | z) − w log D(z), z = encode(x);
    the discriminator minimises −log D(z₀) − log(1 − D(z)) with z₀ ~ N(0, 1). Each step updates both players once, from
    the same codes. `compile("adam", players={"discriminator": 0.5})` gives the discriminator half the learning rate.

    With a decoder that takes the class as its condition it is the supervised one of section 4: the code is the style,
    z = encode(x), and `fit(x, y)`, `decode(z, y)`, `sample(n, y=3)` take the class.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`.
        discriminator: Keras model, [B, Z] → [B, 1] logits; None builds one with two hidden layers of 256.
        adversarial_weight: weight w ≥ 0 of the adversarial term; a `Knob`.

    Example:
        >>> model = AdversarialAutoencoder(*kerasae.networks.dense((28, 28, 1), code=8), "bernoulli")
        >>> model.compile("adam")
    """

    terms = ("reconstruction", "adversarial", "discriminator")
    generative, conditional_encoder = True, False
    adversarial_weight = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        discriminator=None,
        adversarial_weight=1.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.adversarial_weight = adversarial_weight
        self.discriminator = build_discriminator(self.code_shape) if discriminator is None else discriminator
        check_discriminator(self)

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        prior = self.random(training).normal(ops.shape(z))
        real, fake, held = (
            discriminator_logits(self.discriminator, code, training) for code in (prior, ops.stop_gradient(z), z)
        )
        return {
            "reconstruction": self.reconstruction_term(z, batch, training),
            "adversarial": -ops.log_sigmoid(held),
            "discriminator": -ops.log_sigmoid(real) - ops.log_sigmoid(-fake),
        }

    @property
    def term_weights(self):
        return {"adversarial": self.adversarial_weight}

    @property
    def adversaries(self):
        return {"discriminator": [self.discriminator]}

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws z ~ N(0, 1) to means of p(x | z): [n, *shape]; the same for the same integer seed."""
        return self.decode_draws(StandardNormal(), n, y, seed, batch_size)


def build_discriminator(code_shape, widths=(256, 256), name="discriminator"):
    """Build a dense network code → logit: [B, *code_shape] → [B, 1]."""
    x = inputs = keras.Input(code_shape)
    if len(code_shape) > 1:
        x = layers.Flatten()(x)
    for units in widths:
        x = layers.Dense(units, "relu")(x)
    return keras.Model(inputs, layers.Dense(1)(x), name=name)


def check_discriminator(model):
    """Raise InputError unless a model's discriminator takes the model's codes and outputs one logit."""
    check_codes(model, "discriminator", model.code_shape)


def check_codes(model, name, code_shape):
    """Raise InputError unless the discriminator `name` of a model takes codes of a shape and outputs one logit."""
    owner, discriminator = type(model).__name__, getattr(model, name)
    check_network(owner, name, discriminator)
    given = [tuple(shape[1:]) for shape in (discriminator.input_shape, discriminator.output_shape)]
    if given != [tuple(code_shape), (1,)]:
        raise InputError(
            f"{owner}: the {name} takes {given[0]} and gives {given[1]}, but codes {tuple(code_shape)} need one "
            "that takes them and gives one logit, (1,)"
        )


def discriminator_logits(discriminator, z, training):
    """Compute the discriminator's logits of codes: float32 [B]."""
    return ops.squeeze(ops.cast(discriminator(z, training=training), "float32"), axis=-1)
