"""The loss of classes of pixels, and the intersection over union that is logged while a segmenter trains."""

import keras
from keras import ops

from kerasae.models.label_losses import checked

IGNORED = 255
"""Label of a pixel that says nothing: it is neither learned from nor measured."""


@keras.saving.register_keras_serializable("kerasae")
class PixelCrossentropy(keras.losses.Loss):
    """Compute the cross-entropy of logits [B, H, W, K] with the classes of pixels [B, H, W]: [B], nats per pixel.

    −1 / N Σ_i w_{y_i} log softmax(logits_i)_{y_i}, over the N pixels i of an image whose class is not 255, "ignored";
    0 of an image without any.

    Args:
        weights: K weights w of the classes; None for 1.
    """

    def __init__(self, weights=None, name="pixel_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = checked(weights)

    def call(self, y_true, y_pred):
        y = ops.cast(y_true, "int32")
        known = ops.cast(y != IGNORED, "float32")
        # A one-hot product, not a gather: its gradient needs no scatter.
        chosen = ops.one_hot(y, y_pred.shape[-1], dtype="float32")
        if self.weights is not None:
            chosen = chosen * ops.convert_to_tensor(self.weights, "float32")
        log_p = ops.sum(chosen * ops.log_softmax(ops.cast(y_pred, "float32")), axis=-1)
        return -ops.sum(known * log_p, axis=(1, 2)) / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)

    def get_config(self):
        return {**super().get_config(), "weights": self.weights}


def pixel_iou(classes):
    """Build the metric "mean_iou": the mean over classes of intersection over union, of pixels that are not ignored."""
    return keras.metrics.MeanIoU(classes, name="mean_iou", ignore_class=IGNORED, sparse_y_pred=False)
