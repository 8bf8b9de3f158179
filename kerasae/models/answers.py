"""What the outputs of a classifier's head mean: one class, several classes, or numbers; its loss and metric by kind."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.models.label_losses import ClassAccuracy, ScaledSquaredError, SigmoidCrossentropy, SmoothedCrossentropy


class OneClass:
    """One of K classes: logits [B, K], softmax, cross-entropy; labels are integers [B], or soft [B, K]."""

    endpoint, monitor = "classify", ("val_accuracy", "max")
    least, first = 2, "glorot_uniform"

    def finish(self, outputs):
        """Return what the model gives for the head's outputs."""
        return outputs

    def answer(self, outputs):
        """Name what a user is told: probabilities [B, K] and labels [B]."""
        logits = ops.cast(outputs, "float32")
        labels = ops.cast(ops.top_k(logits, 1)[1][:, 0], "int64")
        return {"logits": logits, "probabilities": ops.softmax(logits), "labels": labels}

    def loss(self, smoothing=0.0, weights=None):
        """Build the loss, with labels smoothed and classes weighted."""
        return SmoothedCrossentropy(smoothing, weights)

    def metric(self):
        """Build the metric that is logged."""
        return ClassAccuracy()

    def blank(self, count):
        """Make labels of one example, to build metrics with."""
        return ops.zeros((1,), "int32")


class SeveralClasses:
    """Any of K classes: logits [B, K], sigmoids, binary cross-entropy; labels are 0 and 1, float32 [B, K]."""

    endpoint, monitor = "classify", ("val_loss", "min")
    least, first = 1, "glorot_uniform"

    def finish(self, outputs):
        """Return what the model gives for the head's outputs."""
        return outputs

    def answer(self, outputs):
        """Name what a user is told: probabilities [B, K], each for itself."""
        logits = ops.cast(outputs, "float32")
        return {"logits": logits, "probabilities": ops.sigmoid(logits)}

    def loss(self, smoothing=0.0, weights=None):
        """Build the loss, with labels moved towards one half and the presence of each class weighted."""
        return SigmoidCrossentropy(smoothing, weights)

    def metric(self):
        """Build the metric that is logged: the share of all K answers that are right."""
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)

    def blank(self, count):
        """Make labels of one example, to build metrics with."""
        return ops.zeros((1, count))


class Numbers:
    """D numbers [B, D] in the units of the labels: the head's outputs times `scale` plus `shift`; squared error.

    Args:
        shift, scale: mean and deviation [D] of the training labels.
    """

    endpoint, monitor = "estimate", ("val_loss", "min")
    least = 1

    @property
    def first(self):
        """Build the initializer of the head: near zero, so that estimates start at the mean whatever the codes are."""
        return keras.initializers.TruncatedNormal(stddev=1e-3)

    def __init__(self, shift, scale):
        self.shift, self.scale = ([float(value) for value in values] for values in (shift, scale))

    def finish(self, outputs):
        """Return what the model gives for the head's outputs, in the units of the labels."""
        outputs = ops.cast(outputs, "float32")
        return outputs * ops.convert_to_tensor(self.scale, "float32") + ops.convert_to_tensor(self.shift, "float32")

    def answer(self, outputs):
        """Name what a user is told: values [B, D]."""
        return {"values": ops.cast(outputs, "float32")}

    def loss(self, smoothing=0.0, weights=None):
        """Build the loss: squared error in deviations of the training labels."""
        return ScaledSquaredError(self.scale)

    def metric(self):
        """Build the metric that is logged, in the units of the labels."""
        return keras.metrics.MeanAbsoluteError(name="mae")

    def blank(self, count):
        """Make labels of one example, to build metrics with."""
        return ops.zeros((1, count))


KINDS = {"class": OneClass, "classes": SeveralClasses, "numbers": Numbers}
"""Kind of labels → what answers them."""


def answers(kind, count, shift=None, scale=None):
    """Build the object of a kind for `count` outputs; raises InputError for arguments that do not fit."""
    if kind not in KINDS:
        raise InputError(f"Classifier: kind must be {', '.join(KINDS)}. Received: kind={kind!r}")
    if (kind == "numbers") != (shift is not None) or (shift is None) != (scale is None):
        raise InputError(
            f"Classifier: shift and scale are for kind='numbers', which needs both. Received: kind={kind!r}"
        )
    if kind != "numbers":
        return KINDS[kind]()
    if not len(shift) == len(scale) == count or not all(value > 0 for value in scale):
        raise InputError(f"Classifier: expected {count} of shift, and of scale > 0. Received: {shift} and {scale}")
    return Numbers(shift, scale)
