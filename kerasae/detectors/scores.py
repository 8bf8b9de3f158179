"""Scores of how unlike normal examples an example is, by what an autoencoder makes of it: one layer each."""

import math

import keras
import numpy as np
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import normal, uniform
from kerasae.models import MaskedAutoencoder
from kerasae.ops import sum_per_example

MOST_VALUES = 4096
"""Most values of a code whose covariance is estimated."""


class Score(keras.layers.Layer):
    """Score examples by an autoencoder, which is handed in at every call; the layer holds what `adapt` has measured.

    Args:
        model: the autoencoder whose examples are to be scored.
        settings: the arguments of `Detector` that some scores need.
    """

    def __init__(self, model, settings):
        super().__init__(trainable=False, autocast=False, dtype="float32")
        self.settings, self.code_size = settings, math.prod(model.code_shape)
        self.check(model)
        self.built = True

    def check(self, model):
        """Raise InputError if the model cannot be scored like that."""

    def adapt(self, codes):
        """Measure what the score needs on a function that gives the codes of the training examples, [N, Z]."""

    def score(self, model, x):
        """Score stored values [B, *shape]: float32 [B]."""
        raise NotImplementedError(f"{type(self).__name__} must write score")

    def codes(self, model, x):
        """Encode x to flat codes: float32 [B, Z]."""
        return ops.reshape(ops.cast(model.encode(x), "float32"), (-1, self.code_size))


class ModelScore(Score):
    """Take the model's own `score`: of an autoencoder −log p(x | encode(x)), of a masked one the hidden error."""

    def score(self, model, x):
        return model.score(x)


class SquaredScore(Score):
    """Sum the squared differences between x and its reconstruction, in the model's units."""

    def check(self, model):
        if model.ids is not None:
            raise InputError("score: squared differences need numbers, not ids of tokens; give reconstruction")

    def score(self, model, x):
        return sum_per_example(squared_error(model, x))


class BoundScore(Score):
    """Estimate −log (1/S) Σ_s p(x, z_s) / q(z_s | x) with the same S noises for every example.

    Burda, Grosse and Salakhutdinov, arXiv 1509.00519, eq. 8: in expectation an upper bound on −log p(x), in nats.
    """

    def check(self, model):
        if not model.has_posterior:
            raise InputError(f"score: a bound needs codes with a posterior, which {type(model).__name__} does not have")

    def score(self, model, x):
        batch, samples = model.prepare(x), self.settings["draws"]
        encoded = model.encoded(batch)
        z = model.posterior.draw(encoded, SharedDraws(), samples)
        weights = model.log_weights(encoded, z, batch)
        return math.log(samples) - ops.logsumexp(weights, axis=0)


class SharedDraws:
    """Draw numbers that all examples of a batch share, [S, B, …], so that a score depends on its example alone."""

    def __init__(self):
        self.count = 0

    def normal(self, shape):
        """Draw from N(0, 1)."""
        return self._shared(normal, shape)

    def uniform(self, shape):
        """Draw from [0, 1)."""
        return self._shared(uniform, shape)

    def _shared(self, draw, shape):
        self.count += 1
        return ops.broadcast_to(draw((shape[0], 1, *shape[2:]), seed=self.count), tuple(shape))


class GaussianScore(Score):
    """Measure the Mahalanobis distance √((z − m)ᵀ Σ⁻¹ (z − m)) of the code from those of the training examples.

    Σ is the covariance shrunk towards a multiple of the identity: Ledoit and Wolf, Journal of Multivariate Analysis 88
    (2004).
    """

    def __init__(self, model, settings):
        super().__init__(model, settings)
        self.mean = self.add_weight((self.code_size,), initializer="zeros", name="mean")
        self.whitening = self.add_weight((self.code_size,) * 2, initializer="zeros", name="whitening")

    def check(self, model):
        if self.code_size > MOST_VALUES:
            raise InputError(f"score: codes of {self.code_size} values are too long for gaussian; give neighbours")

    def adapt(self, codes):
        from sklearn.covariance import LedoitWolf

        found = LedoitWolf().fit(np.asarray(codes(), np.float64))
        self.mean.assign(found.location_)
        self.whitening.assign(np.linalg.cholesky(np.linalg.inv(found.covariance_)))

    def score(self, model, x):
        whitened = ops.matmul(self.codes(model, x) - self.mean, self.whitening)
        return ops.sqrt(ops.sum(ops.square(whitened), axis=-1))


class NeighbourScore(Score):
    """Average the Euclidean distances from the code to the k nearest codes of a stored bank of training examples."""

    def __init__(self, model, settings):
        super().__init__(model, settings)
        self.bank = self.add_weight((settings["bank"], self.code_size), initializer="zeros", name="bank")

    def check(self, model):
        neighbours, bank = self.settings["neighbours"], self.settings["bank"]
        if not 1 <= neighbours <= bank:
            raise InputError(f"neighbours: expected 1 to {bank}, the codes in the bank. Received: {neighbours}")

    def adapt(self, codes):
        found = np.asarray(codes(), np.float32)
        size = self.bank.shape[0]
        if len(found) < size:
            raise InputError(f"bank: expected at most {len(found)}, the training examples. Received: {size}")
        self.bank.assign(found[np.sort(np.random.RandomState(0).permutation(len(found))[:size])])

    def score(self, model, x):
        z = self.codes(model, x)
        nearest = ops.top_k(ops.matmul(z, ops.transpose(self.bank)) - self._halves(), self.settings["neighbours"])[1]
        differences = ops.expand_dims(z, 1) - ops.take(self.bank, nearest, axis=0)  # [B, k, Z], without cancellation
        return ops.mean(ops.sqrt(ops.sum(ops.square(differences), axis=-1)), axis=-1)

    def _halves(self):
        return 0.5 * ops.sum(ops.square(self.bank), axis=-1)


class MaskedScore(Score):
    """Average the error of hidden patches over M fixed masks, the same for every example."""

    def check(self, model):
        if not isinstance(model, MaskedAutoencoder):
            raise InputError(
                f"score: masked needs a masked autoencoder, not {type(model).__name__}; give another score"
            )

    def score(self, model, x):
        noises = mask_noises(model, self.settings["masks"])
        return sum(masked_pass(model, x, noise)["loss"] for noise in noises) / len(noises)


SCORES = {
    "reconstruction": ModelScore,
    "squared": SquaredScore,
    "bound": BoundScore,
    "gaussian": GaussianScore,
    "neighbours": NeighbourScore,
    "masked": MaskedScore,
}
"""Name → layer."""


def squared_error(model, x):
    """Compute the squared differences between x and its reconstruction, 0 where x is missing: [B, *shape]."""
    batch = model.prepare(x)
    error = ops.square(batch.x - model.reconstruct_batch(batch))
    return error if batch.mask is None or batch.mask.shape[1:] != batch.x.shape[1:] else error * batch.mask


def mask_noises(model, masks):
    """Draw the noise of fixed masks: float32 [masks, N], the first of which hide every patch at least once."""
    fixed = model.score_noise()
    further = np.random.default_rng(1).uniform(size=(max(0, masks - len(fixed)), fixed.shape[1]))
    return np.concatenate([fixed, further.astype("float32")])[: max(masks, len(fixed))]


def masked_pass(model, x, noise):
    """Predict x under one mask, as `MaskedAutoencoder.forward` does."""
    noise = ops.tile(ops.convert_to_tensor(noise[None]), (ops.shape(x)[0], 1))
    return model.forward(x, noise)
