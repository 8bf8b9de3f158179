"""The features of an encoder at every place of an image, before they are pooled to a code."""

import keras

from kerasae.errors import InputError
from kerasae.layers import Patches, TokenPooling


def unpool(encoder):
    """Leave out the pooling of an encoder of `vit` or `convnext`; its layers are shared.

    Args:
        encoder: functional model [B, H, W, C] → code, or already tokens.

    Returns:
        A functional model [B, H, W, C] → tokens [B, (1 +) N, D], the class token first where there is one.

    Raises:
        InputError: the encoder cuts no image into patches, or gives no tokens even without its pooling.

    Example:
        >>> tokens = unpool(encoder)
    """
    patches_of(encoder)
    pooling = next((layer for layer in encoder.layers if isinstance(layer, TokenPooling)), None)
    found = encoder if pooling is None else keras.Model(encoder.inputs[0], pooling.input, name=encoder.name)
    if len(found.output_shape) != 3:
        raise InputError(f"unpool: expected an encoder of tokens [B, T, D]. Received: codes {found.output_shape[1:]}")
    return found


def patches_of(encoder):
    """Return the `kerasae.layers.Patches` of an encoder of images; raises InputError where it has none."""
    found = next((layer for layer in encoder.layers if isinstance(layer, Patches)), None)
    if found is None or len(encoder.input_shape) != 4:
        raise InputError(
            "encoder: expected one of images in patches, of kerasae.networks.vit or convnext. "
            f"Received: {encoder.name}, of examples {encoder.input_shape[1:]}"
        )
    return found
