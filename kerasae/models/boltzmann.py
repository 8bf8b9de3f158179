"""Restricted Boltzmann machines: energy models of visible and hidden units, trained by short Markov chains."""

import keras
import numpy as np
from keras import ops

from kerasae.distributions import likelihoods
from kerasae.errors import InputError
from kerasae.layers import TiedDense, draws, tie_all
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

    "gaussian" visible units have unit variance, F(v) = ½‖v − b‖² − Σ_j softplus(c_j + (vW)_j): standardise such data.

    Args:
        shape: shape of an example, (V,), (T, D) or (H, W, C), flattened to V visible units.
        hidden: number H of hidden units.
        likelihood: of the visible units, "bernoulli" or "gaussian".
        pixel_max: the integer that means 1.0. Grey values in [0, 1] count as probabilities.
        steps: turns k ≥ 1 of Gibbs sampling in a training step.
        chains: number of persistent chains, a multiple of the number of devices; None for none. With chains,
            micro-batches are refused.

    `terms` are "contrast", [B] in nats, which is no measure of progress, and "reconstruction", −log p(v | h) at the
    mean of p(h | v), [B] in nats, which is only logged: its weight is 0. `score` is the free energy, [B] in nats up
    to the constant log Z. `encode` gives p(h = 1 | v), [B, H], `decode` the mean of p(v | h), [B, *shape].

    Raises:
        InputError: for sizes that are no positive whole numbers, and other likelihoods.

    Example:
        >>> model = RestrictedBoltzmannMachine((28, 28, 1), 500, chains=100)
        >>> model.adapt(images)  # uint8 [N, 28, 28, 1]
        >>> model.compile(keras.optimizers.SGD(0.05, momentum=0.5))
        >>> model.fit(images, batch_size=100, epochs=10)
        >>> model.sample(16, seed=0)  # [16, 28, 28, 1]
    """

    terms = ("contrast", "reconstruction")
    generative = has_likelihood = True
    posterior_name, code_activation = None, "sigmoid"

    def __init__(self, shape, hidden, likelihood="bernoulli", pixel_max=255.0, steps=1, chains=None, **kwargs):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_positive(name, hidden=hidden, steps=steps, chains=1 if chains is None else chains)
        self.example_shape, self.code_shape = check_shape(name, shape, (1, 2, 3)), (hidden,)
        self.likelihood, self.pixel_max, self.steps = visible_units(likelihood), float(pixel_max), steps
        self.binary = self.unit_range = not self.likelihood.any_value
        first = keras.initializers.RandomNormal(stddev=FIRST_WEIGHTS)
        self.encoder, self.decoder = dense(
            self.example_shape, hidden, (), code_activation="sigmoid", tied=True, kernel_initializer=first
        )
        tie_all(self.decoder, self.encoder)
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
        return Found(terms, rows={} if self.chains is None else {"chains": fantasy})

    @property
    def term_weights(self):
        return {"reconstruction": 0.0}

    def next_state(self, sums, rows):
        return [(self.chain_units, rows["chains"])] if rows else []

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

    def free_energy(self, v):
        """Compute the free energy F(v) = −log Σ_h exp(−E(v, h)): [B], nats."""
        b = as_float32(self.visible_bias)
        own = -ops.matmul(v, b) if self.binary else sum_squares(v - b) / 2.0
        return own - ops.sum(ops.softplus(self.hidden_inputs(v)), axis=-1)

    def hidden_inputs(self, v):
        """Compute the logits of p(h = 1 | v): [B, H]."""
        return ops.matmul(v, as_float32(self.kernel)) + as_float32(self.hidden_bias)

    def visible_inputs(self, h):
        """Compute the parameters of p(v | h), logits or means: [B, V]."""
        return ops.matmul(h, ops.transpose(as_float32(self.kernel))) + as_float32(self.visible_bias)

    def gibbs(self, v, steps, random):
        """Run `steps` turns of Gibbs sampling, h ~ p(h | v), v ~ p(v | h), with numbers from a `Draws`: [B, V]."""
        for _ in range(steps):
            h = bernoulli(self.hidden_inputs(v), random)
            inputs = self.visible_inputs(h)
            v = bernoulli(inputs, random) if self.binary else inputs + random.normal(ops.shape(inputs))
        return v

    # The contract.

    @classmethod
    def of_networks(cls, encoder, decoder, likelihood, pixel_max, **options):
        """Build a machine with the sizes of two networks, which it does not use, for the command line."""
        whole = {name: int(value) if float(value).is_integer() else value for name, value in options.items()}
        return cls(tuple(encoder.inputs[0].shape[1:]), decoder.inputs[0].shape[-1], likelihood, pixel_max, **whole)

    def adapt(self, split):
        """Set b so that the visible units alone have the means of the data: Hinton's practical guide, section 8.1.

        Args:
            split: array [N, *shape] of stored values, or a `kerasae.data.Split`; at most 10,000 examples are used.
        """
        examples = examples_of(split, ADAPT_EXAMPLES)
        v = ops.convert_to_numpy(self.by_batches(lambda batch: self._units(batch.x), examples))
        share = (v.sum(0) + 1.0) / (len(v) + 2.0)
        self.visible_bias.assign(np.log(share / (1.0 - share)) if self.binary else v.mean(0))

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
            examples.append(self.decode_code(bernoulli(self.hidden_inputs(v), random)))
        return ops.concatenate(examples, axis=0)

    def feature_encoder(self):
        """Build the model [B, *shape] → p(h = 1 | v), which shares W and c."""
        return self.encoder

    def feature_decoder(self):
        """Build the model [B, H] → parameters of p(v | h), which shares W and b."""
        return self.decoder

    def build_training(self):
        replicas = draws.replicas()
        if self.chains is not None and self.chains % replicas:
            raise InputError(
                f"{type(self).__name__}: chains must be a multiple of the number of devices. "
                f"Received: chains={self.chains} on {replicas} devices"
            )
        super().build_training()

    # Inside.

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


def bernoulli(logits, random):
    """Draw binary units, 1 with probability sigmoid(logits), as float32."""
    return ops.cast(random.uniform(ops.shape(logits)) < ops.sigmoid(logits), "float32")


def as_float32(weight):
    """Cast a weight to float32, also where Keras returns it in half precision."""
    return ops.cast(weight, "float32")


def sum_squares(v):
    return ops.sum(ops.square(v), axis=-1)
