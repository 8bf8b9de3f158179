"""Restricted Boltzmann machines: energy models of visible and hidden units, trained by short Markov chains."""

import keras
import numpy as np
from keras import ops

from kerasae.distributions import likelihoods
from kerasae.distributions.binary_hidden import BinaryHidden, as_float32, bernoulli
from kerasae.errors import InputError
from kerasae.layers import TiedDense, draws, tie_all
from kerasae.models.contract.base import check_standardized, refuse_missing, scale_of
from kerasae.models.contract.batch import examples_of
from kerasae.models.contract.codec import Codec
from kerasae.models.contract.replicas import batch_mean
from kerasae.models.contract.terms import Found
from kerasae.models.contract.trainable import Trainable
from kerasae.networks import dense
from kerasae.networks.shapes import check_positive, check_shape, size

FIRST_WEIGHTS = 0.01
"""Standard deviation of the initial weights: Hinton's practical guide, section 8."""

ADAPT_EXAMPLES = 10_000
"""Greatest number of examples that `adapt` averages."""


@keras.saving.register_keras_serializable("kerasae")
class RestrictedBoltzmannMachine(Codec, Trainable):
    """Model p(v) ∝ exp(−F(v)) with the free energy F(v) = −bᵀv − Σ_j softplus(c_j + (vW)_j) of binary hidden units.

    It is trained by contrastive divergence: Hinton, Neural Computation 14 (2002), eq. 5 and section 2. Each example
    starts a chain of `steps` turns of Gibbs sampling, h ~ p(h | v), v ~ p(v | h). With v_k held constant, the
    "contrast" F(v₀) − F(v_k) has the gradient of the paper's update, ⟨v h⟩₀ − ⟨v h⟩_k. With `chains` it is persistent:
    the chains continue from step to step, and their mean F replaces F(v_k) (Tieleman, ICML 2008).

    With `centring` ν the same gradient is taken of the centred machine, which depends less on whether 1 stands for ink
    or for paper: −⟨(v − μ)(h − λ)ᵀ⟩ for W, and μ, λ follow the means of the data, μ ← (1 − ν) μ + ν ⟨v⟩₀ and
    λ ← (1 − ν) λ + ν ⟨h⟩₀. The model and its free energy stay the same: Melchior, Fischer and Wiskott, JMLR 17 (2016),
    eq. 9 to 11 and algorithm 1; Montavon and Müller (2012). It takes SGD: rates by weight, as of Adam, do
    not keep the changes of W and of the biases in the proportion that centring needs.

    "gaussian" visible units have unit variance, F(v) = ½‖v − b‖² − Σ_j softplus(c_j + (vW)_j): standardise such data.

    Args:
        shape: shape of an example, (V,), (T, D) or (H, W, C), flattened to V visible units.
        hidden: number H of hidden units.
        likelihood: of the visible units, "bernoulli" or "gaussian".
        pixel_max: the integer that means 1.0. Grey values in [0, 1] count as probabilities.
        steps: turns k ≥ 1 of Gibbs sampling in a training step.
        chains: number of persistent chains, a multiple of the number of devices; None for none. With chains,
            micro-batches are refused.
        centring: share ν in [0, 1] of a batch in the running means μ and λ; 0 for no centring. 0.01 is usual.

    `terms` are "contrast", [B] in nats, which is no measure of progress, and "reconstruction", −log p(v | h) at the
    mean of p(h | v), [B] in nats, which is only logged: its weight is 0. `score` is the free energy, [B] in nats up
    to the constant log Z. `encode` gives p(h = 1 | v), [B, H], `decode` the mean of p(v | h), [B, *shape].

    Raises:
        InputError: for sizes that are no positive whole numbers, a share out of range, and other likelihoods; by
            `compile`, for another optimiser than SGD with centring.

    Example:
        >>> model = RestrictedBoltzmannMachine((28, 28, 1), 500, chains=100, centring=0.01)
        >>> model.adapt(images)  # uint8 [N, 28, 28, 1]
        >>> model.compile(keras.optimizers.SGD(0.05, momentum=0.5))
        >>> model.fit(images, batch_size=100, epochs=10)
        >>> model.sample(16, seed=0)  # [16, 28, 28, 1]
    """

    terms = ("contrast", "reconstruction")
    generative = has_likelihood = has_tangents = has_free_energy = standardizes = True
    posterior_name, code_activation = None, "sigmoid"

    def __init__(
        self, shape, hidden, likelihood="bernoulli", pixel_max=255.0, steps=1, chains=None, centring=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_positive(name, hidden=hidden, steps=steps, chains=1 if chains is None else chains)
        self.example_shape, self.code_shape = check_shape(name, shape, (1, 2, 3)), (hidden,)
        self.likelihood, self.steps = visible_units(likelihood), steps
        self.pixel_max, self.standardization = scale_of(name, pixel_max)
        self.binary = self.unit_range = not self.likelihood.any_value
        check_standardized(self)
        refuse_missing(self)
        first = keras.initializers.RandomNormal(stddev=FIRST_WEIGHTS)
        self.encoder, self.decoder = dense(
            self.example_shape, hidden, (), code_activation="sigmoid", tied=True, kernel_initializer=first
        )
        tie_all(self.decoder, self.encoder)
        self.centring = check_share(name, centring=centring)
        if centring:
            self.visible_offset = self._offset(size(self.example_shape), "visible_offset")
            self.hidden_offset = self._offset(hidden, "hidden_offset")
        self.chains, self.statistics = chains, ()
        if chains is not None:
            # Its second half is then the mean over all chains: a statistic of the whole batch.
            self.chain_units, self.statistics = self._first_chains(chains), ("contrast",)

    def objective(self, batch, training=False):
        v = self._units(batch.x)
        start = v if self.chains is None else self._own_chains()
        fantasy = ops.stop_gradient(self.gibbs(start, self.steps, self.random(training)))
        energy = self.free_energy(fantasy)
        energy = energy if self.chains is None else batch_mean(energy)
        parameters = ops.stop_gradient(self.decoder(self.encoder(batch.x)))
        terms = {
            "contrast": self.free_energy(v) - energy,
            "reconstruction": -self.likelihood.log_prob(parameters, batch.x),
        }
        sums = {"visible": ops.sum(v, 0), "hidden": ops.sum(ops.sigmoid(self.hidden_inputs(v)), 0), "count": count(v)}
        return Found(terms, sums if self.centring else {}, {} if self.chains is None else {"chains": fantasy})

    @property
    def term_weights(self):
        return {"reconstruction": 0.0}

    def next_state(self, sums, rows):
        state = [(self.chain_units, rows["chains"])] if rows else []
        for name in ("visible", "hidden") if self.centring else ():
            offset = getattr(self, f"{name}_offset")
            state.append((offset, offset + self.centring * (sums[name] / sums["count"] - offset)))
        return state

    def propose(self, data):
        """Compute a step on a batch without applying it, with centred gradients if the model has offsets."""
        proposal = super().propose(data)
        if not self.centring:
            return proposal
        new, (update,) = {id(variable): value for variable, value in proposal.state}, proposal.updates
        gradients = dict(zip(map(id, update.weights), update.gradients, strict=True))
        weights = (self.kernel, self.visible_bias, self.hidden_bias)
        mean = (new[id(self.visible_offset)], new[id(self.hidden_offset)])
        changed = centred(*(gradients[id(weight)] for weight in weights), *mean)
        gradients |= dict(zip(map(id, weights), changed, strict=True))
        return proposal._replace(updates=[update._replace(gradients=[gradients[id(w)] for w in update.weights])])

    # The distribution; visible units v are float32 [B, V], hidden ones h float32 [B, H].

    @property
    def kernel(self):
        """W: [V, H]."""
        return self.encoder.layers[-1].kernel

    @property
    def hidden_bias(self):
        """c: [H]."""
        return self.encoder.layers[-1].bias

    @property
    def visible_bias(self):
        """b: [V]."""
        return next(layer for layer in self.decoder.layers if isinstance(layer, TiedDense)).bias

    def distribution(self):
        """Collect W, b and c, float32, as the distribution p(v) that they define."""
        return BinaryHidden(*map(as_float32, (self.kernel, self.visible_bias, self.hidden_bias)), self.binary)

    def free_energy(self, v):
        """Compute the free energy F(v) = −log Σ_h exp(−E(v, h)): [B], nats."""
        return self.distribution().free_energy(v)

    def hidden_inputs(self, v):
        """Compute the logits of p(h = 1 | v): [B, H]."""
        return self.distribution().hidden_inputs(v)

    def visible_inputs(self, h):
        """Compute the parameters of p(v | h), logits or means: [B, V]."""
        return self.distribution().visible_inputs(h)

    def gibbs(self, v, steps, random):
        """Run `steps` turns of Gibbs sampling, h ~ p(h | v), v ~ p(v | h), with numbers from a `Draws`: [B, V]."""
        return self.distribution().gibbs(v, steps, random)

    def base_bias(self, split):
        """Compute visible biases with which the units alone have the means of the data: [V].

        Args:
            split: array [N, *shape] of stored values, or a `kerasae.data.Split`; at most 10,000 examples are used.
        """
        return self._bias_of(*self._means_and_count(split))

    # The contract.

    @classmethod
    def of_networks(cls, encoder, decoder, likelihood, pixel_max, **options):
        """Build a machine with the sizes of two networks, which it does not use, for the command line."""
        whole = {name: int(value) if float(value).is_integer() else value for name, value in options.items()}
        return cls(tuple(encoder.inputs[0].shape[1:]), decoder.inputs[0].shape[-1], likelihood, pixel_max, **whole)

    def adapt(self, split):
        """Set b so that the visible units alone have the means of the data: Hinton's practical guide, section 8.1.

        A centred machine's μ becomes these means.

        Args:
            split: array [N, *shape] of stored values, or a `kerasae.data.Split`; at most 10,000 examples are used.
        """
        means, count = self._means_and_count(split)
        self.visible_bias.assign(self._bias_of(means, count))
        if self.centring:
            self.visible_offset.assign(means)

    def encode_batch(self, batch, training=False):
        return ops.sigmoid(self.hidden_inputs(self._units(batch.x)))

    def decode_code(self, z, y=None, training=False):
        v = self.likelihood.mean(self.visible_inputs(ops.cast(z, "float32")))
        return ops.reshape(v, (-1, *self.example_shape))

    def score_batch(self, batch):
        """Compute the free energy, −log p(x) − log Z: [B], nats."""
        return self.free_energy(self._units(batch.x))

    def sample(self, n, y=None, seed=None, batch_size=256, steps=1000):
        """Run `n` chains from noise and return the means of p(v | h) at the last h: [n, *shape]; fixed by the seed.

        Args:
            n: number of examples.
            y: None; the model is not conditional.
            seed: integer, or None for another draw each time.
            batch_size: number of chains run at a time.
            steps: turns of Gibbs sampling, ≥ 1; a well trained machine needs more for its chains to change modes.
        """
        if y is not None:
            raise InputError(f"{type(self).__name__}: is not conditional; leave out y")
        check_positive(f"{type(self).__name__}.sample", n=n, steps=steps)
        random, examples = draws.Draws(seed), []
        for i in range(0, n, batch_size):
            v = self.gibbs(random.uniform((min(batch_size, n - i), size(self.example_shape))), steps - 1, random)
            examples.append(self.restored(self.decode_code(bernoulli(self.hidden_inputs(v), random))))
        return ops.concatenate(examples, axis=0)

    def unit_encoder(self):
        """Build the model [B, *shape] → p(h = 1 | v), which shares W and c."""
        return self.encoder

    def feature_decoder(self):
        """Build the model [B, H] → parameters of p(v | h), which shares W and b."""
        return self.decoder

    def compile(self, optimizer="rmsprop", loss=None, **options):
        """Compile as every model; a centred machine with SGD only."""
        super().compile(optimizer, loss, **options)
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of a LossScaleOptimizer
        if self.centring and not isinstance(inner, keras.optimizers.SGD):
            raise InputError(
                f"{type(self).__name__}: optimizer must be SGD with centring, whose changes of the biases follow those "
                f"of W. Received: {type(inner).__name__}"
            )

    def build_training(self):
        replicas = draws.replicas()
        if self.chains is not None and self.chains % replicas:
            raise InputError(
                f"{type(self).__name__}: chains must be a multiple of the number of devices. "
                f"Received: chains={self.chains} on {replicas} devices"
            )
        super().build_training()

    # Inside.

    def _offset(self, width, name):
        """Make a running mean, which starts at ½."""
        start = keras.initializers.Constant(0.5)
        return self.add_weight((width,), start, "float32", trainable=False, autocast=False, name=name)

    def _means_and_count(self, split):
        examples = examples_of(split, ADAPT_EXAMPLES)
        v = ops.convert_to_numpy(self.by_batches(lambda batch: self._units(batch.x), examples))
        return v.mean(0), len(v)

    def _bias_of(self, means, count):
        """Compute biases of units alone with these means; binary ones as if one more 1 and 0 had been seen."""
        share = (means * count + 1.0) / (count + 2.0)
        return np.log(share / (1.0 - share)) if self.binary else means

    def _units(self, x):
        return ops.reshape(x, (-1, size(self.example_shape)))

    def _first_chains(self, count):
        shape, noise = (count, size(self.example_shape)), keras.initializers.RandomUniform(0.0, 1.0)
        return self.add_weight(shape, noise, "float32", trainable=False, autocast=False, name="chains")

    def _own_chains(self):
        """Return the persistent chains that this replica updates: [C / replicas, V]."""
        count, width = self.chain_units.shape
        return draws.part_of_replica(
            (count // draws.replica_and_count()[1], width), lambda whole: ops.convert_to_tensor(self.chain_units)
        )


def visible_units(likelihood):
    """Return the likelihood of visible units; raise InputError unless it is Bernoulli or Gaussian."""
    found = likelihoods.get(likelihood)
    unit_normal = isinstance(found, likelihoods.Gaussian) and found.scale == 1.0 and not found.squash
    if not (isinstance(found, likelihoods.Bernoulli) or unit_normal):
        raise InputError(
            'RestrictedBoltzmannMachine: likelihood must be "bernoulli", or "gaussian" of scale 1, not squashed. '
            f"Received: {likelihood!r}"
        )
    return found


def centred(kernel, visible, hidden, visible_offset, hidden_offset):
    """Centre the gradients of W, b and c of a machine: Melchior, Fischer and Wiskott, JMLR 17 (2016), eq. 9 to 11."""
    kernel = kernel - ops.outer(visible_offset, hidden) - ops.outer(visible, hidden_offset)
    return kernel, visible - ops.matmul(kernel, hidden_offset), hidden - ops.matmul(visible_offset, kernel)


def check_share(name, **given):
    """Return a share of [0, 1]; raise InputError for other numbers."""
    ((argument, value),) = given.items()
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name}: {argument} must be a share, from 0 to 1. Received: {argument}={value}")
    return float(value)


def count(v):
    """Count the examples of a batch, as float32."""
    return ops.cast(ops.shape(v)[0], "float32")
