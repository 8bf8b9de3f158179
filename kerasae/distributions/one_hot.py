"""Codes of categorical variables: one-hot draws by the Gumbel-softmax, and the uniform prior over them."""

import math

import keras
from keras import ops

from kerasae.distributions.posteriors import Posterior
from kerasae.distributions.priors import Prior, sum_of_code
from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class OneHotPosterior(Posterior):
    """Model the code by independent categorical variables: Jang, Gu and Poole, arXiv 1611.01144, section 2.

    The last axis Z of the code holds Z / K variables of K classes, one-hot. `encoded` [B, ..., Z] holds their logits. A
    draw is the class of the largest logit + Gumbel noise, so it is exactly categorical; its gradient is that of
    softmax((logits + noise) / τ), the straight-through estimator of section 2.2. The mean is the chance of each class.
    The divergence from `UniformOneHot` is [B, ..., Z / K].

    Args:
        classes: K ≥ 2.
        temperature: τ > 0 of the gradient: the smaller, the less biased and the noisier.

    Raises:
        InputError: where K does not divide the code.

    Example:
        >>> OneHotPosterior(classes=4).kl(np.zeros((1, 8)), UniformOneHot(classes=4))  # [[0, 0]]
    """

    support = "one-hot"

    def __init__(self, classes=10, temperature=0.67):
        self.classes, self.temperature = checked(type(self).__name__, classes), float(temperature)
        if not self.temperature > 0:
            raise InputError(f"OneHotPosterior: temperature must be > 0. Received: temperature={temperature}")

    def get_config(self):
        return {"classes": self.classes, "temperature": self.temperature}

    def usual_prior(self):
        return UniformOneHot(self.classes)

    def outputs(self, code):
        if code % self.classes:
            raise InputError(f"OneHotPosterior: {self.classes} classes must divide the code. Received: code={code}")
        return code

    def mean(self, encoded):
        return joined(ops.softmax(split(encoded, self.classes), axis=-1))

    def draw(self, encoded, random, samples=None):
        logits = split(encoded, self.classes)
        lead = () if samples is None else (samples,)
        noisy = logits + gumbel(random.uniform((*lead, *ops.shape(logits))))
        soft = ops.softmax(noisy / self.temperature, axis=-1)
        hard = ops.one_hot(ops.argmax(noisy, axis=-1), self.classes, dtype="float32")
        return joined(ops.stop_gradient(hard - soft) + soft)

    def log_prob(self, encoded, z, axes=1):
        chances = ops.log_softmax(split(encoded, self.classes), axis=-1)
        return sum_of_code(ops.sum(chances * split(z, self.classes), axis=(-2, -1)), axes)

    def kl(self, encoded, prior):
        if not isinstance(prior, UniformOneHot) or prior.classes != self.classes:
            return None
        log_chances = ops.log_softmax(split(encoded, self.classes), axis=-1)
        return ops.sum(ops.exp(log_chances) * log_chances, axis=-1) + math.log(self.classes)


@keras.saving.register_keras_serializable("kerasae")
class UniformOneHot(Prior):
    """Model the code by Z / K one-hot variables whose K classes are equally likely: p(z) = K^(−Z/K).

    Args:
        classes: K ≥ 2; it must divide the code's last axis.

    Example:
        >>> UniformOneHot(classes=4).log_prob(np.eye(4))  # −log 4 = -1.3863 nats, four times
    """

    support = "one-hot"

    def __init__(self, classes=10):
        self.classes = checked(type(self).__name__, classes)

    def get_config(self):
        return {"classes": self.classes}

    def draw(self, shape, random):
        noise = gumbel(split(random.uniform(shape), self.classes))
        return joined(ops.one_hot(ops.argmax(noise, axis=-1), self.classes, dtype="float32"))

    def log_prob(self, z, axes=1):
        count = z.shape[-1] // self.classes
        return sum_of_code(ops.zeros_like(z[..., 0]) - count * math.log(self.classes), axes)


def checked(name, classes):
    """Return the number of classes; raise InputError for fewer than two."""
    if not classes >= 2:
        raise InputError(f"{name}: classes must be at least 2. Received: classes={classes}")
    return int(classes)


def gumbel(uniform):
    """Convert uniform numbers in [0, 1) to standard Gumbel noise, −log(−log u)."""
    return -ops.log(-ops.log(ops.clip(uniform, 1e-7, 1.0 - 1e-7)))


def split(values, classes):
    """Cut the last axis into variables: [..., Z] → float32 [..., Z / K, K]."""
    width = values.shape[-1]
    if width % classes:
        raise InputError(f"one-hot codes: {classes} classes must divide the code. Received: a code of {width}")
    return ops.reshape(ops.cast(values, "float32"), (*ops.shape(values)[:-1], width // classes, classes))


def joined(values):
    """Join the variables again: [..., Z / K, K] → [..., Z]."""
    *lead, count, classes = ops.shape(values)
    return ops.reshape(values, (*lead, count * classes))
