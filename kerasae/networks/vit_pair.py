"""Vision transformers: an encoder of patches and the decoders of masked autoencoders."""

import math

import keras
import numpy as np
from keras import layers

from kerasae.errors import InputError
from kerasae.layers import (
    CrossBlock,
    Images,
    MaskQueries,
    Patches,
    PatchTokens,
    Positioned,
    RestoredTokens,
    TokenNorm,
    TokenPooling,
    TransformerBlock,
)
from kerasae.networks.shapes import check_positive, check_shape
from kerasae.ops import resize_positions
from kerasae.ops.patches import adapt_channels, by, grid_of, sides_of


def vit(
    shape,
    patch=16,
    *,
    width=192,
    depth=12,
    heads=3,
    decoder="deep",
    decoder_width=512,
    decoder_depth=8,
    decoder_heads=16,
    mlp_ratio=4.0,
    class_token=True,
    pooling="mean",
    learned_positions=False,
    drop_path=0.0,
    layer_scale=None,
    mean=0.0,
    std=1.0,
    name="vit",
):
    """Build a vision transformer encoder and a decoder that predicts hidden patches, of images, signals or volumes.

    Encoder: Dosovitskiy et al., arXiv 2010.11929; decoder: He et al., arXiv 2111.06377, section 3. Both are chains of
    layers, which `kerasae.models.MaskedAutoencoder` also runs on the visible patches alone.

    Args:
        shape: (H, W, C) of an image, (T, C) of a signal, or (D1, D2, D3, C) of a volume.
        patch: one side for all axes, or one for each, (height, width) of an image; it must divide the example.
        width, depth, heads: width D of the encoder's tokens, number of blocks, heads of their attention.
        decoder: kind of the decoder of hidden patches.
            "deep": self-attention between visible and mask tokens, `decoder_depth` blocks, the paper's;
            "shallow": the same with one block, whatever the depth; ViT-L lost 0.1 points fine-tuned by it, 8 when
            probed linearly (table 1a);
            "cross": mask tokens attend to the encoder's tokens, not to each other; for `CrossMaskedAutoencoder`;
            "linear": one linear layer on the encoder's tokens; for `SimMIM`.
        decoder_width, decoder_depth, decoder_heads: the same for the decoder; "linear" ignores them.
        mlp_ratio: hidden width of the blocks' networks over the width of the tokens.
        class_token: whether the sequence starts with a learned class token.
        pooling: the code: "mean" of the patches' tokens or "class" token, [B, D], or None for all tokens, [B, T, D],
            T = N (+ 1). A decoder of pooled codes starts from the same token in every place.
        learned_positions: False for fixed sin-cos positions, True to learn them.
        drop_path: rate at which the encoder's last block drops a branch in training; it rises linearly from 0.
        layer_scale: None, or what the encoder's learned factor of every branch and channel starts from.
        mean, std: of the values in [0, 1], one number or one per channel; the encoder sees (x − mean) / std, and the
            decoder gives images in these units; 0 and 1 where the model standardises the values itself.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, *shape] → code and code → [B, *shape].

    Raises:
        InputError: if the patch does not divide the image (names the nearest sizes), the heads do not divide the
            width, mean and std do not fit the channels, or the decoder is none of the four.

    Example:
        >>> encoder, decoder = vit((32, 32, 3), patch=4, width=192, depth=12, heads=3)
    """
    shape = check_shape("vit", shape, (2, 3, 4))
    patch = sides_of(patch, len(shape) - 1)
    check_positive("vit", width=width, depth=depth, heads=heads)
    check_positive("vit", decoder_width=decoder_width, decoder_depth=decoder_depth, decoder_heads=decoder_heads)
    if decoder not in DECODERS:
        raise InputError(f"vit: decoder must be one of {', '.join(DECODERS)}. Received: decoder={decoder!r}")
    place = {"grid": grid_of(shape[:-1], patch), "class_token": class_token, "learned": learned_positions}
    # Pixels keep float32 in mixed precision, as they are also the target.
    x = inputs = keras.Input(shape)
    x = Patches(patch, mean, std, name=f"{name}_patches", dtype="float32")(x)
    x = layers.Dense(width, name=f"{name}_embed")(x)
    x = PatchTokens(**place, name=f"{name}_tokens")(x)
    for i in range(depth):
        rate = drop_path * i / max(1, depth - 1)
        x = TransformerBlock(heads, mlp_ratio, rate, layer_scale, name=f"{name}_block_{i}")(x)
    x = TokenNorm(name=f"{name}_norm")(x)
    count = x.shape[1]
    if pooling is not None:
        x = TokenPooling(pooling, class_token, name=f"{name}_pool")(x)
    encoder = keras.Model(inputs, x, name=f"{name}_encoder")

    x = inputs = keras.Input(encoder.output_shape[1:])
    if pooling is not None:
        x = layers.RepeatVector(count, name=f"{name}_decoder_repeat")(x)
    sizes = {"width": decoder_width, "depth": decoder_depth, "heads": decoder_heads, "mlp_ratio": mlp_ratio}
    x = DECODERS[decoder](x, place, name=f"{name}_decoder", **sizes)
    x = layers.Dense(math.prod(patch) * shape[-1], name=f"{name}_decoder_pred")(x)
    x = Images(patch, place["grid"], name=f"{name}_decoder_images", dtype="float32")(x)
    return encoder, keras.Model(inputs, x, name=f"{name}_decoder")


def deep_decoder(x, place, width, depth, heads, mlp_ratio, name):
    """Apply self-attention blocks to the tokens of visible patches and mask tokens: [B, T, E] → [B, T, width]."""
    x = layers.Dense(width, name=f"{name}_embed")(x)
    x = RestoredTokens(**place, name=f"{name}_tokens")(x)
    for i in range(depth):
        x = TransformerBlock(heads, mlp_ratio, name=f"{name}_block_{i}")(x)
    return TokenNorm(name=f"{name}_norm")(x)


def shallow_decoder(x, place, width, depth, heads, mlp_ratio, name):
    """Apply the deep decoder with one block: [B, T, E] → [B, T, width]."""
    return deep_decoder(x, place, width, 1, heads, mlp_ratio, name)


def cross_decoder(x, place, width, depth, heads, mlp_ratio, name):
    """Apply cross-attention from mask tokens to tokens: Fu et al., arXiv 2401.14391; [B, T, E] → [B, N, width]."""
    queries = MaskQueries(width, place["grid"], place["learned"], name=f"{name}_queries")(x)
    for i in range(depth):
        queries = CrossBlock(heads, mlp_ratio, name=f"{name}_block_{i}")((queries, x))
    return TokenNorm(name=f"{name}_norm")(queries)


def linear_decoder(x, place, width, depth, heads, mlp_ratio, name):
    """Return x for the last linear layer, without blocks: Xie et al., arXiv 2111.09886, section 3.3."""
    return x


DECODERS = {"deep": deep_decoder, "shallow": shallow_decoder, "cross": cross_decoder, "linear": linear_decoder}


def vit_tiny(shape, patch=16, **options):
    """`vit` with 12 blocks of width 192 and 3 heads, 5.4 million weights; decoder 192×4. Takes all its options."""
    decoder = {"decoder_width": 192, "decoder_depth": 4, "decoder_heads": 3}
    return vit(shape, patch, **{"width": 192, "depth": 12, "heads": 3, **decoder, **options})


def vit_small(shape, patch=16, **options):
    """`vit` with 12 blocks of width 384 and 6 heads, 21.3 million weights; decoder 256×4. Takes all its options."""
    decoder = {"decoder_width": 256, "decoder_depth": 4, "decoder_heads": 8}
    return vit(shape, patch, **{"width": 384, "depth": 12, "heads": 6, **decoder, **options})


def vit_base(shape, patch=16, **options):
    """ViT-B of He et al., arXiv 2111.06377: 12 blocks of width 768, 12 heads; decoder 512×8. Takes `vit`'s options."""
    return vit(shape, patch, **{"width": 768, "depth": 12, "heads": 12, **options})


def vit_large(shape, patch=16, **options):
    """ViT-L of He et al., arXiv 2111.06377: 24 blocks of width 1024, 16 heads; decoder 512×8. Takes `vit`'s options."""
    return vit(shape, patch, **{"width": 1024, "depth": 24, "heads": 16, **options})


def vit_huge(shape, patch=14, **options):
    """ViT-H of He et al., arXiv 2111.06377: 32 blocks of width 1280, 16 heads; decoder 512×8. Takes `vit`'s options."""
    return vit(shape, patch, **{"width": 1280, "depth": 32, "heads": 16, **options})


def pool_vit(encoder, pooling):
    """Change the pooling of an encoder of `vit`; its layers are shared.

    Args:
        encoder: an encoder of `vit`.
        pooling: "mean" of the patches' normalised tokens, "class" for the class token's, or "mean_norm" for the mean
            of the last block's tokens, normalised by a new layer in place of the encoder's last, as He et al., arXiv
            2111.06377, fine-tune.

    Returns:
        A functional model [B, H, W, C] → code [B, D].

    Raises:
        InputError: if the encoder is not made by `vit`, or lacks the class token.

    Example:
        >>> features = pool_vit(encoder, "mean_norm")
    """
    blocks = [layer for layer in encoder.layers if isinstance(layer, TransformerBlock)]
    norm = next((layer for layer in encoder.layers if isinstance(layer, TokenNorm)), None)
    if not blocks or norm is None:
        raise InputError(f"pool_vit: expected an encoder of kerasae.networks.vit. Received: {encoder!r}")
    after = pooling == "mean_norm"
    tokens, options = (blocks[-1] if after else norm).output, {"dtype": norm.dtype_policy}
    images, patch = _images_of(encoder)
    class_token = tokens.shape[1] > math.prod(grid_of(images[:-1], patch))
    x = TokenPooling("mean" if after else pooling, class_token, name=f"{encoder.name}_{pooling}", **options)(tokens)
    if after:
        x = TokenNorm(epsilon=norm.epsilon, name=f"{encoder.name}_fc_norm", **options)(x)
    return keras.Model(encoder.inputs[0], x, name=encoder.name)


def resize_vit(network, shape, mean=None, std=None):
    """Copy an encoder or decoder for images of another shape, with its positions interpolated.

    Dosovitskiy et al., arXiv 2010.11929, section 3.2. The layer next to the patches is adapted to another number of
    channels by `kerasae.ops.adapt_channels`; all other weights are copied unchanged.

    Args:
        network: an encoder or a decoder of `vit`.
        shape: of the new images, signals or volumes, with as many axes as the old.
        mean, std: of the new images, as for `vit`; None keeps what the encoder subtracts and divides by.

    Returns:
        A functional model with weights of its own.

    Raises:
        InputError: if the patch does not divide the new size, the shapes have different numbers of axes, or mean and
            std do not fit the channels.

    Example:
        >>> larger = resize_vit(encoder, (48, 32, 3))
    """
    shape, chain = check_shape("resize_vit", shape, (2, 3, 4)), network.layers[1:]
    images, patch = _images_of(network)
    if len(shape) != len(images):
        raise InputError(f"resize_vit: a network of examples {by(images)} cannot be resized to {by(shape)}")
    grid = grid_of(shape[:-1], patch)
    last = chain[-2] if isinstance(chain[-1], Images) else None  # the layer that predicts the patches of a decoder
    count = math.prod(grid) + _tokens_of(network) - math.prod(grid_of(images[:-1], patch))
    code = network.input_shape[1:]  # of a decoder; a pooled code does not depend on the image size
    x = inputs = keras.Input(shape if isinstance(chain[0], Patches) else (count, *code[1:]) if code[1:] else code)
    for layer in chain:
        if isinstance(layer, MaskQueries):
            tokens = x
        changes = {"mean": mean, "std": std} | (
            {"units": layer.units // images[-1] * shape[-1]} if layer is last else {}
        )
        x = _for_grid(layer, grid, count, **changes)((x, tokens) if isinstance(layer, CrossBlock) else x)
    resized = keras.Model(inputs, x, name=network.name)
    for old, new in zip(network.weights, resized.weights, strict=True):
        if new.shape == old.shape:
            new.assign(old)
        elif not old.path.endswith("positions"):
            new.assign(adapt_channels(old, images[-1], shape[-1], -1 if last else 0, inputs=last is None))
    for old, new in zip(chain, resized.layers[1:], strict=True):
        if isinstance(old, Positioned):
            new.positions.assign(_interpolated(old, grid))
    return resized


def _images_of(network):
    """Find the image shape, without the batch, and the patch of an encoder or a decoder."""
    for layer in network.layers:
        if isinstance(layer, Patches | Images):
            shape = network.input_shape if isinstance(layer, Patches) else network.output_shape
            return shape[1:], layer.patch
    raise InputError(f"resize_vit: expected an encoder or a decoder of kerasae.networks.vit. Received: {network!r}")


def _tokens_of(network):
    """Count the tokens, with the class token, that an encoder outputs or a decoder takes."""
    for layer in network.layers:
        if isinstance(layer, PatchTokens):
            return layer.output.shape[1]
        if isinstance(layer, layers.RepeatVector):
            return layer.n
    return network.input_shape[1]


def _for_grid(layer, grid, count, **changes):
    """Copy a layer's configuration for another grid of patches and `count` tokens, with changes that it knows."""
    config = layer.get_config()
    config |= {name: value for name, value in changes.items() if name in config and value is not None}
    if "grid" in config:
        config["grid"] = grid
    if isinstance(layer, layers.RepeatVector):
        config["n"] = count
    return type(layer).from_config(config)


def _interpolated(layer, grid):
    positions, first = np.asarray(layer.positions)[0], int(layer.class_token)
    places = resize_positions(positions[first:], layer.grid, grid)
    return np.concatenate([positions[:first], np.asarray(places)])[None]
