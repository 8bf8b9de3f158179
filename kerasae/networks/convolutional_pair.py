"""Pairs of a convolutional encoder, of which a place of the last map stands for a patch, and its decoder."""

import math

import keras
from keras import layers

from kerasae.errors import InputError
from kerasae.layers import Images, Patches, TokenNorm, TokenPooling
from kerasae.networks.inputs import encoder_outputs
from kerasae.networks.shapes import check_positive
from kerasae.ops.patches import grid_of


def convolutional_pair(
    shape,
    patch,
    stages,
    block,
    *,
    decoder_width,
    decoder_depth,
    pooling,
    code,
    code_activation,
    posterior,
    pixel_parameters,
    standard,
    name,
):
    """Build an encoder whose last map has a place for every patch, and the decoder of blocks on that map.

    Args:
        shape: (H, W, C) of an image; zeros are added where the patch does not divide it, and cropped by the decoder.
        patch: (height, width).
        stages: function of the standardised images [B, H, W, C] → [B, rows, columns, D].
        block: function of a layer's name that builds one of the `decoder_depth` blocks.
        standard: mean and std by which images are standardised.
        decoder_width, pooling, code, code_activation, posterior, pixel_parameters, name: as for `convnext`.
    """
    whole = tuple(-(-n // p) * p for n, p in zip(shape[:2], patch, strict=True))
    grid = grid_of(whole, patch)
    added = None if whole == shape[:2] else tuple((0, n - old) for n, old in zip(whole, shape[:2], strict=True))
    places = {"patch": patch, "grid": grid, "added": added}
    head = None if code is None else (encoder_outputs(code, posterior), code_activation)
    encoder = encoder_of(shape, **places, standard=standard, stages=stages, pooling=pooling, code=head, name=name)
    inputs = keras.Input(encoder.output_shape[1:] if code is None else (code,))
    x = decoder_map(inputs, grid, decoder_width, code is not None, name)
    for i in range(decoder_depth):
        x = block(f"{name}_decoder_block_{i}")(x)
    x = predicted(x, **places, channels=shape[-1] * pixel_parameters, name=name)
    return encoder, keras.Model(inputs, x, name=f"{name}_decoder")


def encoder_of(shape, patch, grid, added, standard, stages, pooling, code, name):
    """Build the encoder: standardisation, stages, pooling, and a linear layer of `code`, (units, activation)."""
    x = inputs = keras.Input(shape)
    if added:
        x = layers.ZeroPadding2D(added, name=f"{name}_pad")(x)
    # Pixels keep float32 in mixed precision: they are also the target.
    x = Patches(patch, **standard, name=f"{name}_patches", dtype="float32")(x)
    x = stages(Images(patch, grid, name=f"{name}_standardised", dtype="float32")(x))
    x = layers.Reshape((math.prod(grid), x.shape[-1]), name=f"{name}_places")(x)
    if pooling is not None:
        x = TokenPooling(pooling, class_token=False, name=f"{name}_pool")(x)
    if code is not None:
        x = layers.Dense(*code, name=f"{name}_code")(x)
    return keras.Model(inputs, x, name=f"{name}_encoder")


def decoder_map(x, grid, width, own_length, name):
    """Map a code, or the features of all places, to the decoder's first map: [B, rows, columns, width]."""
    count = math.prod(grid)
    if own_length:
        x = layers.Dense(count * width, name=f"{name}_decoder_grid")(x)
    else:
        x = layers.RepeatVector(count, name=f"{name}_decoder_repeat")(x) if len(x.shape) == 2 else x
        x = layers.Dense(width, name=f"{name}_decoder_embed")(x)
    return layers.Reshape((*grid, width), name=f"{name}_decoder_map")(x)


def predicted(x, patch, grid, added, channels, name):
    """Predict the patch of every place by a linear layer: [B, rows, columns, width] → [B, H, W, channels]."""
    x = TokenNorm(name=f"{name}_decoder_norm")(x)
    x = layers.Reshape((math.prod(grid), x.shape[-1]), name=f"{name}_decoder_places")(x)
    x = layers.Dense(math.prod(patch) * channels, name=f"{name}_decoder_pred")(x)
    x = Images(patch, grid, name=f"{name}_decoder_images", dtype="float32")(x)
    return layers.Cropping2D(added, name=f"{name}_decoder_crop")(x) if added else x


def check_code(network, code, pooling, posterior, code_activation):
    """Raise InputError for a code that cannot be built."""
    if pooling not in ("mean", None):
        raise InputError(f"{network}: pooling must be 'mean' or None. Received: pooling={pooling!r}")
    if code is None and (posterior is not None or code_activation is not None):
        raise InputError(f"{network}: a posterior or a code_activation needs a length of the code; give code")
    if code is not None:
        check_positive(network, code=code)
        if pooling is None:
            raise InputError(f"{network}: a code of some length is made of pooled features; give pooling='mean'")
