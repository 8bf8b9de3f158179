"""CrossMAE: a masked autoencoder whose decoder attends from hidden patches to visible ones only."""

import keras
from keras import ops

from kerasae.errors import InputError
from kerasae.layers import CrossBlock, MaskQueries
from kerasae.models.masked import MaskedAutoencoder


@keras.saving.register_keras_serializable("kerasae")
class CrossMaskedAutoencoder(MaskedAutoencoder):
    """Predict a random part of the hidden patches, each independently, from the visible ones.

    CrossMAE: Fu et al., arXiv 2401.14391, section 3. The decoder's queries are mask tokens at the places of the patches
    to predict. In every block they attend to the encoder's tokens, and never to each other. So a step may predict only
    a subset S of the hidden patches, at proportional cost; the loss of an example is

        1 / |S| Σ_{i in S} 1 / P Σ_j (prediction_ij − target_ij)², S ⊂ hidden.

    The patches with the greatest noise are predicted. Outside training, as in `score` and `reconstruct`, all hidden
    patches are; predictions do not depend on each other.

    The paper's inter-block attention, where each decoder block attends to a learned mixture of the encoder's blocks, is
    left out: every decoder block attends to the encoder's output.

    Args:
        encoder, decoder: of `kerasae.networks.vit` with `decoder="cross"`.
        mask_ratio, normalize_targets, pixel_max, mask_group, target: as for `MaskedAutoencoder`.
        prediction_ratio: share of *all* patches that is predicted in a training step, rounded to whole patches; at most
            the share that is hidden.

    Raises:
        InputError: as for `MaskedAutoencoder`, and if the prediction ratio leaves no patch to predict or asks for more
            than are hidden.

    Example:
        >>> networks = kerasae.networks.vit_tiny((32, 32, 3), patch=4, decoder="cross")
        >>> model = CrossMaskedAutoencoder(*networks, prediction_ratio=0.25)
    """

    decoders = ("cross",)

    def __init__(
        self,
        encoder,
        decoder,
        mask_ratio=0.75,
        normalize_targets=True,
        pixel_max=255.0,
        mask_group=1,
        target=None,
        prediction_ratio=0.25,
        **kwargs,
    ):
        super().__init__(encoder, decoder, mask_ratio, normalize_targets, pixel_max, mask_group, target, **kwargs)
        self.prediction_ratio = float(prediction_ratio)
        self.predicted = self._predicted_count()

    def _predict(self, tokens, ids_restore, training, some):
        # Predict the patches with the greatest noise: the last of "visible patches, then hidden ones".
        ids = ops.argsort(ids_restore, axis=-1)[:, -self.predicted :] if some else None
        out = {} if ids is None else {"ids": ids}
        x = tokens
        for layer in self._decoding:
            known = {"ids": ids} if isinstance(layer, MaskQueries) else {}
            x = layer((x, tokens) if isinstance(layer, CrossBlock) else x, training=training, **known)
        return {**out, "prediction": ops.cast(x, "float32")}

    def _predicted_count(self):
        count, ratio = self.patches_shape[0], self.prediction_ratio
        hidden = count - self.visible
        predicted = round(count * ratio) if 0.0 < ratio <= 1.0 else 0
        if not 1 <= predicted <= hidden:
            raise InputError(
                f"prediction_ratio must choose at least 1 of the {count} patches and at most the {hidden} that are "
                f"hidden. Received: prediction_ratio={ratio}"
            )
        return predicted
