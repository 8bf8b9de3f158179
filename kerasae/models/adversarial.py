"""Adversarial regularisation of the code: two players, hence two optimisers and a training step of their own."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers import draws
from kerasae.models.contract.base import Autoencoder, check_network, penalties, scale_for_replicas
from kerasae.models.contract.step import Move


@keras.saving.register_keras_serializable("kerasae")
class AdversarialAutoencoder(Autoencoder):
    """Reconstruct, while a discriminator pushes the distribution of codes onto N(0, 1).

    Makhzani et al., arXiv 1511.05644, section 2. The autoencoder minimises −log p(x | z) − w log D(z), z = encode(x);
    the discriminator minimises −log D(z₀) − log(1 − D(z)) with z₀ ~ N(0, 1). Each step updates both players once, from
    the same codes.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`.
        discriminator: Keras model, [B, Z] → [B, 1] logits; None builds one with two hidden layers of 256.
        adversarial_weight: weight w ≥ 0 of the adversarial term, nats.
        discriminator_learning_rate: the discriminator's optimiser is a copy of the compiled one with this learning
            rate; None keeps the compiled one's.

    Example:
        >>> model = AdversarialAutoencoder(*kerasae.networks.dense((28, 28, 1), code=8), "bernoulli")
        >>> model.compile("adam")
    """

    terms = ("reconstruction", "adversarial", "discriminator")
    generative = True

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        discriminator=None,
        adversarial_weight=1.0,
        discriminator_learning_rate=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        if not adversarial_weight >= 0:
            raise InputError(f"adversarial_weight must be ≥ 0. Received: {adversarial_weight}")
        self.discriminator = build_discriminator(self.code_shape) if discriminator is None else discriminator
        self._check_discriminator()
        self.adversarial_weight = float(adversarial_weight)
        self.discriminator_learning_rate = discriminator_learning_rate
        self.prior_seed = keras.random.SeedGenerator()

    def objective(self, x, y=None, training=False):
        z = self._code(self.encoder(x, training=training))
        fooled = -ops.log_sigmoid(self._judge(z, training))
        reconstruction = self.reconstruction_term(z, x, training)
        return {"reconstruction": reconstruction, "adversarial": fooled, "discriminator": self._doubt(z, training)}

    @property
    def term_weights(self):
        # The discriminator's own loss is reported, but the autoencoder does not minimise it.
        return {"adversarial": self.adversarial_weight, "discriminator": 0.0}

    def sample(self, n, seed=None):
        """Means of p(x | z) for `n` draws z ~ N(0, 1): [n, *shape]; the same for the same integer seed."""
        return self.decode(keras.random.normal((n, *self.code_shape), seed=seed))

    def compile(self, optimizer="rmsprop", loss=None, **options):
        """As for `Autoencoder`; the discriminator's optimiser is made here, a copy of `optimizer`.

        Raises:
            InputError: for `micro_batches`, as two optimisers take turns on a whole batch; on another backend than
                TensorFlow.
        """
        if options.get("micro_batches", 1) != 1:
            raise InputError(f"{type(self).__name__}: micro_batches is not supported; use smaller batches")
        if keras.backend.backend() != "tensorflow":
            raise InputError(f"{type(self).__name__}: two optimisers in one step are written for TensorFlow only")
        super().compile(optimizer, loss, **options)
        self.discriminator_optimizer = twin(self.optimizer, self.discriminator_learning_rate)
        self.build_training()

    def players(self):
        """The autoencoder's optimiser and the discriminator's, and what each trains."""
        judged = self.discriminator.trainable_weights
        return [(self.optimizer, self._trained()), (self.discriminator_optimizer, judged)]

    def propose(self, data):
        """The logs of a step on a batch, and the `Move`s of the two players."""
        import tensorflow as tf  # here, so that machines with JAX alone can import the other models

        x, y = self._unpack(data)
        own, discriminators = self._trained(), self.discriminator.trainable_weights
        with tf.GradientTape(persistent=True) as tape:
            loss, terms = self._loss(x, y, training=True)
            scaled = self.optimizer.scale_loss(scale_for_replicas(loss))
            doubt = ops.mean(terms["discriminator"]) + penalties([self.discriminator])
            scaled_doubt = self.discriminator_optimizer.scale_loss(scale_for_replicas(doubt))
        moves = [
            Move(self.optimizer, tape.gradient(scaled, own), own),
            Move(self.discriminator_optimizer, tape.gradient(scaled_doubt, discriminators), discriminators),
        ]
        return self._track(loss, terms), moves

    def _parts(self):
        return [self.encoder, self.decoder]

    def _check_discriminator(self):
        check_network(type(self).__name__, "discriminator", self.discriminator)
        given = [tuple(shape[1:]) for shape in (self.discriminator.input_shape, self.discriminator.output_shape)]
        if given != [self.code_shape, (1,)]:
            raise InputError(
                f"{type(self).__name__}: the discriminator takes {given[0]} and gives {given[1]}, "
                f"but codes {self.code_shape} need one that takes them and gives one logit, (1,)"
            )

    def _judge(self, z, training):
        return ops.squeeze(ops.cast(self.discriminator(z, training=training), "float32"), axis=-1)

    def _doubt(self, z, training):
        """−log D(z₀) − log(1 − D(z)) with the codes held fixed: [B], nats."""
        prior = draws.normal(ops.shape(z), self.prior_seed)
        real, fake = self._judge(prior, training), self._judge(ops.stop_gradient(z), training)
        return -ops.log_sigmoid(real) - ops.log_sigmoid(-fake)


def twin(optimizer, learning_rate):
    """A new optimiser with the settings of `optimizer`, but for the learning rate if one is given."""
    config = optimizer.get_config()
    if learning_rate is not None:
        # Under mixed_float16 the optimiser proper sits inside one that scales the loss.
        inner = config["inner_optimizer"]["config"] if "inner_optimizer" in config else config
        inner["learning_rate"] = learning_rate
    return type(optimizer).from_config(config)


def build_discriminator(code_shape, widths=(256, 256)):
    """A dense network code → logit: [B, *code_shape] → [B, 1]."""
    x = inputs = keras.Input(code_shape)
    if len(code_shape) > 1:
        x = layers.Flatten()(x)
    for units in widths:
        x = layers.Dense(units, "relu")(x)
    return keras.Model(inputs, layers.Dense(1)(x), name="discriminator")
