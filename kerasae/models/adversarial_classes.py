"""The semi-supervised adversarial autoencoder: a code of a class and a style, each with a discriminator."""

import keras
from keras import ops

from kerasae.distributions.one_hot import UniformOneHot
from kerasae.distributions.priors import StandardNormal
from kerasae.errors import InputError
from kerasae.models.adversarial import build_discriminator, check_codes, discriminator_logits
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.knobs import Knob
from kerasae.models.inferred_labels import InferredLabels, check_conditional, cross_entropy


@keras.saving.register_keras_serializable("kerasae")
class SemiSupervisedAdversarialAutoencoder(InferredLabels, Autoencoder):
    """Reconstruct from a class and a style, whose distributions two discriminators pull to one-hot codes and N(0, s²).

    Makhzani et al., arXiv 1511.05644, section 5. The encoder gives logits, whose softmax is y, and the style z. It and
    the decoder minimise

        −log p(x | y, z) − w log D_y(y) − w log D_z(z) − α log y_label, the last of known labels,

    while D_y tells y from equally likely one-hot codes, and D_z tells z from N(0, s²), as in `AdversarialAutoencoder`.
    Each step updates the three players once, from the same codes. The supervised one of section 4 is
    `AdversarialAutoencoder` with a decoder that takes the class as its condition.

    Terms, each [B], nats: "reconstruction", "class_adversarial", "style_adversarial", "classification", which is 0
    where the label is unknown, "class_discriminator" and "style_discriminator".

    Args:
        encoder: Keras model, [B, *shape] → [B, K + Z], K logits, then the style.
        decoder: Keras model of style [B, Z] and condition [B, K] → parameters of the likelihood.
        likelihood, pixel_max: as for `Autoencoder`.
        class_discriminator, style_discriminator: Keras models, [B, K] and [B, Z] → [B, 1] logits; None builds each with
            two hidden layers of 256.
        adversarial_weight: weight w ≥ 0 of both adversarial terms; a `Knob`.
        alpha: weight α ≥ 0 of the classification; a `Knob`.
        prior_scale: standard deviation s > 0 of the style's prior.

    Raises:
        InputError: for networks without a condition or of other codes, and numbers out of range.

    Example:
        >>> encoder, _ = kerasae.networks.dense((28, 28, 1), code=10 + 8)
        >>> _, decoder = kerasae.networks.dense((28, 28, 1), code=8, condition=10)
        >>> model = SemiSupervisedAdversarialAutoencoder(encoder, decoder, "bernoulli")
        >>> model.compile("adam")
        >>> model.fit(images, labels)  # −1 = unknown
    """

    terms = ("reconstruction", "class_adversarial", "style_adversarial", "classification")
    terms += ("class_discriminator", "style_discriminator")
    generative = encodes_class = True
    adversarial_weight = Knob(minimum=0.0)
    alpha = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        class_discriminator=None,
        style_discriminator=None,
        adversarial_weight=1.0,
        alpha=50.0,
        prior_scale=1.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        if not prior_scale > 0:
            raise InputError(f"{type(self).__name__}: prior_scale must be > 0. Received: prior_scale={prior_scale}")
        self.adversarial_weight, self.alpha, self.prior = adversarial_weight, alpha, ScaledNormal(prior_scale)
        self.class_discriminator = class_discriminator or build_discriminator((self.classes,), name="of_classes")
        self.style_discriminator = style_discriminator or build_discriminator(self.code_shape, name="of_styles")
        check_codes(self, "class_discriminator", (self.classes,))
        check_codes(self, "style_discriminator", self.code_shape)

    def objective(self, batch, training=False):
        logits, z = self.class_and_style(batch.x, training)
        y, random = ops.softmax(logits), self.random(training)
        one_hot = UniformOneHot(self.classes).draw(ops.shape(y), random)
        drawn = self.prior.draw(ops.shape(z), random)
        terms = {
            "reconstruction": self.reconstruction_term(z, batch._replace(y=y), training),
            "classification": cross_entropy(batch.y, logits),
        }
        terms |= self.game("class", y, one_hot, training) | self.game("style", z, drawn, training)
        return {name: terms[name] for name in self.terms}

    def game(self, part, code, drawn, training):
        """Compute the terms of the encoder and of the discriminator of one part of the code, each [B]."""
        discriminator = getattr(self, f"{part}_discriminator")
        real, fake, held = (
            discriminator_logits(discriminator, value, training) for value in (drawn, ops.stop_gradient(code), code)
        )
        judged = -ops.log_sigmoid(real) - ops.log_sigmoid(-fake)
        return {f"{part}_adversarial": -ops.log_sigmoid(held), f"{part}_discriminator": judged}

    @property
    def term_weights(self):
        weight = self.adversarial_weight
        return {"class_adversarial": weight, "style_adversarial": weight, "classification": self.alpha}

    @property
    def adversaries(self):
        return {name: [getattr(self, name)] for name in ("class_discriminator", "style_discriminator")}

    def class_and_style(self, x, training=False):
        """Encode x to the logits of its class, float32 [B, K], and its style [B, Z]."""
        encoded = self.encoder(x, training=training)
        return ops.cast(encoded[:, : self.classes], "float32"), encoded[:, self.classes :]

    def class_logits(self, x, training=False):
        return self.class_and_style(x, training)[0]

    def code_of(self, encoded):
        return encoded[:, -self.code_shape[0] :]

    def code_outputs(self):
        check_conditional(self)
        return (self.code_shape[0] + next(t.shape[1] for t in self.decoder.inputs[1:]),)

    def score_batch(self, batch):
        """Compute −log p(x | y, z) with the known class, or the most likely one: [B], nats."""
        return super().score_batch(self.with_labels(batch))


class ScaledNormal(StandardNormal):
    """Model the code by N(0, scale²); of a model that keeps the scale among its own arguments."""

    def __init__(self, scale):
        self.scale = float(scale)

    def draw(self, shape, random):
        return self.scale * random.normal(shape)

    def log_prob(self, z, axes=1):
        raise NotImplementedError("draws only")
