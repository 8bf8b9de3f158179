"""A plain convolutional encoder of patches with batch norm, and its decoder: for few images and few cores."""

from kerasae.errors import InputError
from kerasae.layers import ConvBlock
from kerasae.networks.convolutional_pair import check_code, convolutional_pair
from kerasae.networks.shapes import check_positive, check_shape
from kerasae.ops.patches import sides_of


def vgg(
    shape,
    patch=8,
    *,
    code=None,
    widths=None,
    kernel=3,
    decoder_width=128,
    decoder_depth=2,
    pooling="mean",
    code_activation=None,
    posterior=None,
    pixel_parameters=1,
    mean=0.0,
    std=1.0,
    name="vgg",
):
    """Build an encoder of `ConvBlock`s, between which the image is halved, and a decoder that predicts patches.

    After Simonyan and Zisserman, arXiv 1409.1556, with one convolution for each resolution and batch norm. A place of
    the last map stands for a patch of the image, as in `convnext`.

    Args:
        shape: (H, W, C) of an image. Where the patch does not divide it, zeros are added below and on the right, and
            the decoder crops them; a masked autoencoder needs a patch that divides it.
        patch: stride of the whole encoder, 2^n: n blocks pool, and one more does not.
        widths: channels of the n + 1 blocks; 64, doubled by every block up to 512, when not given.
        kernel: side of the kernels.
        decoder_width, decoder_depth: channels and number of the decoder's blocks.
        code, pooling, code_activation, posterior, pixel_parameters, mean, std, name: as for `convnext`.

    Returns:
        (encoder, decoder): functional models, [B, H, W, C] → code and code → [B, H, W, C·pixel_parameters].

    Raises:
        InputError: for a shape that is no image, a patch that is no power of two, another number of widths than blocks,
            or a posterior or an activation of a code that has no length.

    Example:
        >>> encoder, decoder = vgg((32, 32, 3), patch=8)  # 64, 128, 256 and 512 channels
    """
    shape, side = check_shape("vgg", shape, (3,)), sides_of(patch, 2)
    widths = widths_of(side, widths)
    check_positive("vgg", widths=widths, kernel=kernel, pixel_parameters=pixel_parameters)
    check_positive("vgg", decoder_width=decoder_width, decoder_depth=decoder_depth)
    check_code("vgg", code, pooling, posterior, code_activation)
    return convolutional_pair(
        shape,
        side,
        stages=lambda x: blocks(x, widths, kernel, name),
        block=lambda layer: ConvBlock(decoder_width, kernel, name=layer),
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


def blocks(x, widths, kernel, name):
    """Apply the encoder's blocks, all but the last with pooling: [B, H, W, C] → [B, rows, columns, widths[-1]]."""
    for i, width in enumerate(widths):
        x = ConvBlock(width, kernel, pool=i + 1 < len(widths), name=f"{name}_block_{i}")(x)
    return x


def widths_of(side, widths):
    """Choose the channels of the blocks, one more than the patch has halvings."""
    height, width = side
    halvings = height.bit_length() - 1
    if height != width or height != 2**halvings:
        raise InputError(f"vgg: patch must be a power of two, the same in both directions. Received: patch={side}")
    if widths is None:
        return tuple(min(512, 64 * 2**i) for i in range(halvings + 1))
    if len(widths) != halvings + 1:
        raise InputError(
            f"vgg: a patch of {height} takes {halvings + 1} widths, one more than it has halvings. "
            f"Received: widths={tuple(widths)}"
        )
    return tuple(widths)
