"""A masked autoencoder whose encoder is a convolutional network: hidden patches stay empty through all its layers."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import MaskableBlock, MaskedTokens
from kerasae.models.masked import MaskedAutoencoder, decoder_kind, run


@keras.saving.register_keras_serializable("kerasae")
class ConvolutionalMaskedAutoencoder(MaskedAutoencoder):
    """Predict the hidden patches of an image by convolutions that see the visible ones only.

    FCMAE: Woo et al., ConvNeXt V2, arXiv 2301.00808, section 3; SparK: Tian et al., arXiv 2301.03580, section 3.2. A
    patch is what one place of the encoder's last map stands for. Hidden places are set to 0 before every convolution
    that mixes places and in every response normalisation, at each stage's resolution, so that features of visible
    places do not depend on hidden pixels. The decoder gets a learned mask token in hidden places. The loss of an
    example is that of `MaskedAutoencoder`,

        1 / |hidden| Σ_{i hidden} 1 / P Σ_j (prediction_ij − target_ij)².

    The convolutions are dense, with zeros: a step costs as much as one without masks, several times one of
    `MaskedAutoencoder` with as many multiplications per image. `forward` gives all predictions also in training, and
    as `tokens` the encoder's features [B, N, D], undefined in hidden places. The mask token is a weight of this model,
    not of the encoder; `encode` never masks.

    Args:
        encoder, decoder: of `kerasae.networks.convnext` or `vgg` without a `code`, whose patch divides the image.
        mask_ratio: share of the patches hidden; 0.6 in both papers.
        normalize_targets, pixel_max, mask_group, target: as for `MaskedAutoencoder`.

    Raises:
        InputError: as for `MaskedAutoencoder`.

    Example:
        >>> networks = kerasae.networks.convnext_mini((32, 32, 3), patch=4)
        >>> model = ConvolutionalMaskedAutoencoder(*networks)
    """

    decoders, chain_layer, builder = ("convolutional",), MaskableBlock, "convnext"

    def __init__(
        self,
        encoder,
        decoder,
        mask_ratio=0.6,
        normalize_targets=True,
        pixel_max=255.0,
        mask_group=1,
        target=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, mask_ratio, normalize_targets, pixel_max, mask_group, target, **kwargs)
        self.predicted, features = self.patches_shape[0], self._encoding[-1]
        self.masked_tokens = MaskedTokens(name="masked_tokens", dtype=features.dtype_policy.name)
        shape = features.output.shape
        self.masked_tokens.build([shape, shape[:-1]])

    def _tokens(self, patches, ids_keep, mask, training):
        """Encode the visible patches to features of all places, undefined in hidden ones: [B, N, D]."""
        visible = ops.reshape(1.0 - mask, (-1, *self._grid, 1))
        return run(self._encoding, patches, training, MaskableBlock, visible=visible)

    def _predict(self, tokens, ids_restore, training, some):
        hidden = ops.cast(ids_restore >= self.visible, tokens.dtype)
        x = run(self._decoding, self.masked_tokens((tokens, hidden)), training)
        return {"prediction": ops.cast(x, "float32")}

    def _check_decoder(self):
        code = any(isinstance(layer, keras.layers.Dense) for layer in self.encoder.layers)
        if code or decoder_kind(self.decoder) not in self.decoders:
            raise InputError(
                f"{type(self).__name__}: build the networks with kerasae.networks.convnext or vgg, with code=None. "
                f"Received: an encoder of codes {self.code_shape}, and a decoder that is {decoder_kind(self.decoder)!r}"
            )
