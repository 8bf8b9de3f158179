"""Likelihoods p(x | z): the distribution of x given the decoder's output.

A likelihood turns the decoder's raw output, the *parameters*, into a mean in the range of the input and into
log p(x | z). It holds plain values only. `parameters` says how many numbers the decoder must give per input value.
"""

import math

import keras
from keras import ops

from kerasae.distributions.divergences import LOG_2PI
from kerasae.distributions.plain_values import PlainValues
from kerasae.errors import InputError
from kerasae.ops.pixels import sum_per_example


class Likelihood(PlainValues):
    """Compute `mean(parameters)` and `log_prob(parameters, x)`, and draw x: the parent of the likelihoods.

    A child writes `mean`, `value_log_prob` and `draw`.

    Attributes:
        parameters: numbers that the decoder gives per input value.
        of_logits: whether the mean applies a sigmoid or a softmax to the decoder's output.
        any_value: whether x may be any number; otherwise x lies in [0, 1].
        ids: None, or how many ids x may hold, whole numbers that name tokens; 0 is padding.
    """

    parameters = 1
    of_logits = True
    any_value = False
    ids = None

    def parameters_shape(self, shape):
        """Return the shape of the parameters of an example, without the batch."""
        return (*shape[:-1], shape[-1] * self.parameters)

    def mean(self, parameters):
        """Compute the mean of p(x | z), in the shape and the range of x."""
        raise NotImplementedError

    def draw(self, parameters, random):
        """Draw x ~ p(x | z), float32 in the shape of x; `random` has ``normal(shape)``, ``uniform(shape)``."""
        raise NotImplementedError

    def log_prob(self, parameters, x, mask=None):
        """Compute log p(x | z): [B], nats per example, summed over the input values.

        Args:
            parameters: [B, ...], the decoder's output.
            x: [B, *shape].
            mask: None, or 1 = counts, 0 = missing: [B, *shape], or only its first axes.
        """
        values = self.value_log_prob(parameters, x)
        if mask is not None:
            mask = ops.reshape(mask, (*ops.shape(mask), *[1] * (len(values.shape) - len(mask.shape))))
            values = values * ops.cast(mask, values.dtype)
        return sum_per_example(values)

    def value_log_prob(self, parameters, x):
        """Compute log p(x_i | z) of every input value: float32 [B, *shape], nats."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("kerasae")
class Bernoulli(Likelihood):
    """Model binary values: p(x | z) = Π p^x (1−p)^(1−x) with p = sigmoid(parameters).

    For grey values in [0, 1] it is the cross-entropy that the literature uses. That is no density: compare it only with
    other such cross-entropies.

    Example:
        >>> Bernoulli().log_prob(np.zeros((1, 4)), np.ones((1, 4)))  # 4 log ½ = -2.7726 nats
    """

    def mean(self, parameters):
        return ops.sigmoid(parameters)

    def draw(self, parameters, random):
        chance = ops.sigmoid(ops.cast(parameters, "float32"))
        return ops.cast(random.uniform(ops.shape(chance)) < chance, "float32")

    def value_log_prob(self, parameters, x):
        logits = ops.cast(parameters, "float32")
        return x * logits - ops.softplus(logits)


@keras.saving.register_keras_serializable("kerasae")
class Gaussian(Likelihood):
    """Model real values with one fixed standard deviation: p(x | z) = N(x; parameters, scale²).

    −log p = Σ (x − m)² / (2 scale²) + D log scale + D/2 log 2π.

    Args:
        scale: standard deviation, > 0. 1 gives half the summed squared error plus a constant.
        squash: True puts the mean through a sigmoid, which keeps it in [0, 1].
    """

    def __init__(self, scale=1.0, squash=False):
        if not scale > 0:
            raise InputError(f"Gaussian: scale must be > 0. Received: scale={scale}")
        self.scale, self.squash = float(scale), bool(squash)
        self.of_logits, self.any_value = self.squash, True

    def get_config(self):
        return {"scale": self.scale, "squash": self.squash}

    def mean(self, parameters):
        return ops.sigmoid(parameters) if self.squash else parameters

    def draw(self, parameters, random):
        mean = self.mean(ops.cast(parameters, "float32"))
        return mean + self.scale * random.normal(ops.shape(mean))

    def value_log_prob(self, parameters, x):
        error = ops.cast(self.mean(ops.cast(parameters, "float32")), "float32") - x
        constant = math.log(self.scale) + 0.5 * LOG_2PI
        return -ops.square(error) * (0.5 / self.scale**2) - constant


@keras.saving.register_keras_serializable("kerasae")
class Categorical(Likelihood):
    """Model quantised values by a softmax over `levels` equally spaced values in [0, 1].

    log p(x | z) = Σ log softmax(parameters)[round(x · (levels − 1))].

    Args:
        levels: number of values, ≥ 2: 256 for 8-bit images, 17 for scans counted 0…16.

    The decoder gives [B, ..., C·levels] for inputs [B, ..., C]; the levels of a channel lie side by side.
    """

    def __init__(self, levels=256):
        if levels < 2:
            raise InputError(f"Categorical: levels must be at least 2. Received: levels={levels}")
        self.parameters = int(levels)

    def get_config(self):
        return {"levels": self.parameters}

    def _by_level(self, parameters):
        _, *middle, last = ops.shape(parameters)
        # -1, as the batch size is unknown while a functional model is built.
        return ops.reshape(parameters, (-1, *middle, last // self.parameters, self.parameters))

    def mean(self, parameters):
        values = ops.linspace(0.0, 1.0, self.parameters)
        return ops.sum(ops.softmax(self._by_level(parameters)) * ops.cast(values, parameters.dtype), axis=-1)

    def draw(self, parameters, random):
        chances = ops.softmax(ops.cast(self._by_level(parameters), "float32"))
        below = ops.cumsum(chances, axis=-1)[..., :-1]  # x is the number of these that u exceeds
        u = ops.expand_dims(random.uniform(ops.shape(chances)[:-1]), -1)
        return ops.sum(ops.cast(u > below, "float32"), axis=-1) / (self.parameters - 1)

    def value_log_prob(self, parameters, x):
        logits = ops.log_softmax(ops.cast(self._by_level(parameters), "float32"))
        level = ops.cast(ops.round(x * (self.parameters - 1)), "int32")
        return ops.squeeze(ops.take_along_axis(logits, ops.expand_dims(level, -1), axis=-1), -1)


def named():
    """Map the likelihoods' names to their classes."""
    from kerasae.distributions import spread_likelihoods as spread  # here, as they are children of `Likelihood`

    return {
        "bernoulli": Bernoulli,
        "gaussian": Gaussian,
        "gaussian_per_value": spread.GaussianPerValue,
        "categorical": Categorical,
        "logistic_mixture": spread.LogisticMixture,
    }


def get(likelihood):
    """Get a `Likelihood` by its name, see `named`; a `Likelihood` is returned as it is."""
    if isinstance(likelihood, Likelihood):
        return likelihood
    if isinstance(likelihood, str) and likelihood in named():
        return named()[likelihood]()
    raise InputError(f"likelihood: expected one of {', '.join(named())}, or a Likelihood. Received: {likelihood!r}")
