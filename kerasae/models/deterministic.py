"""Denoising autoencoders: the code is a function of the input, and the input is corrupted."""

import keras

from kerasae.errors import InputError
from kerasae.layers import Corruption, MaskingCorruption
from kerasae.models.contract.base import Autoencoder


@keras.saving.register_keras_serializable("kerasae")
class DenoisingAutoencoder(Autoencoder):
    """Reconstruct the clean input from a corrupted one: −log p(x | encode(x̃)), x̃ ~ q(x̃ | x).

    Vincent, Larochelle, Lajoie, Bengio and Manzagol, JMLR 11 (2010), eq. 8. The corruption applies in training and in
    evaluation, as the objective is defined on corrupted inputs; evaluation draws the same corruption every time.
    `encode`, `reconstruct` and `score` never corrupt.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`.
        corruption: a layer of `kerasae.layers`: `MaskingCorruption` (25 % by default), `GaussianCorruption`,
            `SaltAndPepperCorruption`, or any `Corruption`.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=256, widths=(), code_activation="sigmoid", tied=True)
        >>> model = DenoisingAutoencoder(*networks, "bernoulli", corruption=MaskingCorruption(0.25))
    """

    def __init__(self, encoder, decoder, likelihood="gaussian", pixel_max=255.0, corruption=None, **kwargs):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.corruption = MaskingCorruption() if corruption is None else corruption
        if not isinstance(self.corruption, Corruption):
            raise InputError(f"corruption: expected a kerasae.layers.Corruption. Received: {corruption!r}")

    def objective(self, batch, training=False):
        corrupted = batch._replace(x=self.corruption(batch.x, training=training))
        return super().objective(corrupted, training)
