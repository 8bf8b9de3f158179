"""The distribution of a restricted Boltzmann machine: visible units whose hidden units are binary and summed out."""

import math
from typing import Any, NamedTuple

from keras import ops

from kerasae.distributions.divergences import LOG_2PI


class BinaryHidden(NamedTuple):
    """Compute with p(v) ∝ exp(−F(v)), F(v) = −log Σ_h exp(−E(v, h)), of binary hidden units h.

    E(v, h) = −vᵀWh − bᵀv − cᵀh for binary v, −vᵀWh + ½‖v − b‖² − cᵀh for Gaussian v: Hinton, "A practical guide to
    training restricted Boltzmann machines" (2012), sections 2 and 13.2. Visible units v are float32 [B, V], hidden
    ones h float32 [B, H].

    Attributes:
        kernel: W, [V, H].
        visible_bias, hidden_bias: b, [V]; c, [H].
        binary: whether v is binary, or Gaussian of unit variance.

    Example:
        >>> machine = BinaryHidden(keras.ops.zeros((3, 2)), keras.ops.zeros(3), keras.ops.zeros(2), True)
        >>> machine.free_energy(keras.ops.ones((1, 3)))  # −2 log 2 = -1.3863
    """

    kernel: Any
    visible_bias: Any
    hidden_bias: Any
    binary: bool

    def hidden_inputs(self, v):
        """Compute the logits of p(h = 1 | v): [B, H]."""
        return ops.matmul(v, self.kernel) + self.hidden_bias

    def visible_inputs(self, h):
        """Compute the parameters of p(v | h), logits or means: [B, V]."""
        return ops.matmul(h, ops.transpose(self.kernel)) + self.visible_bias

    def free_energy(self, v):
        """Compute the free energy F(v): [B], nats."""
        return self.visible_energy(v) - ops.sum(ops.softplus(self.hidden_inputs(v)), axis=-1)

    def visible_energy(self, v):
        """Compute the part of F(v) that the hidden units have no share in: [B], nats."""
        if self.binary:
            return -ops.matmul(v, self.visible_bias)
        return ops.sum(ops.square(v - self.visible_bias), axis=-1) / 2.0

    def gibbs(self, v, steps, random):
        """Run `steps` turns of Gibbs sampling, h ~ p(h | v), v ~ p(v | h), with numbers from a `Draws`: [B, V]."""
        for _ in range(steps):
            v = self.draw_visible(self.draw_hidden(v, random), random)
        return v

    def draw_hidden(self, v, random):
        """Draw h ~ p(h | v): [B, H]."""
        return bernoulli(self.hidden_inputs(v), random)

    def draw_visible(self, h, random):
        """Draw v ~ p(v | h): [B, V]."""
        inputs = self.visible_inputs(h)
        return bernoulli(inputs, random) if self.binary else inputs + random.normal(ops.shape(inputs))

    def tempered(self, beta, base):
        """Go a part β of the way from independent visible units to this distribution, for annealing.

        W and c are multiplied by β, and b becomes (1 − β) base + β b: Salakhutdinov and Murray, ICML 2008, eq. 16.

        Args:
            beta: β in [0, 1].
            base: visible biases [V] at β = 0.
        """
        b = (1.0 - beta) * base + beta * self.visible_bias
        return self._replace(kernel=beta * self.kernel, visible_bias=b, hidden_bias=beta * self.hidden_bias)

    def log_base_constant(self, base):
        """Compute log Z of `tempered(0, base)`, in closed form: a scalar, nats."""
        visible, hidden = self.kernel.shape
        own = ops.sum(ops.softplus(base)) if self.binary else visible * LOG_2PI / 2.0
        return own + hidden * math.log(2.0)

    def log_hidden(self, h):
        """Compute log Σ_v exp(−E(v, h)), the visible units summed or integrated out: [B], nats."""
        own, inputs = ops.matmul(h, self.hidden_bias), self.visible_inputs(h)
        if self.binary:
            return own + ops.sum(ops.softplus(inputs), axis=-1)
        b = self.visible_bias
        return own + ops.sum(ops.square(inputs) - ops.square(b), axis=-1) / 2.0 + len(b) * LOG_2PI / 2.0

    def first_visible(self, base, count, random):
        """Draw `count` examples of `tempered(0, base)`: [count, V]."""
        inputs = ops.broadcast_to(base, (count, *base.shape))
        return bernoulli(inputs, random) if self.binary else inputs + random.normal(inputs.shape)


def bernoulli(logits, random):
    """Draw binary units, 1 with probability sigmoid(logits), as float32."""
    return ops.cast(random.uniform(ops.shape(logits)) < ops.sigmoid(logits), "float32")


def as_float32(weight):
    """Cast a weight to float32, also where Keras returns it in half precision."""
    return ops.cast(weight, "float32")
