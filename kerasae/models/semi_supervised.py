"""The semi-supervised variational autoencoder: the class is a second code, of which a few values are known."""

import math

import keras
from keras import ops

from kerasae.distributions.posteriors import GaussianPosterior
from kerasae.distributions.priors import StandardNormal
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.codec import CONDITION, call_network, has_input
from kerasae.models.contract.knobs import Knob
from kerasae.models.inferred_labels import InferredLabels, check_classifier, check_conditional, cross_entropy, unknown
from kerasae.networks import dense


@keras.saving.register_keras_serializable("kerasae")
class SemiSupervisedVariationalAutoencoder(InferredLabels, Autoencoder):
    """Minimise the negative bound on log p(x, y), or on log p(x) where y is unknown, − α log q(y | x) of known labels.

    Kingma, Rezende, Mohamed and Welling, arXiv 1406.5298, model M2, eq. 6 to 9. With equally likely classes,

        L(x, y) = E_q(z|x,y)[−log p(x | y, z)] + KL(q(z | x, y) || N(0, I)) + log K,
        U(x) = Σ_y q(y | x) [L(x, y) + log q(y | x)].

    An example with a label pays L(x, y) − α log q(y | x), one without U(x). One draw of z for each class
    estimates the expectation over z; that over the classes is exact, so that a step costs K passes of encoder and
    decoder. An encoder without a condition, q(z | x), needs one.

    Terms, each [B], nats: "reconstruction" and "kl", averaged over q(y | x) where y is unknown; "class_kl",
    KL(q(y | x) || 1/K), which is log K of a known y; "classification", −log q(y | x), 0 where y is unknown.

    Args:
        encoder: Keras model x, or x and the condition → means, then log-variances of q: [B, 2Z].
        decoder: Keras model of code and condition → parameters of the likelihood.
        likelihood, pixel_max: as for `Autoencoder`.
        classifier: Keras model, [B, *shape] → logits of q(y | x), [B, K]; None builds one with two hidden layers of
            512.
        alpha: weight α ≥ 0 of the classification; a `Knob`.
        trust: share in [0, 1] of the gradient of U(x) by which the classifier learns from unlabelled examples; a
            `Knob`. 1 is the paper's; at 0 it learns from labels alone.

    Raises:
        InputError: for networks without a condition or a classifier of another shape.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=32, posterior="gaussian", condition=10)
        >>> model = SemiSupervisedVariationalAutoencoder(*networks, "bernoulli")
        >>> model.compile("adam")
        >>> model.fit(images, labels)  # −1 = unknown
        >>> model.probabilities(images[:8])  # [8, 10]
    """

    terms = ("reconstruction", "kl", "class_kl", "classification")
    posterior_name = "gaussian"
    generative = True
    alpha = Knob(minimum=0.0)
    trust = Knob(minimum=0.0, maximum=1.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        classifier=None,
        alpha=50.0,
        trust=1.0,
        **kwargs,
    ):
        self.posterior, self.prior = GaussianPosterior(), StandardNormal()
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        check_conditional(self)
        self.alpha, self.trust = alpha, trust
        if classifier is None:
            classifier = dense(self.example_shape, self.classes, (512, 512), name="classifier")[0]
        self.classifier = classifier
        check_classifier(self)

    def objective(self, batch, training=False):
        logits = self.class_logits(batch.x, training)
        bound = self.bound_terms(batch, logits, training, self.random(training))
        return {**bound, "classification": cross_entropy(batch.y, logits)}

    @property
    def term_weights(self):
        return {"classification": self.alpha}

    def class_logits(self, x, training=False):
        return ops.cast(self.classifier(x, training=training), "float32")

    def bound_terms(self, batch, logits, training=False, random=None):
        """Compute the three terms of L(x, y) or U(x), each [B]; at the mean of q(z | x, y) without random numbers."""
        q, missing = ops.softmax(logits), unknown(batch.y)
        trusted = self.trust * q + (1.0 - self.trust) * ops.stop_gradient(q)
        chances = batch.y + missing * trusted
        entropy = -ops.sum(trusted * ops.log_softmax(logits), axis=-1)
        reconstruction, kl = self.terms_by_class(batch, training, random)
        return {
            "reconstruction": ops.sum(chances * reconstruction, axis=-1),
            "kl": ops.sum(chances * kl, axis=-1),
            "class_kl": math.log(self.classes) - ops.squeeze(missing, -1) * entropy,
        }

    def terms_by_class(self, batch, training=False, random=None):
        """Compute −log p(x | y, z) and KL(q(z | x, y) || p(z)) for every class y: each [B, K]."""
        each = for_each_class(batch, self.classes)
        encoded = self.encoded_by_class(batch, each, training)
        z = self.code_of(encoded) if random is None else self.posterior.draw(encoded, random)
        z = ops.broadcast_to(z, (ops.shape(batch.x)[0], self.classes, *self.code_shape))
        flat = ops.reshape(z, (-1, *self.code_shape))
        reconstruction = self.reconstruction_term(flat, each, training)
        kl = ops.sum(self.posterior.kl(encoded, self.prior), axis=range(2, len(encoded.shape)))
        return ops.reshape(reconstruction, (-1, self.classes)), ops.broadcast_to(kl, ops.shape(z)[:2])

    def encoded_by_class(self, batch, each, training=False):
        """Compute the parameters of q(z | x, y): [B, K, ..., 2Z], or of q(z | x): [B, 1, ..., 2Z]."""
        classes = self.classes if has_input(self.encoder, CONDITION) else 1
        encoded = self.encoded(batch if classes == 1 else each, training)
        return ops.reshape(encoded, (-1, classes, *self.code_outputs()))

    def code_outputs(self):
        return (*self.code_shape[:-1], self.posterior.outputs(self.code_shape[-1]))

    def code_of(self, encoded):
        return self.posterior.mean(encoded)

    def encode_batch(self, batch, training=False):
        return self.code_of(self.encoded(self.with_labels(batch), training))

    def score_batch(self, batch):
        """Compute L(x, y), or U(x) where y is unknown, at the mean of q(z | x, y) in place of draws: [B], nats."""
        return sum(self.bound_terms(batch, self.class_logits(batch.x)).values())

    def unit_encoder(self):
        """Build a Keras model x → mean of q(z | x, y) for the most likely y."""
        x = self.encoder.inputs[0]
        likely = ops.one_hot(ops.argmax(self.classifier(x), axis=-1), self.classes, dtype="float32")
        return keras.Model(x, self.code_of(call_network(self.encoder, x, likely)), name=f"{self.name}_features")


def for_each_class(batch, classes):
    """Repeat every example of a batch with each of K classes as its label: [B, …] → [B · K, …]."""
    x = ops.repeat(batch.x, classes, axis=0)
    y = ops.tile(ops.eye(classes), (ops.shape(batch.x)[0], 1))
    return batch._replace(x=x, target=x, y=y, weight=None)
