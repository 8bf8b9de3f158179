"""Semantic hashing: codes that become bits, so that similar examples are found by comparing bits."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.models.contract.base import Autoencoder, last_activation
from kerasae.models.contract.knobs import Knob


@keras.saving.register_keras_serializable("kerasae")
class SemanticHashingAutoencoder(Autoencoder):
    """Minimise −log p(x | z), z = σ(a + ε), a = encoder(x), ε ~ N(0, noise²) in training: codes near 0 or 1.

    Salakhutdinov and Hinton, Semantic Hashing, Int. J. Approximate Reasoning 50 (2009): a decoder reads
    through the noise only where the logits a are large. So the probabilities σ(a) saturate, and little is lost when
    bit j is set to a_j > 0. Their noise has the variance 16, and each example keeps its own draw, for conjugate
    gradients; here it is drawn anew at every step. Outside training there is none.

    `fit(x, y)` with y in the shape of x reconstructs y: bits are worth more for retrieval where x is a distorted
    example and y an undistorted neighbour of it, `kerasae.data.NeighbourPairs`.

    Args:
        encoder: as for `Autoencoder`; it gives the logits a, [B, Z], without an activation.
        decoder, likelihood, pixel_max: as for `Autoencoder`.
        noise: standard deviation ≥ 0 of ε, in units of the logits; a `Knob`.

    Terms: "reconstruction" [B], nats. `encode` gives σ(a), float32 [B, Z] in [0, 1]; `hash` the bits.

    Raises:
        InputError: for an encoder that ends in a sigmoid or another activation, codes of more than one axis, and a
            noise out of range.

    Example:
        >>> model = SemanticHashingAutoencoder(*kerasae.networks.dense((28, 28, 1), code=32), "bernoulli", noise=4.0)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10)  # uint8 [N, 28, 28, 1]
        >>> bits = model.hash(images[:8])  # bool [8, 32]
    """

    noise = Knob(minimum=0.0)
    bit_threshold = 0.5
    code_activation = "linear"

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, noise=4.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        name = type(self).__name__
        if last_activation(encoder) not in (None, keras.activations.linear):
            raise InputError(
                f"{name}: the encoder must give logits, as the noise comes before the sigmoid; end it without an "
                f"activation. Received: {last_activation(encoder).__name__}"
            )
        if len(self.code_shape) != 1:
            raise InputError(f"{name}: codes must be vectors. Received: codes of shape {self.code_shape}")
        self.noise = noise

    def hash(self, x, y=None, batch_size=256):
        """Compute the bits a > 0 of stored values: [B, *shape] → bool [B, Z]."""
        return self.encode(x, y, batch_size) > self.bit_threshold

    def encode_batch(self, batch, training=False):
        logits = self.encoded(batch, training)
        if training:
            logits = ops.cast(logits, "float32")
            logits += ops.convert_to_tensor(self.noise) * self.random(training).normal(ops.shape(logits))
        return self.code_of(logits)

    def code_of(self, encoded):
        return ops.sigmoid(encoded)
