"""Recirculation: a code learned from differences of activity in time, without backpropagation."""

import keras
from keras import ops

from kerasae.distributions import likelihoods
from kerasae.distributions.binary_hidden import as_float32
from kerasae.errors import InputError
from kerasae.models.contract.codec import Codec
from kerasae.models.contract.knobs import Knob
from kerasae.models.contract.trainable import Trainable
from kerasae.networks import dense
from kerasae.networks.shapes import check_positive, check_shape, size


@keras.saving.register_keras_serializable("kerasae")
class Recirculation(Codec, Trainable):
    """Learn from activity that circles once through visible units y and hidden units h.

    Hinton and McClelland, NIPS 1987 (printed 1988), the rule of two layers of sigmoid units with regression λ:

    y₀ = x, h₁ = σ(V y₀ + c), y₂ = λ y₀ + (1 − λ) σ(W h₁ + b), h₃ = λ h₁ + (1 − λ) σ(V y₂ + c), and then

    ΔW = h₁ (y₀ − y₂),  Δb = y₀ − y₂,  ΔV = y₂ (h₁ − h₃),  Δc = h₁ − h₃:

    each connection sees its own two units only. The step proposes minus these as gradients, averaged over the batch, so
    that SGD of rate ε is the rule of the paper with ε; other optimisers take them as they take gradients. Where V is
    near the transpose of W and λ near 1, they are near those of −log p(x | z), times 1 − λ for W and (1 − λ)² for V.

    Args:
        shape: shape of an example, (V,), (T, D) or (H, W, C), flattened to V visible units.
        hidden: number H of hidden units.
        pixel_max: the integer that means 1.0.
        regression: λ in [0, 1), the share of its old activity that a unit keeps.

    `encode` gives h₁, [B, H], `decode` gives σ(W h + b), [B, *shape]. The term "reconstruction" is −log p(x | h₁) of
    binary units, [B] in nats.

    Raises:
        InputError: for sizes that are no positive whole numbers, and a λ out of range.

    Example:
        >>> model = Recirculation((8,), 3, pixel_max=1)
        >>> model.compile(keras.optimizers.SGD(20.0))
        >>> model.fit(np.eye(8, dtype="uint8"), batch_size=8, epochs=2000)
    """

    terms = ("reconstruction",)
    regression = Knob(minimum=0.0, maximum=0.9999)
    has_likelihood = has_tangents = unit_range = True
    posterior_name, code_activation = None, "sigmoid"

    def __init__(self, shape, hidden, pixel_max=255.0, regression=0.75, **kwargs):
        super().__init__(**kwargs)
        name = type(self).__name__
        check_positive(name, hidden=hidden)
        self.example_shape, self.code_shape = check_shape(name, shape, (1, 2, 3)), (hidden,)
        self.likelihood, self.pixel_max, self.regression = likelihoods.Bernoulli(), float(pixel_max), regression
        self.encoder, self.decoder = dense(self.example_shape, hidden, (), code_activation="sigmoid")

    def objective(self, batch, training=False):
        y0 = ops.reshape(batch.x, (-1, size(self.example_shape)))
        h1 = ops.stop_gradient(ops.sigmoid(self.hidden_inputs(y0)))
        logits = self.visible_inputs(h1)
        y2 = ops.stop_gradient(self.regressed(y0, logits))
        inputs = self.hidden_inputs(y2)
        h3 = ops.stop_gradient(self.regressed(h1, inputs))
        # Linear in W, b, V and c: its gradient is minus the rule's changes.
        rule = -ops.sum((y0 - y2) * logits, axis=-1) - ops.sum((h1 - h3) * inputs, axis=-1)
        error = -self.likelihood.log_prob(logits, y0)
        return {"reconstruction": rule + ops.stop_gradient(error - rule)}

    def regressed(self, activity, inputs):
        """Compute new activity of units, λ activity + (1 − λ) σ(inputs): [B, units]."""
        kept = ops.convert_to_tensor(self.regression)
        return kept * activity + (1.0 - kept) * ops.sigmoid(inputs)

    def hidden_inputs(self, y):
        """Compute V y + c: [B, V] → [B, H]."""
        layer = self.encoder.layers[-1]
        return ops.matmul(y, as_float32(layer.kernel)) + as_float32(layer.bias)

    def visible_inputs(self, h):
        """Compute W h + b: [B, H] → [B, V]."""
        return ops.cast(ops.reshape(self.decoder(h), (-1, size(self.example_shape))), "float32")

    # The contract.

    @classmethod
    def of_networks(cls, encoder, decoder, likelihood, pixel_max, **options):
        """Build a network with the sizes of two others, which it does not use, for the command line."""
        found = likelihoods.get(likelihood)
        if not isinstance(found, likelihoods.Bernoulli):
            raise InputError(f"{cls.__name__}: likelihood must be Bernoulli. Received: {type(found).__name__}")
        return cls(tuple(encoder.inputs[0].shape[1:]), decoder.inputs[0].shape[-1], pixel_max, **options)

    def encode_batch(self, batch, training=False):
        return self.encoder(batch.x)

    def decode_code(self, z, y=None, training=False):
        return ops.cast(self.likelihood.mean(self.decoder(z)), "float32")

    def score_batch(self, batch):
        """Compute −log p(x | encode(x)): [B], nats."""
        return self.objective(batch)["reconstruction"]

    def unit_encoder(self):
        """Build the model [B, *shape] → h₁, which shares V and c."""
        return self.encoder

    def feature_decoder(self):
        """Build the model [B, H] → logits of the visible units, which shares W and b."""
        return self.decoder
