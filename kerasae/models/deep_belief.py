"""Deep belief networks: restricted Boltzmann machines, stacked greedily."""

import keras
from keras import ops

from kerasae.distributions.binary_hidden import bernoulli
from kerasae.errors import InputError
from kerasae.layers import draws
from kerasae.models.boltzmann import RestrictedBoltzmannMachine
from kerasae.models.stacked import StackedAutoencoder
from kerasae.networks.shapes import check_positive, size


@keras.saving.register_keras_serializable("kerasae")
class DeepBeliefNetwork(StackedAutoencoder):
    """Stack Boltzmann machines: p(x, h₁, …, h_n) = p(x | h₁) ⋯ p(h_{n−2} | h_{n−1}) p(h_{n−1}, h_n).

    Its last factor is the last machine's: Hinton, Osindero and Teh, Neural Computation 18 (2006), sections 4 and 5.
    Machine 1 is trained on the data, each further one on the probabilities p(h = 1 | v) of the machine below. `encode`
    gives those of the last machine, the mean field of the way up, and `sample` goes the way down. Trained as a whole,
    the stack is a deep autoencoder, −log p(x | z), as in Hinton and Salakhutdinov, Science 313 (2006).

    Args:
        autoencoders: the machines, bottom first; each one's code must have the shape of the next one's input. All but
            the first have binary visible units.

    Raises:
        InputError: for other models than machines, Gaussian units above the bottom, and shapes that do not fit.

    Example:
        >>> machines = [RestrictedBoltzmannMachine(784, 500), RestrictedBoltzmannMachine(500, 500)]
        >>> network = DeepBeliefNetwork(machines)
        >>> network.sample(16, seed=0, steps=200)  # [16, 784]
    """

    generative = True

    def __init__(self, autoencoders, **kwargs):
        autoencoders = list(autoencoders)
        for i, machine in enumerate(autoencoders, 1):
            if not isinstance(machine, RestrictedBoltzmannMachine) or i > 1 and not machine.binary:
                kind = "RestrictedBoltzmannMachine" + (" of binary visible units" if i > 1 else "")
                raise InputError(f"DeepBeliefNetwork: layer {i} must be a {kind}. Received: {machine!r}")
        super().__init__(autoencoders, **kwargs)

    def code_prior(self):
        return None  # samples are states of a Markov chain

    def sample(self, n, y=None, seed=None, batch_size=256, steps=1000):
        """Run `n` chains in the last machine from noise, then draw one pass down: means of x, [n, *shape].

        Args:
            n: number of examples.
            y: None; the model is not conditional.
            seed: integer, or None for another draw each time.
            batch_size: number of chains run at a time.
            steps: turns of Gibbs sampling in the last machine, ≥ 1.
        """
        if y is not None:
            raise InputError(f"{type(self).__name__}: is not conditional; leave out y")
        check_positive(f"{type(self).__name__}.sample", n=n, steps=steps)
        random, top = draws.Draws(seed), self.autoencoders[-1]
        parts = []
        for i in range(0, n, batch_size):
            v = random.uniform((min(batch_size, n - i), size(top.example_shape)))
            h = bernoulli(top.hidden_inputs(top.gibbs(v, steps - 1, random)), random)
            parts.append(self.restored(self.down(h, random)))
        return ops.concatenate(parts, axis=0)

    def down(self, h, random):
        """Draw the units of each machine below from those above, and return the means of x.

        Args:
            h: binary units of the last machine, float32 [B, H].
            random: a `Draws`.

        Returns:
            float32 [B, *shape].
        """
        bottom, *others = self.autoencoders
        for machine in reversed(others):
            h = bernoulli(machine.visible_inputs(h), random)
        return bottom.decode_code(h)
