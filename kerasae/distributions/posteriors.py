"""Posteriors q(z | x): the distribution of the code given the encoder's output.

A posterior turns the encoder's raw output, `encoded`, into a mean, draws, a density and a divergence from a prior. It
holds plain values only: the encoder holds the weights, and the caller provides random numbers and owns the seeds.
"""

import keras
from keras import ops

from kerasae.distributions import von_mises_fisher
from kerasae.distributions.divergences import gaussian_kl, gaussian_log_density
from kerasae.distributions.plain_values import PlainValues
from kerasae.distributions.priors import StandardNormal, UniformSphere, sum_of_code
from kerasae.errors import InputError


class Posterior(PlainValues):
    """Compute `mean`, `draw`, `log_prob` and `kl` of `encoded` [B, ..., outputs(Z)]: the parent of the posteriors.

    Attributes:
        support: where codes lie, as of `Prior`; a prior must have the same.
    """

    support = "reals"

    def usual_prior(self):
        """Return the prior of a model that names none."""
        return StandardNormal()

    def outputs(self, code):
        """Return the length of the encoder output's last axis for a code whose last axis has length `code`."""
        raise NotImplementedError

    def mean(self, encoded):
        """Compute the code without noise: float32 [B, ..., Z]."""
        raise NotImplementedError

    def draw(self, encoded, random, samples=None):
        """Draw z ~ q(z | x) with gradients to `encoded`, by reparametrisation.

        Args:
            encoded: [B, ..., outputs(Z)].
            random: source with ``normal(shape)`` and ``uniform(shape)`` in [0, 1), both float32.
            samples: number of draws, or None for one draw without an axis for samples.

        Returns:
            float32 [B, ..., Z] or [samples, B, ..., Z].
        """
        raise NotImplementedError

    def log_prob(self, encoded, z, axes=1):
        """Compute log q(z | x) in nats, summed over the last `axes` axes of z, [B, ..., Z] or [S, B, ..., Z]."""
        raise NotImplementedError

    def kl(self, encoded, prior):
        """Compute KL(q(z | x) || prior) in nats and closed form, or None where none is known.

        Returns:
            float32 [B, ..., Z] where the code's numbers are independent, else [B, ..., 1]; sum over the code's axes.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable("kerasae")
class GaussianPosterior(Posterior):
    """Model the code by q(z | x) = Π N(z_j; μ_j, σ_j²): Kingma and Welling, arXiv 1312.6114, eq. 9 and 10.

    `encoded` [B, ..., 2Z] holds the means μ, then the log-variances log σ². The divergence from `StandardNormal` is
    per dimension.

    Raises:
        InputError: where the last axis of `encoded` is odd.

    Example:
        >>> encoded = np.zeros((1, 4))  # N(0, 1) in two dimensions
        >>> GaussianPosterior().log_prob(encoded, np.zeros((1, 2)))  # −log 2π = -1.8379 nats
    """

    def outputs(self, code):
        return 2 * code

    def mean(self, encoded):
        return self._parts(encoded)[0]

    def draw(self, encoded, random, samples=None):
        mean, log_var = self._parts(encoded)
        lead = () if samples is None else (samples,)
        return mean + ops.exp(0.5 * log_var) * random.normal((*lead, *ops.shape(mean)))

    def log_prob(self, encoded, z, axes=1):
        return sum_of_code(gaussian_log_density(z, *self._parts(encoded)), axes)

    def kl(self, encoded, prior):
        return gaussian_kl(*self._parts(encoded)) if isinstance(prior, StandardNormal) else None

    def _parts(self, encoded):
        """Split `encoded` into mean and log-variance, float32 [B, ..., Z] each."""
        if encoded.shape[-1] % 2:
            raise InputError(
                "GaussianPosterior: encoded must have means, then as many log-variances, in its last axis. "
                f"Received: shape={tuple(encoded.shape)}. Give the encoder 2Z outputs for a code of Z."
            )
        return ops.split(ops.cast(encoded, "float32"), 2, axis=-1)


@keras.saving.register_keras_serializable("kerasae")
class VonMisesFisherPosterior(Posterior):
    """Model the code by q(z | x) = C_Z(κ) exp(κ μᵀz) on the unit sphere: Davidson et al., arXiv 1804.00891, section 3.

    `encoded` [B, ..., Z+1] holds Z numbers whose direction is μ, then a number r with κ = softplus(r) + 1. The
    divergence from `UniformSphere` is [B, ..., 1]. Codes of more axes hold independent unit vectors in the last.

    Raises:
        InputError: for codes of fewer than 2 dimensions.

    Example:
        >>> encoded = np.array([[3.0, 4.0, 0.0]])
        >>> VonMisesFisherPosterior().mean(encoded)  # [[0.6, 0.8]]
    """

    support = "sphere"

    def usual_prior(self):
        return UniformSphere()

    def outputs(self, code):
        von_mises_fisher.log_area(code)  # refuses Z < 2
        return code + 1

    def mean(self, encoded):
        return self._parts(encoded)[0]

    def draw(self, encoded, random, samples=None):
        return von_mises_fisher.draw(*self._parts(encoded), random, samples)

    def log_prob(self, encoded, z, axes=1):
        return sum_of_code(von_mises_fisher.log_density(z, *self._parts(encoded)), axes)

    def kl(self, encoded, prior):
        if not isinstance(prior, UniformSphere):
            return None
        mean, kappa = self._parts(encoded)
        return von_mises_fisher.kl_uniform(mean.shape[-1], kappa)

    def _parts(self, encoded):
        """Split `encoded` into mean direction [B, ..., Z] and concentration [B, ..., 1], both float32."""
        encoded = ops.cast(encoded, "float32")
        return von_mises_fisher.unit(encoded[..., :-1]), ops.softplus(encoded[..., -1:]) + 1.0


def named():
    """Map the posteriors' names to their classes."""
    from kerasae.distributions import full_gaussian, one_hot  # here, as they are children of `Posterior`

    return {
        "gaussian": GaussianPosterior,
        "full_gaussian": full_gaussian.FullGaussianPosterior,
        "von_mises_fisher": VonMisesFisherPosterior,
        "one_hot": one_hot.OneHotPosterior,
    }


def get_posterior(posterior):
    """Get a `Posterior` by its name, see `named`; a `Posterior` is returned as it is."""
    if isinstance(posterior, Posterior):
        return posterior
    if isinstance(posterior, str) and posterior in named():
        return named()[posterior]()
    raise InputError(f"posterior: expected one of {', '.join(named())}, or a Posterior. Received: {posterior!r}")
