"""Hyperparameters of an objective that may change in training: saved, logged, set by callbacks, annealed."""

import keras

from kerasae.errors import InputError


class Knob:
    """Store a hyperparameter as an attribute backed by a float32 variable, which compiled steps read at every step.

    `model.beta = 0.5` sets it at any time, also from a callback. `float(model.beta)` reads it; on several devices,
    `keras.ops.convert_to_numpy(model.beta)` does. A `keras.optimizers.schedules.LearningRateSchedule` in place of a
    number sets the value at every update of the weights, for KL warm-up or annealed sparsity:
    `beta=keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 1.0)`. Saved models and checkpoints hold the value.

    Args:
        minimum: least value, or None.
        maximum: greatest value, or None.

    Raises:
        InputError: on setting a number out of range.

    Example:
        >>> class Weighted(Autoencoder):
        ...     beta = Knob(minimum=0.0)
    """

    def __init__(self, minimum=None, maximum=None):
        self.minimum, self.maximum = minimum, maximum

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, model, owner=None):
        if model is None:
            return self
        if self.name not in model.knobs():
            raise AttributeError(f"{type(model).__name__}: {self.name} is not set yet")
        return model.knobs()[self.name]

    def __set__(self, model, value):
        model.knob_schedules().pop(self.name, None)
        if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
            model.knob_schedules()[self.name] = value
            value = float(keras.ops.convert_to_numpy(value(0)))
        value = self._checked(type(model).__name__, value)
        known = model.knobs()
        if self.name in known:
            known[self.name].assign(value)
        else:
            start = keras.initializers.Constant(value)
            known[self.name] = model.add_weight((), start, "float32", trainable=False, autocast=False, name=self.name)

    def _checked(self, owner, value):
        number = float(value)
        low = self.minimum is not None and not number >= self.minimum
        if low or (self.maximum is not None and not number <= self.maximum) or number != number:
            bounds = [f"≥ {self.minimum}"] if self.minimum is not None else []
            bounds += [f"≤ {self.maximum}"] if self.maximum is not None else []
            raise InputError(f"{owner}: {self.name} must be {' and '.join(bounds)}. Received: {self.name}={value}")
        return number
