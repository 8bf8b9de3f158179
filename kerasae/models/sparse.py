"""Sparse autoencoders: few units of the code are active for an example."""

import keras
from keras import layers, ops

from kerasae.distributions import bernoulli_kl
from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.replicas import batch_mean
from kerasae.models.contract.terms import Statistic
from kerasae.ops import sum_per_example

PENALTIES = ("kl", "l1")


@keras.saving.register_keras_serializable("kerasae")
class SparseAutoencoder(Autoencoder):
    """Minimise −log p(x | z) + β Σ_j KL(ρ || ρ̂_j), z = encode(x): units that are active on few examples each.

    ρ̂_j is the mean of unit j over the whole batch, ρ its target, and the divergence is between two Bernoulli
    distributions: Ng, CS294A lecture notes "Sparse autoencoder", section 3; Lee, Ekanadham and Ng, NIPS 2007.
    With `penalty="l1"` the second term is β Σ_j |z_j| of each example instead.

    Terms: "reconstruction" [B], nats; "sparsity", nats, one number for the batch of all replicas, which ignores weights
    of examples; with "l1" it is [B], in the unit of the code.

    Args:
        encoder: as for `Autoencoder`; for "kl" it ends in a sigmoid, as ρ̂ must lie between 0 and 1.
        decoder, likelihood, pixel_max: as for `Autoencoder`.
        penalty: "kl" or "l1".
        sparsity_weight: weight β ≥ 0; a `Knob`.
        target_activity: ρ of "kl", in (0, 1), 0.05 when not given; a `Knob`. "l1" has none.

    Raises:
        InputError: for an encoder without a last sigmoid under "kl", an unknown penalty, numbers out of range, and for
            micro-batches under "kl".

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=200, widths=(), code_activation="sigmoid")
        >>> model = SparseAutoencoder(*networks, sparsity_weight=3.0, target_activity=0.05)
    """

    terms = ("reconstruction", "sparsity")
    code_activation = "sigmoid"
    sparsity_weight = Knob(minimum=0.0)
    target_activity = Knob(minimum=1e-6, maximum=1.0 - 1e-6)

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="gaussian",
        pixel_max=255.0,
        penalty="kl",
        sparsity_weight=1.0,
        target_activity=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        name = type(self).__name__
        if penalty not in PENALTIES:
            raise InputError(f"{name}: penalty must be one of {', '.join(PENALTIES)}. Received: {penalty!r}")
        if penalty == "kl" and not ends_in_sigmoid(encoder):
            raise InputError(
                f"{name}: the encoder must end in a sigmoid, as penalty='kl' compares means of codes in (0, 1) with "
                "target_activity; give the network builder code_activation='sigmoid', or choose penalty='l1'"
            )
        if penalty == "l1" and target_activity is not None:
            raise InputError(f"{name}: penalty='l1' has no target_activity; leave it out. Received: {target_activity}")
        self.penalty, self.sparsity_weight = penalty, sparsity_weight
        if penalty == "kl":
            self.target_activity = 0.05 if target_activity is None else target_activity
            self.statistics = ("sparsity",)

    def objective(self, batch, training=False):
        z = self.encode_batch(batch, training)
        return {"reconstruction": self.reconstruction_term(z, batch, training), "sparsity": self.sparsity_term(z)}

    def sparsity_term(self, z):
        """Compute Σ_j KL(ρ || ρ̂_j) of the whole batch, a `Statistic`, or Σ_j |z_j| of each example, [B]."""
        z = ops.cast(z, "float32")
        if self.penalty == "l1":
            return sum_per_example(ops.abs(z))
        return Statistic(ops.sum(bernoulli_kl(self.target_activity, batch_mean(z))))

    @property
    def term_weights(self):
        return {"sparsity": self.sparsity_weight}


def ends_in_sigmoid(network):
    """Tell whether a network's last activation, also inside nested networks, is a sigmoid."""
    for layer in reversed(network.layers):
        if isinstance(layer, keras.Model):
            return ends_in_sigmoid(layer)
        if not isinstance(layer, layers.Flatten | layers.Reshape):
            return getattr(layer, "activation", None) is keras.activations.sigmoid
    return False
