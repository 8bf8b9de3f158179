"""Variational autoencoders: an approximate posterior over the code, and a prior to sample from."""

import keras
import numpy as np
from keras import ops

from kerasae.distributions import free_bits as floor
from kerasae.distributions.posteriors import get_posterior
from kerasae.distributions.priors import get_prior
from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.codec import CONDITION, has_input
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.replicas import batch_mean
from kerasae.models.contract.terms import Term
from kerasae.ops import sum_per_example


@keras.saving.register_keras_serializable("kerasae")
class VariationalAutoencoder(Autoencoder):
    """Minimise −E_q[log p(x | z)] + β KL(q(z | x) || p(z)), the negative evidence lower bound at β = 1.

    Kingma and Welling, arXiv 1312.6114, eq. 10; β: Higgins et al., ICLR 2017, eq. 4; free bits: Kingma et al.,
    arXiv 1606.04934, eq. 16. One draw of z estimates the expectation. With networks of `condition=K` it is the
    class-conditional autoencoder of Sohn, Lee and Yan, NIPS 2015: q(z | x, y), p(x | z, y).

    Args:
        encoder: Keras model whose output [B, ...] holds the parameters of q; of a Gaussian [B, 2Z] the means, then the
            log-variances (`posterior="gaussian"` of the network builders).
        decoder, likelihood, pixel_max: as for `Autoencoder`.
        beta: weight β ≥ 0 of the divergence; a `Knob`.
        free_bits: floor in nats, ≥ 0, of each dimension's batch-mean divergence in the training loss; 0 is the exact
            bound. The logged divergence has no floor.
        posterior: "gaussian", "full_gaussian", "von_mises_fisher" (hyperspherical: Davidson et al., arXiv 1804.00891),
            "one_hot", or a `kerasae.distributions.Posterior`.
        prior: None for the posterior's usual prior, "standard", "sphere", "one_hot", or a
            `kerasae.distributions.Prior` such as `VampPrior` or `MixturePrior`.
        capacity: C ≥ 0 nats; a `Knob`. The loss has β |KL − C|, for each example: Burgess et al., arXiv 1804.03599,
            eq. 8, where C rises from 0 to 25 in training. With 0 it is the divergence itself.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=40, widths=(400,), posterior="gaussian")
        >>> model = VariationalAutoencoder(*networks, "bernoulli")
    """

    terms = ("reconstruction", "kl")
    posterior_name = "gaussian"
    generative = has_posterior = True
    beta = Knob(minimum=0.0)
    capacity = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        pixel_max=255.0,
        beta=1.0,
        free_bits=0.0,
        posterior="gaussian",
        prior=None,
        capacity=0.0,
        **kwargs,
    ):
        self.posterior = get_posterior(posterior)
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.prior = get_prior(prior or self.posterior.usual_prior())
        if not free_bits >= 0:
            raise InputError(f"{type(self).__name__}: free_bits must be ≥ 0. Received: free_bits={free_bits}")
        self.beta, self.free_bits, self.capacity = beta, float(free_bits), capacity
        self.statistics = (*self.statistics, *(("kl",) if self.free_bits else ()))
        self._check_prior()

    def objective(self, batch, training=False):
        encoded = self.encoded(batch, training)
        z = self.posterior.draw(encoded, self.random(training))
        return {"reconstruction": self.reconstruction_term(z, batch, training), "kl": self.divergence(encoded, z)}

    @property
    def term_weights(self):
        return {"kl": self.beta}

    def divergence(self, encoded, z):
        """Compute KL(q(z | x) || p(z)), [B] nats: in closed form, or else estimated at the draw z."""
        prior = self.bound_prior()
        kl = self.posterior.kl(encoded, prior)
        if kl is None:
            return self.off_capacity(self.posterior.log_prob(encoded, z, self._axes) - prior.log_prob(z, self._axes))
        total = sum_per_example(kl)
        return Term(total, floor(batch_mean(kl), self.free_bits)) if self.free_bits else self.off_capacity(total)

    def off_capacity(self, kl):
        """Let the loss be how far the divergence is from the capacity."""
        return Term(kl, ops.where(self.capacity > 0.0, ops.abs(kl - self.capacity), kl))

    def code_prior(self):
        return self.bound_prior()

    def posterior_parameters(self, x, y=None, batch_size=256):
        """Compute the parameters of q(z | x), which `posterior` takes: [B, *code_shape], longer in the last axis."""
        return self.by_batches(self.encoded, x, y, batch_size)

    def bound_prior(self):
        """Return the prior; a prior of encoded inputs, such as `VampPrior`, is bound to the encoder."""
        return self.prior.bind(self.posterior, lambda x: self.encoder(x, training=False))

    def code_outputs(self):
        return (*self.code_shape[:-1], self.posterior.outputs(self.code_shape[-1]))

    def code_of(self, encoded):
        return self.posterior.mean(encoded)

    def score_batch(self, batch):
        """Compute −log p(x | μ) + KL(q(z | x) || p(z)), μ the mean of q: [B], nats.

        It is fast and deterministic, but no bound, as the mean is a better code than a draw. See `bound`.
        """
        encoded = self.encoded(batch)
        mean = self.code_of(encoded)
        kl = self.divergence(encoded, mean)
        return self.reconstruction_term(mean, batch) + (kl.logged if isinstance(kl, Term) else kl)

    def sample(self, n, y=None, seed=None, batch_size=256):
        """Decode `n` draws z ~ p(z) to means of p(x | z): [n, *shape]; the same for the same integer seed.

        Args:
            n: number of examples.
            y: the condition, where the model is conditional: one class for all, classes [n] or numbers [n, K].
            seed: integer, or None for another draw each time.
            batch_size: examples decoded at a time.
        """
        return self.decode_draws(self.bound_prior(), n, y, seed, batch_size)

    def log_weight(self, x, samples, seed=None, y=None):
        """Compute the log weights log p(x | z) + log p(z) − log q(z | x) of draws z ~ q(z | x): [samples, B], nats.

        The mean over the draws estimates the bound; log-mean-exp over them estimates log p(x) (Burda et al., arXiv
        1509.00519, eq. 8).
        """
        return self._log_weight(self.prepare(x, y), samples, seed)

    def _log_weight(self, batch, samples, seed):
        encoded = self.encoded(batch)
        return self.log_weights(encoded, self.posterior.draw(encoded, Draws(seed), samples), batch)

    def log_weights(self, encoded, z, batch, training=False):
        """Compute log p(x | z) + log p(z) − log q(z | x) at draws z [samples, B, ...]: [samples, B], nats."""
        samples, flat = z.shape[0], ops.reshape(z, (-1, *self.code_shape))
        copies = keras.tree.map_structure(lambda v: v if v is None else repeated(v, samples), batch)
        log_p = ops.reshape(-self.reconstruction_term(flat, copies, training), (samples, -1))
        return log_p + self.bound_prior().log_prob(z, self._axes) - self.posterior.log_prob(encoded, z, self._axes)

    def bound(self, x, samples=1, seed=0, y=None, batch_size=100):
        """Estimate a lower bound on log p(x), log (1/S) Σ_s p(x, z_s) / q(z_s | x): [B], nats.

        It is the evidence lower bound for one sample, and grows towards log p(x) with their number: Burda, Grosse and
        Salakhutdinov, arXiv 1509.00519, eq. 8. `kerasae.evaluate.importance_nll` does it for many samples in chunks.
        """

        def of(batch):
            weights = self._log_weight(batch, samples, seed)
            return ops.logsumexp(weights, axis=0) - float(np.log(samples))

        return self.by_batches(of, x, y, batch_size)

    @property
    def _axes(self):
        return len(self.code_shape)

    def _check_prior(self):
        name, prior = type(self).__name__, self.prior
        if prior.of_encoder and has_input(self.encoder, CONDITION):
            raise InputError(
                f"{name}: {type(prior).__name__} encodes inputs that have no condition, which this encoder takes; give "
                "the condition to the decoder alone, or another prior"
            )
        if isinstance(prior, keras.layers.Layer):
            self._build_prior(name, prior)
        example = ops.zeros((1, *self.code_outputs()))
        if self.free_bits and self.posterior.kl(example, prior) is None:
            raise InputError(
                f"{name}: free_bits needs a divergence in closed form, which {type(self.posterior).__name__} and "
                f"{type(prior).__name__} do not have"
            )
        if not prior.of_encoder and prior.support != self.posterior.support:
            raise InputError(
                f"{name}: codes of {type(self.posterior).__name__} are of another kind ({self.posterior.support}) than "
                f"those of {type(prior).__name__} ({prior.support}); leave the prior out for the usual one"
            )

    def _build_prior(self, name, prior):
        """Build the prior's weights at construction, like all weights of a model."""
        shape, of = (self.example_shape, "examples") if prior.of_encoder else (self.code_shape, "codes")
        if not prior.built:
            prior.build((None, *shape))
        made_for = tuple(prior.weights[0].shape[1:])
        if made_for != shape:
            raise InputError(f"{name}: the prior was built for {of} of {made_for}, not {shape}")


def repeated(values, times):
    """Repeat a tensor [B, …] as a whole: [times · B, …]."""
    return ops.tile(values, (times, *[1] * (len(values.shape) - 1)))
