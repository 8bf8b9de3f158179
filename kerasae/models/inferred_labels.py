"""Labels of which some are unknown: the part that all semi-supervised models share."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models.contract.base import check_network
from kerasae.models.contract.codec import CONDITION, has_input


class InferredLabels:
    """Take labels of which some are unknown, and predict them; a mix-in of `Autoencoder`.

    Every method takes y: classes [B], −1 = unknown, or no y at all. `encode`, `reconstruct` and `score` then use the
    most likely class by `probabilities`. `Batch.y` holds one-hot rows, and rows of zeros where the class is unknown.

    A variant writes `class_logits`.
    """

    infers_labels = True
    unstackable = "it learns from labels, which the layers of a stack do not see"

    def class_logits(self, x, training=False):
        """Compute the logits of the classes of x as a `Batch` holds it: float32 [B, K]."""
        raise NotImplementedError(f"{type(self).__name__} must write class_logits")

    def probabilities(self, x, batch_size=256):
        """Compute class probabilities q(y | x): [B, *shape] → float32 [B, K]."""
        return self.by_batches(lambda batch: ops.softmax(self.class_logits(batch.x)), x, batch_size=batch_size)

    @property
    def classes(self):
        """Number K of classes."""
        return self.condition_width

    def with_labels(self, batch):
        """Fill the unknown labels of a batch in with the most likely classes."""
        likely = ops.one_hot(ops.argmax(self.class_logits(batch.x), axis=-1), self.classes, dtype="float32")
        return batch._replace(y=batch.y + unknown(batch.y) * likely)

    def reconstruct_batch(self, batch, training=False):
        batch = self.with_labels(batch)
        return self._mean(self.encode_batch(batch, training), batch.y, batch.mask, training)

    def code_prior(self):
        return self.prior

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws of the prior to means of p(x | z, y): [n, *shape]; the same for the same integer seed.

        Args:
            n: number of examples.
            y: one class for all, classes [n] or numbers [n, K]; None draws every class with the same chance.
            seed: integer, or None for another draw each time.
            batch_size: examples decoded at a time.
        """
        if y is None:
            y = ops.cast(ops.floor(self.classes * Draws(None if seed is None else seed + 1).uniform((n,))), "int32")
        return self.decode_draws(self.prior, n, y, seed, batch_size)


def unknown(y):
    """Tell which rows of labels are unknown: [B, K] → float32 [B, 1], 1 = unknown."""
    return 1.0 - ops.sum(y, axis=-1, keepdims=True)


def cross_entropy(y, logits):
    """Compute −Σ_k y_k log softmax(logits)_k, which is 0 where the label is unknown: [B], nats."""
    return -ops.sum(y * ops.log_softmax(ops.cast(logits, "float32")), axis=-1)


def check_conditional(model):
    """Raise InputError unless the decoder of a model takes the class as its condition."""
    if not has_input(model.decoder, CONDITION):
        raise InputError(
            f"{type(model).__name__}: the decoder must take the class; build the networks with condition=K, the number "
            "of classes"
        )


def check_classifier(model):
    """Raise InputError unless a model's classifier takes the model's examples and gives a logit for each class."""
    name, classifier = type(model).__name__, model.classifier
    check_network(name, "classifier", classifier)
    given = [tuple(shape[1:]) for shape in (classifier.input_shape, classifier.output_shape)]
    if given != [model.example_shape, (model.classes,)]:
        raise InputError(
            f"{name}: the classifier takes {given[0]} and gives {given[1]}, but examples {model.example_shape} of "
            f"{model.classes} classes need one that gives ({model.classes},)"
        )
    if isinstance(last := classifier.layers[-1], keras.layers.Dense) and last.activation is keras.activations.softmax:
        raise InputError(f"{name}: the classifier ends in softmax, but must give logits; end it without an activation")
