"""ConvNeXt V2: a convolutional encoder of patches without batch norm, and its decoder."""

from keras import layers

from kerasae.errors import InputError
from kerasae.layers import ConvNextBlock, TokenNorm
from kerasae.networks.convolutional_pair import check_code, convolutional_pair
from kerasae.networks.shapes import check_positive, check_shape
from kerasae.ops.patches import sides_of


def convnext(
    shape,
    patch=4,
    *,
    code=None,
    widths=(64, 128),
    depths=(2, 6),
    kernel=7,
    expansion=4.0,
    decoder_width=128,
    decoder_depth=1,
    pooling="mean",
    drop_path=0.0,
    code_activation=None,
    posterior=None,
    pixel_parameters=1,
    mean=0.0,
    std=1.0,
    name="convnext",
):
    """Build a ConvNeXt V2 encoder and a decoder that predicts patches from its last map.

    Woo et al., arXiv 2301.00808. A stem cuts the image into small patches; stages of `ConvNextBlock` follow, between
    them a convolution of stride 2, so that a place of the last map stands for a patch of the image. Places are
    normalised over their channels, never over a batch. The decoder is `decoder_depth` blocks on the last map's grid and
    a linear layer from every place to its patch.

    Args:
        shape: (H, W, C) of an image. Where the patch does not divide it, zeros are added below and on the right, and
            the decoder crops them; a masked autoencoder needs a patch that divides it.
        patch: stride of the whole encoder, a number or (height, width); 2^(stages − 1) must divide it. What is left
            after the stages' halvings is the stride of the stem.
        code: None for the pooled features themselves, or the length Z of a code behind a linear layer.
        widths, depths: channels and number of blocks of each stage.
        kernel: side of the depthwise kernels.
        expansion: hidden width of the blocks' networks over their channels.
        decoder_width, decoder_depth: channels and number of the decoder's blocks.
        pooling: without a length of the code: "mean" of all places' normalised features, [B, D], or None for all of
            them, [B, N, D], row by row. A decoder of pooled features starts from the same ones in every place.
        drop_path: rate at which the encoder's last block drops its branch in training; it rises linearly from 0.
        code_activation: of a code of length Z.
        posterior: of a code of length Z: None, or the posterior whose parameters the encoder gives, as for `conv`.
        pixel_parameters: numbers per input value that the likelihood needs.
        mean, std: as for `vit`.
        name: prefix of the layers' names.

    Returns:
        (encoder, decoder): functional models, [B, H, W, C] → code and code → [B, H, W, C·pixel_parameters].

    Raises:
        InputError: for a shape that is no image, a patch that the stages do not divide, or depths that do not go with
            the widths, or a posterior or an activation of a code that has no length.

    Example:
        >>> encoder, decoder = convnext((32, 32, 3), patch=4, widths=(64, 128), depths=(2, 6))
    """
    shape, patch = check_shape("convnext", shape, (3,)), sides_of(patch, 2)
    check_positive("convnext", widths=widths, depths=depths, kernel=kernel, pixel_parameters=pixel_parameters)
    check_positive("convnext", decoder_width=decoder_width, decoder_depth=decoder_depth)
    check_code("convnext", code, pooling, posterior, code_activation)
    stem = stem_of(patch, widths, depths)
    return convolutional_pair(
        shape,
        patch,
        stages=lambda x: stages(x, stem, widths, depths, kernel, expansion, drop_path, name),
        block=lambda layer: ConvNextBlock(kernel, expansion, name=layer),
        decoder_width=decoder_width,
        decoder_depth=decoder_depth,
        pooling=pooling,
        code=code,
        code_activation=code_activation,
        posterior=posterior,
        pixel_parameters=pixel_parameters,
        standard={"mean": mean, "std": std},
        name=name,
    )


def stages(x, stem, widths, depths, kernel, expansion, drop_path, name):
    """Apply the stem, the stages and the last normalisation: [B, H, W, C] → [B, rows, columns, widths[-1]]."""
    x = layers.Conv2D(widths[0], stem, stem, name=f"{name}_stem")(x)
    x = TokenNorm(name=f"{name}_stem_norm")(x)
    block = 0
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if stage:
            x = TokenNorm(name=f"{name}_down_norm_{stage}")(x)
            x = layers.Conv2D(width, 2, 2, name=f"{name}_down_{stage}")(x)
        for _ in range(depth):
            rate = drop_path * block / max(1, sum(depths) - 1)
            x = ConvNextBlock(kernel, expansion, rate, name=f"{name}_block_{block}")(x)
            block += 1
    return TokenNorm(name=f"{name}_norm")(x)


def stem_of(patch, widths, depths):
    """Compute the stride of the stem, (height, width): the patch divided by the halvings between the stages."""
    if len(widths) != len(depths) or not widths:
        raise InputError(
            f"convnext: widths and depths must name the same stages, at least one. Received: widths={tuple(widths)}, "
            f"depths={tuple(depths)}"
        )
    halvings = 2 ** (len(widths) - 1)
    if any(side % halvings for side in patch):
        raise InputError(
            f"convnext: patch must be a multiple of {halvings}, as {len(widths)} stages halve {len(widths) - 1} times. "
            f"Received: patch={patch}; use fewer stages or larger patches"
        )
    return tuple(side // halvings for side in patch)


def convnext_mini(shape, patch=4, **options):
    """Build `convnext` for small images and few cores: 2 and 6 blocks of 64 and 128 channels, 0.9 million weights."""
    return convnext(shape, patch, **{"widths": (64, 128), "depths": (2, 6), **options})


def convnext_atto(shape, patch=32, **options):
    """Build ConvNeXt V2-A of Woo et al., arXiv 2301.00808: 3.4 million weights; takes `convnext`'s options."""
    sizes = {"widths": (40, 80, 160, 320), "depths": (2, 2, 6, 2), "decoder_width": 512}
    return convnext(shape, patch, **{**sizes, **options})


def convnext_tiny(shape, patch=32, **options):
    """Build ConvNeXt V2-T of the same paper: 27.9 million weights; takes `convnext`'s options."""
    sizes = {"widths": (96, 192, 384, 768), "depths": (3, 3, 9, 3), "decoder_width": 512}
    return convnext(shape, patch, **{**sizes, **options})
