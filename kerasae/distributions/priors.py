"""Priors p(z): the distribution of the code before x is seen, with its draws and density.

A prior holds plain values only; the caller provides random numbers and owns the seeds.
"""

import math

import keras
from keras import ops

from kerasae.distributions.plain_values import PlainValues
from kerasae.distributions.von_mises_fisher import log_area, unit
from kerasae.errors import InputError


class Prior(PlainValues):
    """Compute `draw(shape, random)` and `log_prob(z, axes)`: the parent of the priors.

    Attributes:
        of_encoder: whether the prior is made of encoded inputs; it then has draws and a density only after `bind`.
        support: where codes lie: "reals", "sphere", "cube" or "one-hot"; of a prior of encoded inputs that of the
            posterior.
    """

    of_encoder = False
    support = "reals"

    def draw(self, shape, random):
        """Draw z ~ p(z): float32 of `shape` = (n, *code_shape); `random` has ``normal(shape)``, ``uniform(shape)``."""
        raise NotImplementedError

    def log_prob(self, z, axes=1):
        """Compute log p(z) in nats, summed over the last `axes` axes of z [..., Z]."""
        raise NotImplementedError

    def bind(self, posterior, encode):
        """Return the prior bound to a model's `Posterior` and encoder, x → `encoded`; by default the prior itself."""
        return self


@keras.saving.register_keras_serializable("kerasae")
class StandardNormal(Prior):
    """Model the code by p(z) = Π N(z_j; 0, 1).

    Example:
        >>> StandardNormal().log_prob(np.zeros((1, 2)))  # −log 2π = -1.8379 nats
    """

    def draw(self, shape, random):
        return random.normal(shape)

    def log_prob(self, z, axes=1):
        squares = ops.square(ops.cast(z, "float32"))
        return sum_of_code(-0.5 * ops.sum(squares + math.log(2.0 * math.pi), axis=-1), axes)


@keras.saving.register_keras_serializable("kerasae")
class UniformSphere(Prior):
    """Model the code by p(z) = 1 / area(S^{Z−1}) on unit vectors, Z ≥ 2: Davidson et al., arXiv 1804.00891, section 3.

    A code with more axes holds one independent unit vector in each of its last axes.

    Example:
        >>> UniformSphere().log_prob(np.eye(3))  # −log 4π = -2.5310 nats, three times
    """

    support = "sphere"

    def draw(self, shape, random):
        log_area(shape[-1])  # refuses Z < 2
        return unit(random.normal(shape))

    def log_prob(self, z, axes=1):
        z = ops.cast(z, "float32")
        return sum_of_code(ops.full_like(z[..., 0], -log_area(z.shape[-1])), axes)


@keras.saving.register_keras_serializable("kerasae")
class UniformCube(Prior):
    """Model the code by p(z) = 2^−Z on [−1, 1]^Z, 0 outside: Zhang, Song and Qi, arXiv 1702.08423.

    Example:
        >>> UniformCube().log_prob(np.zeros((1, 2)))  # −2 log 2 = -1.3863 nats
    """

    support = "cube"

    def draw(self, shape, random):
        return 2.0 * random.uniform(shape) - 1.0

    def log_prob(self, z, axes=1):
        inside = ops.abs(ops.cast(z, "float32")) <= 1.0
        return sum_of_code(ops.sum(ops.where(inside, -math.log(2.0), -math.inf), axis=-1), axes)


class PosteriorMixture(Prior):
    """Mix the posteriors of K inputs, p(z) = (1/K) Σ_k q(z | u_k): Tomczak and Welling, arXiv 1705.07120, eq. 9.

    It holds tensors, and lives for one step or one evaluation; it is not saved.

    Args:
        posterior: a `Posterior`.
        encoded: the encoder's output for the K inputs: [K, *code_shape], with `posterior.outputs` in the last axis.

    Example:
        >>> prior = PosteriorMixture(GaussianPosterior(), np.zeros((5, 4)))  # five times N(0, 1), Z = 2
        >>> prior.log_prob(np.zeros((1, 2)))  # −log 2π = -1.8379 nats
    """

    def __init__(self, posterior, encoded):
        self.posterior, self.encoded = posterior, encoded

    def draw(self, shape, random):
        count = ops.shape(self.encoded)[0]
        places = ops.floor(random.uniform((shape[0],)) * ops.cast(count, "float32"))
        places = ops.minimum(ops.cast(places, "int32"), ops.cast(count, "int32") - 1)
        return self.posterior.draw(ops.take(self.encoded, places, axis=0), random)

    def log_prob(self, z, axes=1):
        check_axes(axes, len(z.shape))
        each = self.posterior.log_prob(self.encoded, ops.expand_dims(z, -axes - 1), axes)
        return ops.logsumexp(each, axis=-1) - ops.log(ops.cast(ops.shape(self.encoded)[0], "float32"))


def sum_of_code(values, axes):
    """Sum log densities, already summed over the code's last axis, over its other `axes` − 1 axes."""
    check_axes(axes, len(values.shape) + 1)
    return ops.sum(values, axis=tuple(range(1 - axes, 0))) if axes > 1 else values


def check_axes(axes, most):
    """Raise InputError for a number of code axes that z does not have."""
    if not 1 <= axes <= most:
        raise InputError(f"axes: expected 1 to {most}, the number of the code's axes. Received: axes={axes}")


def named():
    """Map the names of priors without weights to their classes."""
    from kerasae.distributions import one_hot  # here, as it is a child of `Prior`

    return {"standard": StandardNormal, "sphere": UniformSphere, "cube": UniformCube, "one_hot": one_hot.UniformOneHot}


def get_prior(prior):
    """Get a `Prior` by its name, see `named`; a `Prior` is returned as it is."""
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, str) and prior in named():
        return named()[prior]()
    raise InputError(f"prior: expected one of {', '.join(named())}, or a Prior. Received: {prior!r}")
