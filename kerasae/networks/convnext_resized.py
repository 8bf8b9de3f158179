"""ConvNeXt encoders and decoders for images of another size."""

import math

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.layers import Images, Patches
from kerasae.networks.shapes import check_shape
from kerasae.ops.patches import grid_of


def resize_convnext(network, shape):
    """Copy an encoder or a decoder for images of another height and width; all weights stay as they are.

    Args:
        network: an encoder or a decoder of `convnext` whose patch divides its images, without a code of its own length
            where it is a decoder.
        shape: (H, W, C) of the new images, which the patch divides; C as before.

    Returns:
        A functional model with weights of its own.

    Raises:
        InputError: if the network is none of these, the patch does not divide the new size, or the channels differ.

    Example:
        >>> larger = resize_convnext(encoder, (48, 32, 3))
    """
    shape, chain = check_shape("resize_convnext", shape, (3,)), network.layers[1:]
    images = next((layer for layer in chain if isinstance(layer, Images)), None)
    padded = isinstance(chain[0], layers.ZeroPadding2D) or isinstance(chain[-1], layers.Cropping2D)
    of_one_size = isinstance(chain[0], layers.Dense) and len(network.input_shape) == 2
    if images is None or padded or of_one_size:
        raise InputError(
            "resize_convnext: expected an encoder or a decoder of kerasae.networks.convnext, whose patch divides its "
            f"images and whose decoder takes features and no code of a length of its own. Received: {network!r}"
        )
    if images.output.shape[-1] != shape[-1]:
        raise InputError(
            f"resize_convnext: shape {shape} has {shape[-1]} channels, but {network.name} has {images.output.shape[-1]}"
        )
    grid, code = grid_of(shape[:2], images.patch), network.input_shape[1:]
    encodes = isinstance(chain[0], Patches)
    x = inputs = keras.Input(shape if encodes else (math.prod(grid), *code[1:]) if code[1:] else code)
    for layer in chain:
        x = for_grid(layer, grid)(x)
    resized = keras.Model(inputs, x, name=network.name)
    resized.set_weights(network.get_weights())
    return resized


def for_grid(layer, grid):
    """Copy a layer, without its weights, for another grid of places."""
    config = layer.get_config()
    if isinstance(layer, Images):
        config["grid"] = grid
    elif isinstance(layer, layers.RepeatVector):
        config["n"] = math.prod(grid)
    elif isinstance(layer, layers.Reshape):
        *places, width = config["target_shape"]
        config["target_shape"] = (*(grid if len(places) == 2 else (math.prod(grid),)), width)
    return type(layer).from_config(config)
