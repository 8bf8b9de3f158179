"""Players: the parts of a model that minimise separate losses with separate optimisers."""

from typing import Any, NamedTuple

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.models.contract.terms import minimised


class Player(NamedTuple):
    """Hold the layers and the weighted terms of one loss, such as the discriminator's.

    Attributes:
        parts: layers whose trainable weights the player updates, and whose regularisation losses its loss includes.
        weights: name of a term → its weight in the player's loss, a number or a `Knob`.
    """

    parts: list
    weights: dict

    @property
    def trainable_weights(self):
        """The variables that the player updates, each once."""
        return list({id(w): w for part in self.parts for w in part.trainable_weights}.values())

    def loss(self, terms, weight, training):
        """Sum the weighted mean of each term and the layers' regularisation losses: a float32 scalar.

        Args:
            terms: as in `Found`.
            weight: weights [B] of the examples, or None. As in Keras, the sum of the weighted terms is divided by B.
            training: whether the loss uses the minimised value of a `Term`, such as a floor, or the logged one.
        """
        total = sum(factor * average(minimised(terms[name], training), weight) for name, factor in self.weights.items())
        return total + self.penalties()

    def penalties(self):
        """Sum the regularisation losses of the layers: a float32 scalar."""
        return sum(ops.cast(loss, "float32") for part in self.parts for loss in part.losses)


class Update(NamedTuple):
    """Hold the proposed gradients of one optimiser, multiplied by its loss scale, and their weights."""

    optimizer: Any
    gradients: list
    weights: list

    def apply(self):
        """Apply the gradients to the weights."""
        self.optimizer.apply_gradients(zip(self.gradients, self.weights, strict=True))


def average(values, weight):
    """Average [B] values, each times its weight if there are any; a scalar stays as it is."""
    if not len(values.shape):
        return values
    return ops.mean(values if weight is None else values * weight)


def copy_optimizer(optimizer, factor):
    """Copy an optimiser's settings, with a learning rate that stays `factor` times the original's.

    So a callback or a schedule that changes the original's rate changes the copy's too.
    """
    copy = type(optimizer).from_config(optimizer.get_config())
    inner = getattr(copy, "inner_optimizer", copy)  # mixed_float16 wraps it in a LossScaleOptimizer
    given = inner.get_config()["learning_rate"]
    schedule = keras.optimizers.schedules.deserialize(given) if isinstance(given, dict) else None
    inner.learning_rate = ScaledRate(factor, schedule, optimizer)
    return copy


class ScaledRate(keras.optimizers.schedules.LearningRateSchedule):
    """Multiply a schedule or, without one, the current learning rate of another optimiser."""

    def __init__(self, factor, schedule, leader):
        self.factor, self.schedule, self.leader = factor, schedule, leader

    def __call__(self, step):
        return self.factor * (self.leader.learning_rate if self.schedule is None else self.schedule(step))

    def get_config(self):
        raise NotImplementedError("made anew by `compile`, never saved")


def optimizers_of(model, optimizer, others):
    """Map each player's name to its optimiser: the compiled one first, then copies or the ones in `others`.

    Args:
        model: with `players()`.
        optimizer: the compiled optimiser.
        others: name of a further player → an optimiser, or a number by which its copy multiplies the learning rate.
    """
    first, *rest = model.players()
    unknown = set(others) - set(rest)
    if unknown:
        raise InputError(
            f"{type(model).__name__}: players must be among {', '.join(rest) or 'none, as the model has one optimiser'}"
            f". Received: {', '.join(sorted(unknown))}"
        )
    given = {name: others.get(name, 1.0) for name in rest}
    made = {name: copy_optimizer(optimizer, float(o)) if isinstance(o, int | float) else o for name, o in given.items()}
    return {first: optimizer, **{name: keras.optimizers.get(o) for name, o in made.items()}}
