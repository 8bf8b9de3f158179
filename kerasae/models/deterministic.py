"""Denoising autoencoders: the code is a function of the input, and the input is corrupted."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import Corruption, MaskingCorruption, TokenCorruption
from kerasae.models.contract.base import Autoencoder
from kerasae.models.contract.preparation import along


@keras.saving.register_keras_serializable("kerasae")
class DenoisingAutoencoder(Autoencoder):
    """Reconstruct the clean input from a corrupted one: −log p(x | encode(x̃)), x̃ ~ q(x̃ | x).

    Vincent, Larochelle, Lajoie, Bengio and Manzagol, JMLR 11 (2010), eq. 8. The corruption applies in training and in
    evaluation, as the objective is defined on corrupted inputs; evaluation draws the same corruption every time.
    `encode`, `reconstruct` and `score` never corrupt.

    The paper's "emphasis on the corrupted dimensions" weighs the values of x: α for those that were corrupted, β for
    the others, −Σ_{i corrupted} α log p(x_i | z) − Σ_{i not} β log p(x_i | z). α = 1 and β = 0 is its "full emphasis".
    A masked value counts as corrupted although it may have been 0 before; Gaussian noise corrupts all values.

    With ids of tokens, `TokenCorruption` and β = 0 it is a masked language model: Devlin et al., arXiv 1810.04805,
    section 3.1.

    Args:
        encoder, decoder, likelihood, pixel_max: as for `Autoencoder`.
        corruption: a layer of `kerasae.layers`: `MaskingCorruption` (25 % by default), `GaussianCorruption`,
            `SaltAndPepperCorruption`, `TokenCorruption` for ids, or any `Corruption`.
        corrupted_weight: weight α ≥ 0 of corrupted values.
        clean_weight: weight β ≥ 0 of the other values.

    "reconstruction" is [B], in nats where both weights are 1. `score` weighs nothing.

    Raises:
        InputError: for a corruption that is none, weights that are negative or both 0.

    Example:
        >>> networks = kerasae.networks.dense((28, 28, 1), code=256, widths=(), code_activation="sigmoid", tied=True)
        >>> model = DenoisingAutoencoder(*networks, "bernoulli", corruption=MaskingCorruption(0.25))
    """

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="gaussian",
        pixel_max=255.0,
        corruption=None,
        corrupted_weight=1.0,
        clean_weight=1.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, pixel_max, **kwargs)
        self.corrupted_weight, self.clean_weight = float(corrupted_weight), float(clean_weight)
        if not (self.corrupted_weight >= 0 and self.clean_weight >= 0 and corrupted_weight + clean_weight > 0):
            raise InputError(
                "DenoisingAutoencoder: corrupted_weight and clean_weight must be ≥ 0, and one of them > 0. "
                f"Received: {corrupted_weight} and {clean_weight}"
            )
        usual = MaskingCorruption() if self.ids is None else TokenCorruption(self.ids)
        self.corruption = usual if corruption is None else corruption
        if not isinstance(self.corruption, Corruption):
            raise InputError(f"corruption: expected a kerasae.layers.Corruption. Received: {corruption!r}")
        if self.corruption.of_ids != (self.ids is not None):
            use = "TokenCorruption" if self.ids else "a corruption of values, such as MaskingCorruption"
            raise InputError(f"corruption: {type(self.corruption).__name__} does not fit the likelihood; give {use}")

    def objective(self, batch, training=False):
        corrupted, mask = self.corruption.corrupt_and_mark(batch.x, training)
        z = self.encode_batch(batch._replace(x=corrupted), training)
        weights = ops.where(mask > 0, self.corrupted_weight, self.clean_weight)
        if batch.mask is not None:  # whose steps are no part of the data
            weights = weights * along(batch.mask, weights)
        return {"reconstruction": self.reconstruction_term(z, batch._replace(mask=weights), training)}
