"""Likelihoods whose spread the decoder predicts for every value."""

import keras
from keras import ops

from kerasae.distributions.divergences import LOG_2PI
from kerasae.distributions.likelihoods import Likelihood
from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class GaussianPerValue(Likelihood):
    """Model real values with a variance for each: p(x | z) = Π N(x_i; m_i, s_i²), m_i and log s_i² from the decoder.

    Kingma and Welling, arXiv 1312.6114, appendix C.2. The bound has no upper limit where data can be predicted
    exactly, such as pixels that are always black; `floor` sets one.

    Args:
        floor: least standard deviation, > 0: s² is floor² + exp(·).

    The decoder gives [B, ..., 2C] for inputs [B, ..., C]: the means, then the logarithms.

    Example:
        >>> GaussianPerValue(floor=1e-3).log_prob(np.zeros((1, 2)), np.zeros((1, 1)))  # −½ log 2π = -0.9189 nats
    """

    parameters = 2
    of_logits = False
    any_value = True

    def __init__(self, floor=0.01):
        if not floor > 0:
            raise InputError(f"GaussianPerValue: floor must be > 0. Received: floor={floor}")
        self.floor = float(floor)

    def get_config(self):
        return {"floor": self.floor}

    def mean(self, parameters):
        return ops.split(parameters, 2, axis=-1)[0]

    def draw(self, parameters, random):
        mean, variance = self._parts(parameters)
        return mean + ops.sqrt(variance) * random.normal(ops.shape(mean))

    def value_log_prob(self, parameters, x):
        mean, variance = self._parts(parameters)
        return -0.5 * (ops.square(x - mean) / variance + ops.log(variance) + LOG_2PI)

    def _parts(self, parameters):
        mean, log_variance = ops.split(ops.cast(parameters, "float32"), 2, axis=-1)
        return mean, self.floor**2 + ops.exp(ops.minimum(log_variance, 30.0))  # e³⁰ is far from overflow


@keras.saving.register_keras_serializable("kerasae")
class LogisticMixture(Likelihood):
    """Model quantised values by a mixture of discretised logistics: Salimans et al., arXiv 1701.05517, section 2.1.

    log p(x | z) = Σ_i log Σ_k π_k [σ((x_i + ½δ − m_k) / s_k) − σ((x_i − ½δ − m_k) / s_k)] with δ the step between two
    levels; the lowest level takes all mass below, and the highest all mass above. Here every channel has a mixture
    of its own, without the paper's dependence of green on red and blue on both. Divide by log 2 and the number of
    values for bits per dimension.

    Args:
        levels: number of values, ≥ 2: 256 for 8-bit images.
        components: K ≥ 1 logistics in each mixture.

    The decoder gives [B, ..., 3K·C] for inputs [B, ..., C]: of each value K logits, K means and K logarithms of scales.

    Example:
        >>> LogisticMixture(levels=2, components=1).log_prob(np.zeros((1, 3)), np.zeros((1, 1)))  # negative, nats
    """

    of_logits = False

    def __init__(self, levels=256, components=5):
        if levels < 2 or components < 1:
            raise InputError(
                "LogisticMixture: levels must be at least 2, and components at least 1. "
                f"Received: levels={levels}, components={components}"
            )
        self.levels, self.components = int(levels), int(components)
        self.parameters = 3 * self.components

    def get_config(self):
        return {"levels": self.levels, "components": self.components}

    def mean(self, parameters):
        logits, means, _ = self._parts(parameters)
        mean = ops.sum(ops.softmax(logits, axis=-1) * ops.clip(means, 0.0, 1.0), axis=-1)
        return ops.cast(ops.minimum(mean, 1.0), parameters.dtype)  # rounded shares may sum to more than 1

    def draw(self, parameters, random):
        logits, means, log_scales = self._parts(parameters)
        noise = -ops.log(-ops.log(_inside(random.uniform(ops.shape(logits)))))
        chosen = ops.one_hot(ops.argmax(logits + noise, axis=-1), self.components, dtype="float32")
        mean, log_scale = (ops.sum(values * chosen, axis=-1) for values in (means, log_scales))
        u = _inside(random.uniform(ops.shape(mean)))
        x = ops.clip(mean + ops.exp(log_scale) * (ops.log(u) - ops.log1p(-u)), 0.0, 1.0)
        return ops.round(x * (self.levels - 1)) / (self.levels - 1)

    def value_log_prob(self, parameters, x):
        logits, means, log_scales = self._parts(parameters)
        x = ops.expand_dims(ops.cast(x, "float32"), -1)
        half = 0.5 / (self.levels - 1)
        upper, lower = ((x + side - means) * ops.exp(-log_scales) for side in (half, -half))
        # σ(u) − σ(l) = σ(u) σ(−l) (1 − exp(l − u)), which keeps its digits where both are near 0 or 1.
        between = ops.log_sigmoid(upper) + ops.log_sigmoid(-lower) + _log1mexp(upper - lower)
        ends = ops.where(x > 1.0 - half, ops.log_sigmoid(-lower), between)
        each = ops.where(x < half, ops.log_sigmoid(upper), ends)
        return ops.logsumexp(ops.log_softmax(logits, axis=-1) + each, axis=-1)

    def _parts(self, parameters):
        """Split into logits, means around ½ and log scales of at least −7: float32 [B, ..., C, K] each."""
        *lead, width = ops.shape(parameters)
        values = ops.reshape(
            ops.cast(parameters, "float32"), (-1, *lead[1:], width // self.parameters, self.parameters)
        )
        logits, means, log_scales = ops.split(values, 3, axis=-1)
        return logits, means + 0.5, ops.maximum(log_scales - 2.0, -7.0)


def _inside(uniform):
    return ops.clip(uniform, 1e-6, 1.0 - 1e-6)


def _log1mexp(x):
    """Compute log(1 − exp(−x)) for x > 0."""
    return ops.log(-ops.expm1(-ops.maximum(x, 1e-12)))
