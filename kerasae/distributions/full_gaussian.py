"""Gaussian posterior whose dimensions may depend on each other."""

import math

import keras
import numpy as np
from keras import ops

from kerasae.distributions.divergences import LOG_2PI
from kerasae.distributions.posteriors import Posterior
from kerasae.distributions.priors import StandardNormal, sum_of_code
from kerasae.errors import InputError


@keras.saving.register_keras_serializable("kerasae")
class FullGaussianPosterior(Posterior):
    """Model the code by q(z | x) = N(z; μ, L Lᵀ): Kingma and Welling, arXiv 1906.02691, section 2.5.1.

    `encoded` [B, ..., Z + Z(Z+1)/2] holds the mean μ, then the lower triangle of the Cholesky factor L, row by row; its
    diagonal is the exponential of the numbers given. The divergence from `StandardNormal` is [B, ..., 1].

    Raises:
        InputError: for a last axis of another length.

    Example:
        >>> encoded = np.zeros((1, 5))  # N(0, I) in two dimensions
        >>> FullGaussianPosterior().log_prob(encoded, np.zeros((1, 2)))  # −log 2π = -1.8379 nats
    """

    def outputs(self, code):
        return code + code * (code + 1) // 2

    def mean(self, encoded):
        return ops.cast(encoded, "float32")[..., : self._size(encoded)]

    def draw(self, encoded, random, samples=None):
        mean, factor, _ = self._parts(encoded)
        lead = () if samples is None else (samples,)
        noise = random.normal((*lead, *ops.shape(mean)))
        return mean + ops.squeeze(ops.matmul(factor, ops.expand_dims(noise, -1)), -1)

    def log_prob(self, encoded, z, axes=1):
        mean, factor, log_diagonal = self._parts(encoded)
        apart = ops.cast(z, "float32") - mean
        lead = ops.shape(apart)[:-1]
        factor = ops.broadcast_to(factor, (*lead, *ops.shape(factor)[-2:]))
        white = ops.squeeze(ops.solve_triangular(factor, ops.expand_dims(apart, -1), lower=True), -1)
        return sum_of_code(-0.5 * ops.sum(ops.square(white) + LOG_2PI, axis=-1) - ops.sum(log_diagonal, -1), axes)

    def kl(self, encoded, prior):
        if not isinstance(prior, StandardNormal):
            return None
        mean, factor, log_diagonal = self._parts(encoded)
        traces = ops.sum(ops.square(mean) - 1.0 - 2.0 * log_diagonal, axis=-1, keepdims=True)
        return 0.5 * (traces + ops.expand_dims(ops.sum(ops.square(factor), axis=(-2, -1)), -1))

    def _parts(self, encoded):
        """Split `encoded` into μ [B, ..., Z], L [B, ..., Z, Z] and the logarithm of its diagonal [B, ..., Z]."""
        encoded, size = ops.cast(encoded, "float32"), self._size(encoded)
        rows, columns = np.indices((size, size))
        places = np.where(rows >= columns, size + rows * (rows + 1) // 2 + columns, 0)
        matrix = ops.take(encoded, places, axis=-1)
        log_diagonal = ops.take(encoded, np.diagonal(places), axis=-1)
        below = ops.cast(rows > columns, "float32")
        return encoded[..., :size], matrix * below + ops.exp(matrix) * np.eye(size, dtype="float32"), log_diagonal

    def _size(self, encoded):
        width = encoded.shape[-1]
        size = (math.isqrt(9 + 8 * width) - 3) // 2  # the solution of Z + Z(Z+1)/2 = width
        if self.outputs(size) != width:
            raise InputError(
                "FullGaussianPosterior: encoded must have Z means and Z(Z+1)/2 numbers of a triangle in its last axis. "
                f"Received: shape={tuple(encoded.shape)}"
            )
        return size
