"""k-sparse autoencoders: exactly k units of the code are active for an example."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import KeepLargest
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.knobs import Knob
from kerasae.ops import keep_largest


@keras.saving.register_keras_serializable("kerasae")
class KSparseAutoencoder(Autoencoder):
    """Minimise −log p(x | z), where z keeps the k largest units of encode(x) and sets the others to zero.

    Makhzani and Frey, arXiv 1312.5663, section 2.1: linear units, the decoder tied to the encoder. Only the units that
    were kept receive gradients, so a small k leaves units dead from the start. The paper begins with a large k and
    lowers it linearly over half of the epochs (section 4.2.1): give k as a schedule,
    `keras.optimizers.schedules.PolynomialDecay(100, steps // 2, 25)`, or to `kerasae train` `--anneal.k 100`.

    Outside training α·k units are kept; for codes that go to a classifier, the paper finds α > 1 better.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`; codes are [B, Z].
        k: number of units kept, from 1 to Z, a tenth of Z when not given; a `Knob`.
        alpha: factor α > 0 of k outside training.

    "reconstruction" is [B], nats; `encode` gives z, [B, Z], with α·k values that are not zero.

    Raises:
        InputError: for numbers out of range, and codes of more than one axis.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=1000, widths=(), tied=True)
        >>> model = KSparseAutoencoder(*networks, k=25, alpha=3.0)
    """

    k = Knob(minimum=1.0)

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, k=None, alpha=1.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        name = type(self).__name__
        if len(self.code_shape) != 1:
            raise InputError(f"{name}: codes must be vectors. Received: codes of shape {self.code_shape}")
        if not alpha > 0:
            raise InputError(f"{name}: alpha must be > 0. Received: alpha={alpha}")
        self.k, self.alpha = max(1.0, self.code_shape[0] / 10) if k is None else k, float(alpha)
        if float(ops.convert_to_numpy(self.k)) > self.code_shape[0]:
            raise InputError(f"{name}: k must be at most the code's length, {self.code_shape[0]}. Received: k={k}")

    def encode_batch(self, batch, training=False):
        k = ops.convert_to_tensor(self.k)
        return keep_largest(self.encoded(batch, training), k if training else self.alpha * k)

    def unit_encoder(self):
        """Build a Keras model floats → z that shares this model's weights and keeps the α·k of now."""
        linear = super().unit_encoder()
        kept = KeepLargest(max(1, min(round(self.alpha * float(ops.convert_to_numpy(self.k))), *self.code_shape)))
        return keras.Model(linear.inputs[0], kept(linear.outputs[0]), name=linear.name)
