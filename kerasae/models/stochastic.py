"""Generative stochastic networks: denoising autoencoders whose chain of corruptions and draws gives examples."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers.draws import Draws
from kerasae.models.contract.base import call_network
from kerasae.models.contract.batch import Batch
from kerasae.models.contract.knobs import Knob
from kerasae.models.deterministic import DenoisingAutoencoder
from kerasae.networks.shapes import check_positive


@keras.saving.register_keras_serializable("kerasae")
class GenerativeStochasticNetwork(DenoisingAutoencoder):
    """Learn a Markov chain that draws examples: corrupt x, encode, add noise to the code, decode, draw x.

    Bengio, Thibodeau-Laufer, Alain and Yosinski, arXiv 1306.1091, section 3, with one stochastic layer, which depends
    on the last x alone. Without `code_noise` it is the generalised denoising autoencoder with walk-back of Bengio, Yao,
    Alain and Vincent, arXiv 1305.6663, algorithm 1, with a fixed number of steps. From x₀ = x,

    x̃_t ~ C(x̃ | x_{t−1}),  z_t = encode(x̃_t) + σ ε,  x_t ~ p(x | z_t),  t = 1 … N:

    every step t learns to come back to x, −log p(x | z_t), so that the chain leaves no spurious modes on its way. Its
    distribution is that of the data for N = 1 only, in the limit, and where p(x | z) can be the true one.

    Args:
        encoder, decoder, likelihood, pixel_max, corruption: as for `DenoisingAutoencoder`.
        walkback: number N ≥ 1 of steps.
        code_noise: standard deviation σ ≥ 0 of the noise that is added to the code.

    The term "reconstruction" is the mean of −log p(x | z_t) over the steps, [B] in nats. `encode`, `reconstruct` and
    `score` neither corrupt nor add noise.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=1000, widths=(), code_activation="tanh")
        >>> noise = kerasae.layers.SaltAndPepperCorruption(0.4)
        >>> model = GenerativeStochasticNetwork(*networks, "bernoulli", corruption=noise, walkback=5)
        >>> model.sample(16, seed=0, steps=100)  # [16, 28, 28, 1]
    """

    code_activation = "tanh"
    generative, may_be_conditional, may_take_steps = True, False, False
    code_noise = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="gaussian",
        pixel_max=255.0,
        corruption=None,
        walkback=5,
        code_noise=0.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, corruption, **kwargs)
        check_positive(type(self).__name__, walkback=walkback)
        self.walkback, self.code_noise = walkback, code_noise

    def code_prior(self):
        return None  # samples are states of a Markov chain

    def objective(self, batch, training=False):
        random, x, errors = self.random(training), batch.x, []
        for _ in range(self.walkback):
            parameters = self.parameters_after(batch._replace(x=x), random, training)
            errors.append(-self.likelihood.log_prob(parameters, batch.target))
            x = ops.stop_gradient(self.likelihood.draw(parameters, random))
        return {"reconstruction": sum(errors) / self.walkback}

    def parameters_after(self, batch, random, training=False):
        """Corrupt, encode, add noise and decode: the parameters of p(x_t | z_t) for x_{t−1} = batch.x."""
        z = self.encoded(batch._replace(x=self.corruption.with_mask(batch.x, random)[0]), training)
        noise = ops.convert_to_tensor(self.code_noise) * random.normal(ops.shape(z))
        return call_network(self.decoder, z + ops.cast(noise, z.dtype), training=training)

    def chain(self, x, steps, seed=None):
        """Run the chain from stored values x [B, *shape]: yields the mean of p(x_t | z_t), [B, *shape], of each step.

        Args:
            x: where the chains start.
            steps: number of steps, ≥ 1.
            seed: integer, or None for another chain each time.
        """
        check_positive(f"{type(self).__name__}.chain", steps=steps)
        return self._walk(self.prepare(x).x, steps, Draws(seed))

    def sample(self, n, y=None, seed=None, batch_size=256, steps=100):
        """Run `n` chains from noise and return the means of p(x | z) at the last step: [n, *shape]; fixed by the seed.

        Args:
            n: number of examples.
            y: None; the model is not conditional.
            seed: integer, or None for another draw each time.
            batch_size: number of chains run at a time.
            steps: number of steps, ≥ 1.
        """
        if y is not None:
            raise InputError(f"{type(self).__name__}: is not conditional; leave out y")
        check_positive(f"{type(self).__name__}.sample", n=n, steps=steps)
        random, found = Draws(seed), []
        for i in range(0, n, batch_size):
            x = random.uniform((min(batch_size, n - i), *self.example_shape))
            *_, last = self._walk(x, steps, random)
            found.append(last)
        return ops.concatenate(found, axis=0)

    def _walk(self, x, steps, random):
        for _ in range(steps):
            parameters = self.parameters_after(Batch(x, x), random)
            yield self.restored(ops.cast(self.likelihood.mean(parameters), "float32"))
            x = self.likelihood.draw(parameters, random)
