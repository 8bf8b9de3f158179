"""Contractive autoencoders: the code changes little when the input does."""

import keras
from keras import layers, ops

from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.knobs import Knob
from kerasae.networks.shapes import check_positive, size
from kerasae.ops import jacobian_products, sum_per_example

PENALTIES = ("exact", "stochastic")

SLOPES = {
    keras.activations.sigmoid: lambda z: z * (1.0 - z),
    keras.activations.tanh: lambda z: 1.0 - ops.square(z),
    keras.activations.relu: lambda z: ops.cast(z > 0, z.dtype),
    keras.activations.linear: ops.ones_like,
}
"""Activation → its derivative as a function of its value."""


@keras.saving.register_keras_serializable("kerasae")
class ContractiveAutoencoder(Autoencoder):
    """Minimise −log p(x | z) + λ ‖J(x)‖²_F, where J = ∂z/∂x is the Jacobian of the encoder z = encode(x).

    Rifai, Vincent, Muller, Glorot and Bengio, ICML 2011. With `higher_order` γ also γ E‖J(x) − J(x + ε)‖²_F,
    ε ~ N(0, noise²), which penalises curvature: Rifai et al., Higher order contractive auto-encoder, ECML 2011.

    The penalty "exact" is Σ_j s'(a_j)² ‖W_j‖² of an encoder of one dense layer s(a), a = Wx + b, with a sigmoid, tanh,
    ReLU or linear code, and Z backward passes through any other encoder. "stochastic" takes
    ‖J‖²_F = E‖Jᵀv‖² over v with random signs (Hutchinson, Communications in Statistics 18, 1989): one backward pass
    for each of the `draws`, without bias; choose it for deep encoders of long codes.

    An encoder could shrink z, and a decoder scale it up again: `tied=True` of `kerasae.networks.dense`, as in the
    paper, prevents that. A batch norm in the encoder counts as if each example were alone.

    Terms, each [B]: "reconstruction", nats; "contraction", ‖J‖²_F, in squared units of the code by units of the input,
    in which `pixel_max` is 1; with `higher_order` also "curvature", in the same unit.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`; the paper's code is sigmoid.
        contraction_weight: weight λ ≥ 0; a `Knob`. The paper's code uses 0.1.
        penalty: "exact" or "stochastic".
        draws: number of directions v of "stochastic".
        higher_order: None, or the weight γ ≥ 0; a `Knob`.
        noise: standard deviation of ε, in units of the input; > 0.

    Raises:
        InputError: for an unknown penalty, numbers out of range, and, where a backward pass is needed, on another
            backend than TensorFlow.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=256, widths=(), code_activation="sigmoid", tied=True)
        >>> model = ContractiveAutoencoder(*networks, "bernoulli", contraction_weight=0.1)
    """

    terms = ("reconstruction", "contraction")
    code_activation = "sigmoid"
    may_take_steps = False
    contraction_weight = Knob(minimum=0.0)
    higher_order = Knob(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="gaussian",
        pixel_max=255.0,
        contraction_weight=0.1,
        penalty="exact",
        draws=1,
        higher_order=None,
        noise=0.1,
        **kwargs,
    ):
        if higher_order is not None:
            self.terms = (*type(self).terms, "curvature")
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        name = type(self).__name__
        if penalty not in PENALTIES:
            raise InputError(f"{name}: penalty must be one of {', '.join(PENALTIES)}. Received: {penalty!r}")
        check_positive(name, draws=draws)
        if not noise > 0:
            raise InputError(f"{name}: noise must be > 0. Received: noise={noise}")
        self.contraction_weight, self.penalty, self.draws, self.noise = contraction_weight, penalty, draws, noise
        if higher_order is not None:
            self.higher_order = higher_order
        self.only_layer = single_layer(encoder) if penalty == "exact" else None

    def objective(self, batch, training=False):
        random = self.random(training)
        directions = self.directions(ops.shape(batch.x)[0], random)
        z, rates = self.rates(batch, directions, training)
        terms = {
            "reconstruction": self.reconstruction_term(z, batch, training),
            "contraction": sum_squares(rates),
        }
        if "curvature" in self.terms:
            near = batch._replace(x=batch.x + self.noise * random.normal(ops.shape(batch.x)))
            terms["curvature"] = sum_squares(rates - self.rates(near, directions, training)[1])
        return terms

    def directions(self, count, random):
        """Choose the directions v of Jᵀv: random signs [S, B, Z] / √S, the identity [Z, 1, Z], or None for none."""
        width = size(self.code_shape)
        if self.only_layer is not None:
            return None
        if self.penalty == "exact":
            return ops.expand_dims(ops.eye(width), 1)
        return ops.transpose(ops.sign(random.uniform((count, self.draws, width)) - 0.5), (1, 0, 2)) / self.draws**0.5

    def rates(self, batch, directions, training=False):
        """Compute z and numbers [R, B, ...] whose squares add up to ‖J‖²_F; their differences to those of ΔJ."""
        if directions is None:
            z = self.encode_batch(batch, training)
            slopes = SLOPES[self.only_layer.activation](ops.cast(z, "float32"))
            return z, ops.expand_dims(slopes * column_norms(self.only_layer.kernel), 0)

        def flat_code(x):
            return ops.reshape(self.encode_batch(batch._replace(x=x), training), (ops.shape(x)[0], -1))

        z, rates = jacobian_products(flat_code, batch.x, directions)
        return ops.reshape(z, (-1, *self.code_shape)), rates

    @property
    def term_weights(self):
        weights = {"contraction": self.contraction_weight}
        return {**weights, "curvature": self.higher_order} if "curvature" in self.terms else weights


def single_layer(encoder):
    """Return the dense layer of an encoder that has no other, with an activation of known slope; else None."""
    dense = [layer for layer in encoder.layers if not isinstance(layer, layers.InputLayer | layers.Flatten)]
    known = len(dense) == 1 and type(dense[0]) is layers.Dense and dense[0].activation in SLOPES
    return dense[0] if known and len(encoder.inputs) == 1 else None


def column_norms(kernel):
    """Compute ‖W_j‖ of every unit j: [D, Z] → float32 [Z]."""
    return ops.sqrt(ops.sum(ops.square(ops.cast(kernel, "float32")), axis=0))


def sum_squares(rates):
    """Sum the squares over all but the second axis: [R, B, ...] → [B]."""
    return sum_per_example(ops.swapaxes(ops.square(rates), 0, 1))
