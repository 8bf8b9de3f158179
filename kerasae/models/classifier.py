"""A classifier, or an estimator of numbers, on top of a pretrained encoder."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.layers import Dropout, TokenPooling
from kerasae.models.answers import answers
from kerasae.models.contract.step import build_metrics
from kerasae.models.contract.supervised import Supervised
from kerasae.ops.pixels import to_unit


@keras.saving.register_keras_serializable("kerasae")
class Classifier(Supervised):
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

    def build_training(self):
        super().build_training()
        build_metrics(self, self.answers.blank(self.classes), ops.zeros((1, self.classes)))


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
