"""The contract that every autoencoder keeps, and its one training step."""

import keras
from keras import ops

from kerasae.distributions import likelihoods
from kerasae.errors import InputError
from kerasae.layers import tie_all
from kerasae.models.contract import jax_training
from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.step import Move, ProposedStep
from kerasae.ops.pixels import to_unit


@keras.saving.register_keras_serializable("kerasae")
class Autoencoder(RecordedArguments, ProposedStep, keras.Model):
    """The plain autoencoder, x̂ = decode(encode(x)), and the parent of all variants.

    It minimises −log p(x | z) with z = encode(x): squared error for a Gaussian likelihood, cross-entropy for a
    Bernoulli one. Rumelhart, Hinton and Williams, Nature 323 (1986); Hinton and Salakhutdinov, Science 313 (2006).

    A variant writes `objective` and lists its terms' names in `terms`; the base class weighs the terms, averages them
    over the batch once, adds regularisation losses, scales for mixed precision and for replicas, applies the gradients
    and tracks each term under its name.

    Args:
        encoder: Keras model, [B, *shape] → [B, ...].
        decoder: Keras model, code → parameters of the likelihood, [B, *shape] for one parameter per value.
        likelihood: "gaussian", "bernoulli", "categorical" or a `kerasae.distributions.Likelihood`.
        pixel_max: the integer that means 1.0. Integer inputs are divided by it; floating inputs are used as they are.

    Raises:
        InputError: if encoder and decoder do not fit each other; says which shapes.

    Example:
        >>> model = Autoencoder(*kerasae.networks.dense((28, 28, 1), code=32))
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)  # uint8 [N, 28, 28, 1]
        >>> codes = model.encode(images[:8])  # [8, 32]
    """

    terms = ("reconstruction",)
    code_parameters = 1
    generative = False

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, **kwargs):
        super().__init__(**kwargs)
        if not pixel_max > 0:
            raise InputError(f"{type(self).__name__}: pixel_max must be > 0. Received: pixel_max={pixel_max}")
        for part, network in (("encoder", encoder), ("decoder", decoder)):
            check_network(type(self).__name__, part, network)
        self.encoder, self.decoder, self.pixel_max = encoder, decoder, float(pixel_max)
        self.likelihood = likelihoods.get(likelihood)
        self._check_networks()
        tie_all(decoder, encoder)
        self.loss_mean = keras.metrics.Mean(name="loss")
        self.term_means = [keras.metrics.Mean(name=name) for name in self.terms]
        self.built = True

    # What users call.

    @property
    def example_shape(self):
        """Shape of one input, without the batch."""
        return tuple(self.encoder.input_shape[1:])

    @property
    def code_shape(self):
        """Shape of one code, without the batch."""
        return tuple(self.decoder.input_shape[1:])

    def encode(self, x):
        """Codes of x, deterministic: [B, *shape] → [B, *code_shape]. Never corrupted, never masked."""
        return self._code(self.encoder(self.prepare(x), training=False))

    def decode(self, z):
        """Mean of p(x | z): [B, *code_shape] → float32 [B, *shape], in units in which stored `pixel_max` is 1."""
        return ops.cast(self.likelihood.mean(self.decoder(z, training=False)), "float32")

    def reconstruct(self, x):
        """decode(encode(x)): [B, *shape] → float32 [B, *shape]."""
        return self.decode(self.encode(x))

    def call(self, x, training=False):
        return self.reconstruct(x)

    def score(self, x):
        """How unlike the training data each example is: −log p(x | encode(x)), [B], nats, higher = less like it."""
        parameters = self.decoder(self.encode(x), training=False)
        return -self.likelihood.log_prob(parameters, self.prepare(x))

    def sample(self, n, seed=None):
        """`n` new inputs, [n, *shape]; generative variants only."""
        raise InputError(f"{type(self).__name__} has no distribution of codes to sample from; use a generative variant")

    def prepare(self, x):
        """Stored values as the floats that the encoder takes: integers are divided by `pixel_max`."""
        return to_unit(x, self.pixel_max)

    def feature_encoder(self):
        """A Keras model floats → codes that shares this model's weights; what a classifier sits on."""
        return keras.Model(self.encoder.inputs[0], self._code(self.encoder.outputs[0]), name=f"{self.name}_features")

    # What a variant writes.

    def objective(self, x, y=None, training=False):
        """The named terms to minimise, each [B], nats per example.

        Args:
            x: [B, *shape], floats as `prepare` gives them.
            y: labels [B], or None.
            training: whether dropout and the like are active.

        Returns:
            A dict with a [B] tensor for every name in `terms`.
        """
        z = self._code(self.encoder(x, training=training))
        return {"reconstruction": self.reconstruction_term(z, x, training)}

    def reconstruction_term(self, z, x, training):
        """−log p(x | z): [B], nats per example."""
        return -self.likelihood.log_prob(self.decoder(z, training=training), x)

    @property
    def term_weights(self):
        """Weight of each term in the loss; a name that is missing weighs 1."""
        return {}

    def _code(self, encoded):
        """The deterministic code within the encoder's output."""
        return encoded

    # The one training step.

    def compile(self, optimizer="rmsprop", loss=None, *, micro_batches=1, at_once=1, **options):
        """As in Keras, but without a loss or metrics: the variant's objective is the loss, its terms the metrics.

        Args:
            micro_batches: parts that a batch is cut into, one after the other, so that the activations of one part
                only are in memory; the gradients are summed, and the weights updated once. It must divide the batch.
            at_once: micro-batches that are computed at the same time, at most all of them; the update is the same to
                the bit. As many as a CPU has cores, each operation on one core
                (`tf.config.threading.set_intra_op_parallelism_threads(1)`, before TensorFlow computes anything), take
                less time than one whose every operation is shared out to all cores.

        Raises:
            InputError: for a number out of range, a loss or metrics, or micro-batches on another backend than
                TensorFlow.
        """
        self.cut(micro_batches, at_once)
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if (loss if name == "loss" else options.get(name)) is not None:
                raise InputError(
                    f"{type(self).__name__}: compile without `{name}`; the variant's objective is the loss "
                    f"and its terms {', '.join(self.terms)} are the metrics"
                )
        super().compile(optimizer, **options)

    @property
    def metrics(self):
        return [self.loss_mean, *self.term_means]

    def train_step(self, *given):
        """One step on a batch. Keras calls it with the batch, on its JAX backend with (state, batch)."""
        if keras.backend.backend() == "jax":
            return jax_training.train(self, *given)
        return super().train_step(*given)

    def players(self):
        """The optimiser and the weights of the objective's layers."""
        return [(self.optimizer, self._trained())]

    def propose(self, data):
        """The logs of a step on a batch and the one `Move` that it ends with."""
        x, y = self._unpack(data)
        weights = self._trained()
        gradients, loss, terms = self.in_parts(self._gradients, x, y, weights, dict.fromkeys(self.terms, ()))
        return self._track(loss, terms), [Move(self.optimizer, gradients, weights)]

    def test_step(self, *given):
        """The same without training."""
        if keras.backend.backend() == "jax":
            return jax_training.test(self, *given)
        x, y = self._unpack(*given)
        return self._track(*self._loss(x, y, training=False))

    def _unpack(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if sample_weight is not None:
            raise InputError(f"{type(self).__name__}: sample weights are not supported; give x or (x, y)")
        return self.prepare(x), y

    def _parts(self):
        """The layers that the objective trains and whose penalties it carries: all, unless a variant says less."""
        return [self]

    def _trained(self):
        return [weight for part in self._parts() for weight in part.trainable_weights]

    def _gradients(self, x, y, parts):
        """Gradients of the trained weights, scaled as the optimiser takes them, and the loss and the terms.

        Of a batch that is one of so many equal parts, they are its share of the whole batch's.
        """
        import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

        with tf.GradientTape() as tape:
            loss, terms = self._loss(x, y, training=True)
            scaled = self.optimizer.scale_loss(scale_for_replicas(loss / parts))
        return tape.gradient(scaled, self._trained()), loss, terms

    def _loss(self, x, y, training):
        terms = self.objective(x, y, training=training)
        return self._total(terms), terms

    def _total(self, terms):
        """Weighted sum of the terms' batch means, plus the layers' regularisation losses: a scalar."""
        weights = self.term_weights
        total = sum(weights.get(name, 1.0) * ops.mean(term) for name, term in terms.items())
        return total + penalties(self._parts())

    def _track(self, loss, terms):
        count = ops.shape(next(iter(terms.values())))[0]
        self.loss_mean.update_state(loss, sample_weight=count)
        for mean in self.term_means:
            mean.update_state(terms[mean.name])
        return {metric.name: metric.result() for metric in self.metrics}

    def _check_networks(self):
        name, code, shape = type(self).__name__, self.code_shape, self.example_shape
        given = tuple(self.encoder.output_shape[1:])
        wanted = (*code[:-1], code[-1] * self.code_parameters)
        if given != wanted:
            raise InputError(
                f"{name}: the encoder gives {given}, but a decoder of codes {code} needs {wanted} "
                f"({self.code_parameters} per code dimension; see code_parameters of the network builders)"
            )
        given = tuple(self.decoder.output_shape[1:])
        wanted = (*shape[:-1], shape[-1] * self.likelihood.parameters)
        if given != wanted:
            raise InputError(
                f"{name}: the decoder gives {given}, but inputs {shape} with the likelihood "
                f"{type(self.likelihood).__name__} need {wanted} (see pixel_parameters of the network builders)"
            )


def penalties(parts):
    """Sum of the regularisation losses of some layers: a float32 scalar."""
    return sum(ops.cast(loss, "float32") for part in parts for loss in part.losses)


def check_network(model, part, network):
    """Raise unless `network` is a Keras model whose input and output shapes are known."""
    try:
        network.input_shape, network.output_shape  # noqa: B018 (Keras raises here)
    except AttributeError as error:
        raise InputError(
            f"{model}: {part} must have one known input and output shape. Received: {network!r}. "
            "Give a functional keras.Model, or a Sequential that starts with keras.Input"
        ) from error


def scale_for_replicas(loss):
    """Divide the loss by the number of replicas, whose gradients are summed: as Keras's own trainer does."""
    import tensorflow as tf

    return loss / tf.distribute.get_strategy().num_replicas_in_sync
