"""Losses of labels, by what a label is, and the accuracy that is logged while a classifier trains."""

import keras
from keras import ops

from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class SmoothedCrossentropy(keras.losses.Loss):
    """Compute the cross-entropy of logits [B, K] with labels smoothed over all classes.

    −Σ_k w_k t_k log softmax(logits)_k with t = (1 − ε) y + ε / K: Szegedy et al., arXiv 1512.00567, section 7. y is the
    one-hot code of integer labels [B] (or [B, 1]), or the soft labels [B, K] that mixing gives, which sum to 1.

    Args:
        smoothing: the share ε in [0, 1).
        weights: K weights w of the classes; None for 1.
    """

    def __init__(self, smoothing=0.0, weights=None, name="smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0.0 <= smoothing < 1.0:
            raise InputError(f"label smoothing must be in [0, 1). Received: {smoothing}")
        self.smoothing, self.weights = float(smoothing), checked(weights)

    def call(self, y_true, y_pred):
        log_p = ops.log_softmax(ops.cast(y_pred, "float32"))
        if self.weights is not None:
            log_p = log_p * ops.convert_to_tensor(self.weights, "float32")
        if is_soft(y_true, y_pred):
            picked = ops.sum(ops.cast(y_true, "float32") * log_p, axis=-1)
        else:
            picked = ops.squeeze(
                ops.take_along_axis(log_p, ops.expand_dims(classes_of(y_true, y_pred), -1), axis=-1), -1
            )
        return -(1.0 - self.smoothing) * picked - self.smoothing * ops.mean(log_p, axis=-1)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing, "weights": self.weights}


@keras.saving.register_keras_serializable("kerasae")
class SigmoidCrossentropy(keras.losses.Loss):
    """Compute the mean over K classes of the binary cross-entropy of logits [B, K] with labels 0 and 1 [B, K].

    −mean_k [w_k t_k log σ(z_k) + (1 − t_k) log(1 − σ(z_k))] with t = (1 − ε) y + ε / 2: [B].

    Args:
        smoothing: the share ε in [0, 1).
        weights: K weights w of the presence of a class; None for 1.
    """

    def __init__(self, smoothing=0.0, weights=None, name="sigmoid_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.smoothing, self.weights = float(smoothing), checked(weights)

    def call(self, y_true, y_pred):
        z, y = ops.cast(y_pred, "float32"), ops.cast(y_true, "float32")
        y = (1.0 - self.smoothing) * y + 0.5 * self.smoothing
        present = y * ops.log_sigmoid(z)
        if self.weights is not None:
            present = present * ops.convert_to_tensor(self.weights, "float32")
        return -ops.mean(present + (1.0 - y) * ops.log_sigmoid(-z), axis=-1)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing, "weights": self.weights}


@keras.saving.register_keras_serializable("kerasae")
class ScaledSquaredError(keras.losses.Loss):
    """Compute mean_d ((y_d − ŷ_d) / s_d)² of numbers [B, D]: [B].

    Args:
        scale: the D units s, such as the deviations of the training labels.
    """

    def __init__(self, scale, name="scaled_squared_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scale = [float(value) for value in scale]

    def call(self, y_true, y_pred):
        differences = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
        return ops.mean(ops.square(differences / ops.convert_to_tensor(self.scale, "float32")), axis=-1)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("kerasae")
class ClassAccuracy(keras.metrics.Mean):
    """Measure accuracy: the share of examples whose greatest logit is at their label, or greatest soft label.

    Called with logits [B, K] and integer labels [B] or [B, 1], or soft labels [B, K]; one metric may see both, such as
    mixed labels in training and integers in validation. Keras's "accuracy" keeps to the form that it sees first.
    """

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        hit = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), classes_of(y_true, y_pred))
        return super().update_state(ops.cast(hit, self.dtype), sample_weight)


def is_soft(y_true, y_pred):
    """Tell whether labels are class probabilities [B, K], not integers [B] or [B, 1]."""
    return len(y_true.shape) == 2 and y_true.shape[-1] == y_pred.shape[-1]


def classes_of(y_true, y_pred):
    """Convert labels of either form to classes: int32 [B]."""
    y_true = ops.argmax(y_true, axis=-1) if is_soft(y_true, y_pred) else ops.reshape(y_true, (-1,))
    return ops.cast(y_true, "int32")


def checked(weights):
    """Convert the weights of classes to floats; raises InputError unless they are numbers of at least 0."""
    found = None if weights is None else [float(weight) for weight in weights]
    if found is not None and not all(0.0 <= weight < float("inf") for weight in found):
        raise InputError(f"class weights: expected numbers of at least 0. Received: {found}")
    return found
