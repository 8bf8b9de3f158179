"""Sparse dictionaries of activations: few of many latents, each with an atom of length 1, add up to the input."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import JumpReLU, KeepLargest
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.replicas import batch_mean, share_of_replica, whole_batch
from kerasae.models.contract.terms import Found, Statistic
from kerasae.models.over_dictionary import OverDictionary
from kerasae.networks.shapes import check_positive, size
from kerasae.ops import keep_largest

ACTIVATIONS = {"top-k": "auxiliary", "batch-top-k": "auxiliary", "jump-relu": "sparsity"}
"""Activation → the name of its second term."""

FIRST_WEIGHTS = {"auxiliary": 1 / 32, "sparsity": 1.0}
"""Second term → its weight when none is given."""

DECAY = 0.999
"""Share of the running threshold of "batch-top-k" that a step keeps."""


@keras.saving.register_keras_serializable("kerasae")
class SparseDictionary(OverDictionary):
    """Minimise ‖x − x̂‖² with z = act(W_e (x − b_d) + b_e), x̂ = W_d z + b_d, for a z of about k active latents.

    The columns of W_d, the atoms, have length 1. The activation decides which latents are active:

    - "top-k": the k largest positive ones of each example: Gao et al., arXiv 2406.04093, section 2.3.
    - "batch-top-k": the k·B largest positive ones of a batch of B examples; outside training all above a threshold, the
      running mean of the smallest active one: Bussmann et al., arXiv 2412.06410, section 3.
    - "jump-relu": those above a learned threshold of each latent, with straight-through gradients: Rajamanoharan et
      al., arXiv 2407.14435. The second term λ (L0 / k − 1)² draws the mean number L0 of active latents to k.

    The first two have the auxiliary term α ‖e − W_d z_dead‖², where e = x − x̂ is held constant and z_dead are the
    largest D/2 of the latents that no example activated for `dead_after` steps (arXiv 2406.04093, appendix A.2).

    Terms: "reconstruction" [B], squared error summed over the values of x; "auxiliary" [B], squared error, 0 while no
    latent is dead; "sparsity", without unit, one number for the batch of all replicas. `encode` gives z, float32
    [B, M]; `score` is ‖x − x̂‖², [B]. "batch-top-k" and "jump-relu" refuse micro-batches, as they need the whole batch.

    Args:
        shape: shape of an example, (D,), (T, D) or (H, W, C), flattened; usually a layer's activations.
        latents: number M of latents.
        pixel_max: the integer that means 1.0; floats are used as they are.
        activation: "top-k", "batch-top-k" or "jump-relu".
        k: number of active latents, a tenth of M when not given; a `Knob`.
        penalty_weight: weight of the second term, 1/32 of "auxiliary" and 1 of "sparsity" when not given; a `Knob`.
        bandwidth: width ε of the window of inputs from which the thresholds of "jump-relu" learn.
        dead_after: steps without activity after which a latent is dead.

    Raises:
        InputError: for an unknown activation, and numbers out of range.

    Example:
        >>> model = SparseDictionary((64,), latents=1024, activation="batch-top-k", k=32)
        >>> model.adapt(codes)  # float32 [N, 64]: b_d becomes their geometric median
        >>> model.compile("adam")
        >>> model.fit(codes, epochs=10)
        >>> model.encode(codes[:8])  # [8, 1024], about 32 of a row not zero
    """

    k = Knob(minimum=1.0)
    penalty_weight = Knob(minimum=0.0)

    def __init__(
        self,
        shape,
        latents,
        pixel_max=255.0,
        activation="top-k",
        k=None,
        penalty_weight=None,
        bandwidth=0.001,
        dead_after=200,
        **kwargs,
    ):
        name = type(self).__name__
        if activation not in ACTIVATIONS:
            raise InputError(f"{name}: activation must be one of {', '.join(ACTIVATIONS)}. Received: {activation!r}")
        self.terms = ("reconstruction", ACTIVATIONS[activation])
        super().__init__(shape, latents, pixel_max, **kwargs)
        check_positive(name, dead_after=dead_after)
        self.activation, self.dead_after = activation, dead_after
        self.k = max(1.0, latents / 10) if k is None else k
        if float(ops.convert_to_numpy(self.k)) > latents:
            raise InputError(f"{name}: k must be at most latents, {latents}. Received: k={k}")
        self.penalty_weight = FIRST_WEIGHTS[self.terms[1]] if penalty_weight is None else penalty_weight
        self.statistics = {"batch-top-k": ("reconstruction",), "jump-relu": ("sparsity",)}.get(activation, ())
        learned = activation == "jump-relu"
        self.gate = JumpReLU(0.001 if learned else 0.0, bandwidth, trainable=learned, name="gate")
        self.gate.build((None, latents))
        self.idle = self.add_weight((latents,), "zeros", "float32", trainable=False, autocast=False, name="idle")

    def objective(self, batch, training=False):
        x = self.flat(batch.x)
        inputs = self.inputs_of(x)
        z, least = self.activate(inputs, training)
        error = x - self.build_up(z)
        second = self.sparsity_term(inputs) if "sparsity" in self.terms else self.auxiliary_term(inputs, error)
        sums = {"active": ops.sum(ops.cast(z > 0, "float32"), axis=0), "least": share_of_replica(least)}
        return Found({"reconstruction": sum_squares(error), self.terms[1]: second}, sums=sums)

    def activate(self, inputs, training=False):
        """Choose the active latents: inputs a, float32 [B, M] → (z, the smallest active value of the batch)."""
        positive = ops.relu(inputs)
        if self.activation == "top-k":
            return keep_largest(positive, self.k), ops.zeros(())
        if self.activation == "jump-relu" or not training:
            return self.gate.passed(inputs), ops.zeros(())
        everywhere = ops.reshape(whole_batch(ops.stop_gradient(positive)), (-1,))
        kept = keep_largest(everywhere, self.k * (ops.shape(everywhere)[0] / self.code_shape[0]))
        least = ops.min(ops.where(kept > 0, kept, float("inf")))
        return ops.where(positive >= least, positive, 0.0), least

    def auxiliary_term(self, inputs, error):
        """Compute the squared error of the dead latents' reconstruction of the residual, 0 without any: [B]."""
        dead = ops.cast(self.idle >= self.dead_after, "float32")
        z = keep_largest(ops.relu(inputs) * dead, max(1, size(self.example_shape) // 2))
        far = sum_squares(ops.stop_gradient(error) - ops.cast(self.dictionary.combine(z), "float32"))
        return ops.where(ops.any(dead > 0), far, 0.0)

    def sparsity_term(self, inputs):
        """Compute (L0 / k − 1)² of the whole batch, a `Statistic`, whose gradient passes to the thresholds alone."""
        active = batch_mean(ops.sum(self.gate.active(inputs), axis=-1))
        return Statistic(ops.square(active / self.k - 1.0))

    @property
    def term_weights(self):
        return {self.terms[1]: self.penalty_weight}

    def next_state(self, sums, rows):
        state = [(self.idle, ops.where(sums["active"] > 0, 0.0, self.idle + 1.0))]
        if self.activation != "batch-top-k":
            return state
        running = ops.cast(self.gate.thresholds, "float32")
        least = ops.where(ops.isfinite(sums["least"]), sums["least"], running)
        first = running == 0.0  # as active values are positive
        return [*state, (self.gate.thresholds, ops.where(first, least, DECAY * running + (1.0 - DECAY) * least))]

    def encode_values(self, x):
        return self.activate(self.inputs_of(x))[0]

    def code_layers(self):
        if self.activation != "top-k":
            return [self.gate]
        return [keras.layers.ReLU(dtype="float32"), KeepLargest(max(1, round(float(ops.convert_to_numpy(self.k)))))]


def sum_squares(error):
    return ops.sum(ops.square(error), axis=-1)
