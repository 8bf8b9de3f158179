"""SimMIM: masked image modelling with mask tokens in the encoder, a baseline for the masked autoencoder."""

import keras
from keras import ops

from kerasae.layers import MaskedTokens
from kerasae.models.masked import MaskedAutoencoder, run


@keras.saving.register_keras_serializable("kerasae")
class SimMIM(MaskedAutoencoder):
    """Show the encoder mask tokens in hidden places, and predict pixels by a linear layer.

    Xie et al., arXiv 2111.09886, section 3. The loss of an example is the mean absolute error of its hidden pixels,

        1 / |hidden| Σ_{i hidden} 1 / P Σ_j |prediction_ij − target_ij|,

    the target by default the pixels of the standardised image, not normalised patch by patch. The encoder computes all
    N tokens, so a step costs several times as much as with `MaskedAutoencoder`; `forward` gives all predictions also in
    training. The mask token is a weight of this model; the encoder, and `encode`, take no masks.

    Args:
        encoder, decoder: of `kerasae.networks.vit` with `decoder="linear"`.
        mask_ratio: share of the patches hidden; 0.6 in the paper.
        mask_group: as for `MaskedAutoencoder`; the paper hides 32×32 pixels together, 2 for a patch of 16.
        normalize_targets, pixel_max, target: as for `MaskedAutoencoder`.

    Raises:
        InputError: as for `MaskedAutoencoder`.

    Example:
        >>> networks = kerasae.networks.vit_tiny((32, 32, 3), patch=4, decoder="linear")
        >>> model = SimMIM(*networks)
    """

    units = "absolute error"
    decoders = ("linear",)

    def __init__(
        self,
        encoder,
        decoder,
        mask_ratio=0.6,
        normalize_targets=False,
        pixel_max=255.0,
        mask_group=1,
        target=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, mask_ratio, normalize_targets, pixel_max, mask_group, target, **kwargs)
        self.predicted = self.patches_shape[0]
        self.masked_tokens = MaskedTokens(name="masked_tokens", dtype=self._place.dtype_policy.name)
        shape = self._place.input.shape
        self.masked_tokens.build([shape, shape[:-1]])

    def _tokens(self, patches, ids_keep, mask, training):
        """Encode all patches to tokens, with mask tokens for hidden ones: [B, (1 +) N, D]."""
        first = self._encoding.index(self._place)
        tokens = run(self._encoding[:first], patches, training)
        return run(self._encoding[first:], self.masked_tokens((tokens, mask)), training)

    def _predict(self, tokens, ids_restore, training, some):
        x = run(self._decoding, tokens, training)
        return {"prediction": ops.cast(x[:, -self.patches_shape[0] :], "float32")}

    def _distance(self, prediction, target):
        return ops.mean(ops.abs(prediction - target), axis=-1)
