"""Residual convolutional encoder and decoder without a bottleneck, for denoising images of any size."""

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.layers import DepthToSpace, LeadingSum, SpaceToDepth
from kerasae.networks.shapes import check_positive, check_shape

FREE = (layers.InputLayer, layers.Conv2D, layers.Add, layers.Concatenate, layers.Activation)
"""Layers that do not depend on the size of the image, beside those of `kerasae.layers`."""


def residual(shape, code=32, blocks=2, *, shrink=2, activation="relu", kernel_regularizer=None, name="residual"):
    """Build a fully convolutional encoder and decoder that predict what is to be added to a noisy image.

    Pixels are moved to channels (FFDNet: Zhang, Zuo and Zhang, arXiv 1710.04026, section III-B), and maps of `code`
    channels are computed by residual blocks x + conv₃(f(conv₃(x))) without normalisation (EDSR: Lim et al., arXiv
    1707.02921, section 3.1). The code is the image as channels and the encoder's last map, as wide as the image: it
    compresses nothing. The decoder adds its prediction to the image (DnCNN: Zhang et al., arXiv 1608.03981, section
    III-A). Its last kernel starts at zero, so that training starts at the identity. No layer has a bias: with ReLU a
    brighter image gives a brighter result, f(αx) = α f(x), and one network serves all levels of noise (Mohan et al.,
    arXiv 1906.05478, section 4).

    Args:
        shape: (H, W, C) of an image; `shrink` divides both sides.
        code: channels D of every map.
        blocks: residual blocks in the encoder, and as many in the decoder; from 1 up.
        shrink: side of the blocks of pixels that become channels; 1 for none.
        activation: f, of the hidden layers.
        kernel_regularizer: of every kernel, added to the loss.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, H, W, C] → [B, H/shrink, W/shrink, shrink²·C + D], and back.

    Raises:
        InputError: for a shape that is no image or that `shrink` does not divide, or sizes that are not positive.

    Example:
        >>> encoder, decoder = residual((32, 32, 3), code=32, blocks=2)
        >>> model = DenoisingAutoencoder(encoder, decoder, corruption=GaussianCorruption(0.5, least=0.05))
    """
    shape = check_shape("residual", shape, (3,))
    check_positive("residual", code=code, blocks=blocks, shrink=shrink)
    options = {"padding": "same", "use_bias": False, "kernel_regularizer": kernel_regularizer}
    inputs = keras.Input(shape)
    pixels = SpaceToDepth(shrink, name=f"{name}_to_channels", dtype="float32")(inputs)
    x = layers.Conv2D(code, 3, **options, name=f"{name}_encode_first")(pixels)
    x = _blocks(x, code, blocks, activation, options, f"{name}_encode")
    z = layers.Concatenate(name=f"{name}_code", dtype="float32")([pixels, x])
    encoder = keras.Model(inputs, z, name=f"{name}_encoder")
    inputs = keras.Input(z.shape[1:])
    x = layers.Conv2D(code, 3, **options, name=f"{name}_decode_first")(inputs)
    x = _blocks(x, code, blocks, activation, options, f"{name}_decode")
    x = layers.Conv2D(pixels.shape[-1], 3, **options, kernel_initializer="zeros", name=f"{name}_decode_last")(x)
    x = LeadingSum(name=f"{name}_sum", dtype="float32")([inputs, x])
    x = DepthToSpace(shrink, name=f"{name}_to_pixels", dtype="float32")(x)
    return encoder, keras.Model(inputs, x, name=f"{name}_decoder")


def _blocks(x, channels, count, activation, options, name):
    for i in range(1, count + 1):
        y = layers.Conv2D(channels, 3, activation=activation, **options, name=f"{name}_{i}_wide")(x)
        y = layers.Conv2D(channels, 3, **options, name=f"{name}_{i}_back")(y)
        x = layers.Add(name=f"{name}_{i}_add")([x, y])
    return x


def is_size_free(network):
    """Tell whether a network takes images of any size: it is made of convolutions of stride 1 and shuffled pixels."""
    own = (SpaceToDepth, DepthToSpace, LeadingSum)
    return all(
        isinstance(layer, (*FREE, *own)) and getattr(layer, "strides", (1, 1)) == (1, 1) for layer in network.layers
    )


def reach(network):
    """Bound how many pixels around a pixel an output of a `residual` network depends on: its receptive field's radius.

    Example:
        >>> reach(residual((8, 8, 1), 4, blocks=1)[0])  # 3 convolutions of 3×3 on blocks of 2×2 pixels
        7
    """
    shrink = block_of(network)
    return (
        shrink
        - 1
        + shrink * sum(max(layer.kernel_size) // 2 for layer in network.layers if isinstance(layer, layers.Conv2D))
    )


def block_of(network):
    """Find the side of the blocks of pixels that a `residual` network moves to channels."""
    return next((layer.block for layer in network.layers if isinstance(layer, SpaceToDepth | DepthToSpace)), 1)


def resize_residual(network, shape):
    """Rebuild an encoder or decoder of `residual` for inputs of another size; it shares the network's weights.

    Args:
        network: of `residual`.
        shape: shape of its input, without the batch; sides may be None, for any size.

    Raises:
        InputError: if the network has layers that depend on the size of the image, or other channels.

    Example:
        >>> larger = resize_residual(encoder, (None, None, 3))
    """
    if not is_size_free(network) or network.input_shape[-1] != shape[-1]:
        raise InputError(
            "resize_residual: expected an encoder or a decoder of kerasae.networks.residual for "
            f"{network.input_shape[-1]} channels. Received: {network!r}, shape={tuple(shape)}"
        )
    return keras.models.clone_model(network, input_tensors=keras.Input(shape), clone_function=lambda layer: layer)
