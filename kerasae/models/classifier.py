"""A classifier, or an estimator of numbers, on top of a pretrained encoder."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers import Dropout, Standardization, TokenPooling
from kerasae.models.answers import answers
from kerasae.models.contract.arguments import RecordedArguments
from kerasae.models.contract.players import Update
from kerasae.models.contract.step import Proposal, ProposedStep, build_metrics
from kerasae.models.contract.terms import Found
from kerasae.ops.pixels import to_unit


@keras.saving.register_keras_serializable("kerasae")
class Classifier(RecordedArguments, ProposedStep, keras.Model):
    """Classify by logits = W encoder(x) + b: supervised fine-tuning of features learned without labels.

    It trains as any Keras classifier; compile it with a loss on logits, such as `answers.loss()`: of one class the
    cross-entropy of smoothed labels, Szegedy et al., arXiv 1512.00567, section 7. By `kind`, the K
    outputs answer which one of K classes an example has ("class"), which of them, each for itself ("classes"), or
    K numbers ("numbers"): scale · (W encoder(x) + b) + shift, in the units of the labels.

    Args:
        encoder: Keras model of floats [B, *shape] → codes, such as `Autoencoder.feature_encoder()`. Codes with more
            than one axis are flattened.
        classes: number of classes, or of numbers, K; of one class at least 2.
        dropout: dropout rate of the code and of every hidden activation between layers, in [0, 1); with a frozen
            encoder, of the code only.
        input_dropout: dropout rate of the input values, in [0, 1).
        freeze: True trains the head only; the encoder stays trainable in other models that share it.
        pixel_max: the integer that means 1.0, as for `Autoencoder`.
        kind: "class", "classes" or "numbers".
        shift, scale: of numbers, mean and deviation [K] of the training labels.

    Returns logits [B, K], or numbers [B, K].

    Example:
        >>> classifier = Classifier(autoencoder.feature_encoder(), classes=10)
        >>> classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    """

    ids = None

    def __init__(
        self,
        encoder,
        classes,
        dropout=0.0,
        input_dropout=0.0,
        freeze=False,
        pixel_max=255.0,
        kind="class",
        shift=None,
        scale=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kind, self.answers = kind, answers(kind, classes, shift, scale)
        if classes < self.answers.least:
            least = "two classes are" if self.answers.least == 2 else "one class is"
            raise InputError(f"Classifier: at least {least} needed. Received: classes={classes}")
        if not pixel_max > 0:
            raise InputError(f"Classifier: pixel_max must be > 0. Received: pixel_max={pixel_max}")
        for name, rate in (("dropout", dropout), ("input_dropout", input_dropout)):
            if not 0.0 <= rate < 1.0:
                raise InputError(f"Classifier: {name} must be in [0, 1). Received: {name}={rate}")
        self.encoder, self.pixel_max, self.freeze = encoder, float(pixel_max), bool(freeze)
        self.classes = int(classes)
        self.drop_input = Dropout(input_dropout)
        self.body = with_dropout(encoder, dropout) if dropout and not freeze else encoder
        self.head = build_head(encoder.output_shape[1:], classes, dropout if freeze else 0.0, self.answers.first)
        self.built = True

    # The encoder is frozen here, as `encoder.trainable = False` would freeze the autoencoder that shares it too.

    @property
    def trainable_variables(self):
        return self._trained(self.variables, True)

    @property
    def non_trainable_variables(self):
        return self._trained(self.variables, False)

    @property
    def trainable_weights(self):
        return self._trained(self.weights, True)

    @property
    def non_trainable_weights(self):
        return self._trained(self.weights, False)

    def _trained(self, variables, wanted):
        """Select the variables that the classifier trains, or with `wanted` false the frozen ones."""
        frozen = {id(v) for v in self.encoder.variables} if self.freeze else ()
        return [v for v in variables if (v.trainable and id(v) not in frozen) == wanted]

    @property
    def example_shape(self):
        """Shape of one input, without the batch."""
        return tuple(self.encoder.input_shape[1:])

    @property
    def standardization(self):
        """The `kerasae.layers.Standardization` that the encoder begins with; None where values have a range."""
        return next((layer for layer in self.encoder.layers if isinstance(layer, Standardization)), None)

    def call(self, x, training=False):
        x = self.drop_input(to_unit(x, self.pixel_max), training=training)
        # A frozen encoder runs as in inference: no batch statistics, no dropout.
        outputs = self.head(self.body(x, training=training and not self.freeze), training=training)
        return self.answers.finish(outputs)

    def encode(self, x):
        """Encode x to the codes that the head classifies: [B, *shape] → [B, ...]."""
        return self.encoder(to_unit(x, self.pixel_max), training=False)

    def probabilities(self, x):
        """Compute class probabilities: [B, *shape] → [B, K]; not of numbers."""
        return self.answer(x)["probabilities"]

    def answer(self, x):
        """Compute by name what a user is told: probabilities and labels, probabilities, or values."""
        return self.answers.answer(self(x, training=False))

    def trained(self):
        return {"model": (self.optimizer, self.trainable_weights)}

    def forward_once(self):
        self(ops.zeros((1, *(n or 1 for n in self.example_shape))), training=True)

    def build_training(self):
        super().build_training()
        build_metrics(self, self.answers.blank(self.classes), ops.zeros((1, self.classes)))

    def compile(self, *arguments, micro_batches=1, at_once=1, **options):
        """Compile as in Keras, with optional micro-batches.

        Args:
            micro_batches, at_once: as for `Autoencoder.compile`. The loss must be a mean over the examples; a batch
                norm in the encoder sees one part at a time.

        Raises:
            InputError: for numbers out of range, or micro-batches with a loss that is a sum.
        """
        self.set_micro_batches(micro_batches, at_once)
        super().compile(*arguments, **options)
        if micro_batches > 1 and getattr(self.loss, "reduction", None) == "sum":
            raise InputError("Classifier: micro_batches needs a loss that is a mean over the examples, not their sum")

    def propose(self, data):
        """Compute Keras's training step on a batch without the update; returns a `Proposal`."""
        import tensorflow as tf  # here, so that machines with JAX alone need no TensorFlow

        from kerasae.models.contract.micro_batches import accumulate

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        whole, parts = (x, y, sample_weight), self.micro_batches
        if parts == 1:
            computed = self._compute(whole, 1.0)
        else:
            computed = accumulate(self._compute, whole, parts, self.at_once, static=self.jit_compile is True)
        loss = computed.loss * tf.distribute.get_strategy().num_replicas_in_sync  # undoes the division by replicas
        self._loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
        logs = self.compute_metrics(x, y, computed.found.rows["logits"], sample_weight)
        return Proposal(logs, [Update(self.optimizer, computed.gradients, self.trainable_weights)])

    def _compute(self, batch, share):
        """Compute the gradients of a batch, with the loss times `share`, its share of the whole batch."""
        import tensorflow as tf

        from kerasae.models.contract.micro_batches import Computed

        x, y, sample_weight = batch
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss * share)
        return Computed(tape.gradient(scaled, self.trainable_weights), loss, Found({}, {}, {"logits": y_pred}))


def build_head(code_shape, classes, dropout, first="glorot_uniform"):
    """Build a linear layer code → logits: [B, *code_shape] → [B, classes], with first weights from `first`."""
    x = inputs = keras.Input(code_shape)
    if len(code_shape) > 1:
        x = layers.Flatten()(x)
    if dropout:
        x = Dropout(dropout)(x)
    logits = layers.Dense(classes, name="logits", dtype="float32", kernel_initializer=first)
    return keras.Model(inputs, logits(x), name="head")


def with_dropout(encoder, rate):
    """Copy a functional encoder with dropout of `rate` after every activation and pooling; the layers are shared."""

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        active = isinstance(layer, layers.Dense | layers.Conv2D | TokenPooling)
        return Dropout(rate)(outputs) if active else outputs

    def share(layer):
        return with_dropout(layer, rate) if isinstance(layer, keras.Model) else layer

    return keras.models.clone_model(encoder, clone_function=share, call_function=call)
