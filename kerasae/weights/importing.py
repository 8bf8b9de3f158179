"""Build models from the weights of other projects."""

import logging
import math

import numpy as np

from kerasae import models, networks, ops
from kerasae.data.checks import fits_in_memory
from kerasae.errors import InputError
from kerasae.weights.layouts import decoder_shapes, encoder_shapes, layout_of, linear
from kerasae.weights.reading import read_encoder
from kerasae.weights.sizes import SizeReader
from kerasae.weights.slots import decoder_slots, encoder_slots, head_slots

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's channels, with which the reference project standardises images."""

logger = logging.getLogger(__name__)


def import_weights(
    file,
    *,
    prefix=None,
    image_size=None,
    heads=None,
    decoder_width=512,
    decoder_depth=8,
    decoder_heads=None,
    pooling="mean",
    mean=None,
    std=None,
    normalize_targets=None,
):
    """Build a model from weights of the reference masked autoencoders, of timm, or of transformers.

    He et al., arXiv 2111.06377. Shapes, depth and patch are read off the weights; number of heads, image size and
    standardisation also from `config.json` and `preprocessor_config.json` in the same folder. The file's content
    decides which model is built:

    - encoder and decoder: a `MaskedAutoencoder`;
    - an encoder alone: a `MaskedAutoencoder` whose decoder is *new*. The codes are those of the file's encoder;
      `reconstruct` and `score` mean nothing until the decoder is trained;
    - an encoder with a head: a `Classifier`, on the normalised mean of the tokens ("fc_norm") or on the class token.

    The encoder is found under whatever its names begin with, such as "state_dict.model." of a Lightning checkpoint or
    "teacher.backbone."; weights beside it are left out, which a warning says.

    The blocks compute with ε = 1e-6, as the reference does; a configuration that says 1e-12 differs by about 1e-6.

    Args:
        file: a file of weights, or a folder of transformers; see `read_weights`.
        prefix: what the names of the encoder to take begin with, where the file holds several, such as "teacher" or
            "student"; keys of nested dictionaries are joined by dots.
        image_size: height and width, or one number, of the model's images; position codes for another size are
            interpolated. None takes the file's size. It is needed where the positions make no square.
        heads, decoder_heads: number of heads, where neither a configuration nor the published sizes tell.
        decoder_width, decoder_depth: sizes of a new decoder, by default as published; a decoder in the file keeps its
            sizes.
        pooling: code of an encoder without head: "mean", "class" or None, as for `kerasae.networks.vit`.
        mean, std: mean and standard deviation of the images in [0, 1], one number or one per channel; None takes the
            values of `preprocessor_config.json`, or ImageNet's for three channels.
        normalize_targets: as for `MaskedAutoencoder`; None takes the configuration's value, or True.

    Returns:
        `kerasae.models.MaskedAutoencoder` or `kerasae.models.Classifier`.

    Raises:
        InputError: the file cannot be read, or holds several encoders and no prefix is given; a weight, which the
            message names, is missing, unexpected, not finite or of the wrong shape; or a size is neither in the file
            nor given.

    Example:
        >>> model = import_weights("mae_pretrain_vit_base.pth")
        >>> model.encode(images)  # uint8 [N, 224, 224, 3] → [N, 768]
    """
    checkpoint = read_encoder(file, prefix)
    size = None if image_size is None else height_and_width(image_size)
    layout = layout_of(checkpoint.tensors)
    new = {"decoder_width": decoder_width, "decoder_depth": decoder_depth}
    sizes = SizeReader(checkpoint, layout).measure(size, heads, decoder_heads, new)
    weights = reference_weights(checkpoint, layout, expected(sizes))
    options = standardisation(checkpoint, sizes, mean, std)
    encoder, decoder = build(sizes, weights, pooling, checkpoint.file, **options)
    if size and size != sizes.shape[:2]:
        places = math.prod(n // p for n, p in zip(size, sizes.patch, strict=True))
        nbytes = 16 * places * (sizes.width + sizes.decoder_width)
        fits_in_memory(nbytes, f"image_size: {places} positions", "give a smaller one")
        encoder, decoder = (networks.resize_vit(part, (*size, sizes.channels)) for part in (encoder, decoder))
    return wrap(encoder, decoder, sizes, weights, checkpoint, normalize_targets)


def height_and_width(image_size):
    """Convert an image size, one number or two, to (height, width)."""
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or any(not isinstance(n, int) or n < 1 for n in sides):
        raise InputError(f"image_size must be a positive whole number or (height, width). Received: {image_size}")
    return sides


def expected(sizes):
    """Compute the shape of every weight of a network of these sizes, by its name in the reference project."""
    shapes = encoder_shapes(sizes, "fc_norm" if sizes.pool_first else "norm")
    if sizes.decoder:
        shapes |= decoder_shapes(sizes)
    if sizes.classes:
        shapes |= linear("head", sizes.classes, sizes.width)
    return shapes


def reference_weights(checkpoint, layout, shapes):
    """Convert the weights to the reference project's names, float32; raises InputError for what does not fit."""
    parts = {name: layout.names(name) for name in shapes}
    wanted = {}
    for name, owns in parts.items():
        rows, *columns = shapes[name]
        wanted |= dict.fromkeys(owns, (rows // len(owns), *columns))
    check_shapes(checkpoint, wanted)
    arrays = {name: [floats(checkpoint, own) for own in owns] for name, owns in parts.items()}
    return {name: found[0] if len(found) == 1 else np.concatenate(found) for name, found in arrays.items()}


def check_shapes(checkpoint, wanted):
    """Raise InputError if weights are missing, unexpected or of the wrong shape."""
    # "pooler" is the tanh layer on the class token that transformers adds to a ViT; kerasae has none.
    given = {name: x.shape for name, x in checkpoint.tensors.items() if not name.startswith(("pooler.", "vit.pooler."))}
    odd = [f"{n} {given[n]} instead of {wanted[n]}" for n in wanted if n in given and given[n] != wanted[n]]
    troubles = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": odd,
    }
    said = [f"{trouble}: {', '.join(n[:3])}{', …' * (len(n) > 3)} ({len(n)})" for trouble, n in troubles.items() if n]
    if said:
        raise InputError(f"{checkpoint.file} does not fit a vision transformer of its sizes; weights {'; '.join(said)}")


def floats(checkpoint, name):
    """Convert a weight of the file to float32; raises InputError for integers, NaN or infinity."""
    stored = checkpoint.tensors[name]
    if stored.dtype.kind != "f" and stored.dtype.name != "bfloat16":
        raise InputError(f"{checkpoint.file}: {name} holds {stored.dtype}, no floating-point numbers")
    values = stored.astype("float32")
    if not np.isfinite(values).all():
        raise InputError(f"{checkpoint.file}: {name} holds NaN or infinity; the file is damaged")
    return values


# ---- networks


def build(sizes, weights, pooling, file, **options):
    """Build encoder and decoder and set their weights; without a decoder in the file, it is a new one."""
    encoder, decoder = networks.vit(
        sizes.shape,
        sizes.patch,
        width=sizes.width,
        depth=sizes.depth,
        heads=sizes.heads,
        **decoder_options(sizes),
        mlp_ratio=mlp_ratio(sizes, file),
        pooling=pooling if sizes.classes is None else "class",
        learned_positions=not fixed_positions(sizes, weights),
        **options,
    )
    if sizes.pool_first:
        encoder = networks.pool_vit(encoder, "mean_norm")
    slots = encoder_slots(encoder) | (decoder_slots(decoder) if sizes.decoder else {})
    for name, slot in slots.items():
        slot.write(weights[name])
    return encoder, decoder


def decoder_options(sizes):
    """Return the decoder's arguments: the smallest for a classifier, which drops the decoder that `vit` makes."""
    if sizes.classes:
        return {"decoder_width": 4, "decoder_depth": 1, "decoder_heads": 1}
    names = ("decoder_width", "decoder_depth", "decoder_heads")
    return {name: getattr(sizes, name) for name in names}


def mlp_ratio(sizes, file):
    """Find the ratio that gives the hidden widths of both networks."""
    width, hidden = sizes.width, sizes.hidden
    # The block rounds the product down: add a half where it would lose one.
    ratio = next(r for r in (hidden / width, (hidden + 0.5) / width) if int(r * width) == hidden)
    if sizes.decoder and int(ratio * sizes.decoder_width) != sizes.decoder_hidden:
        raise InputError(
            f"{file}: encoder {sizes.width} → {sizes.hidden} and decoder {sizes.decoder_width} → "
            f"{sizes.decoder_hidden} widen by different factors, which kerasae.networks.vit does not"
        )
    return ratio


def fixed_positions(sizes, weights):
    """Tell whether the position codes are the fixed sine-cosine codes, which are not trained."""
    for name in ("pos_embed", "decoder_pos_embed") if sizes.decoder else ("pos_embed",):
        codes = weights[name][0]
        if codes.shape[1] % 4:
            return False
        fixed = np.pad(ops.sincos_positions(sizes.grid, codes.shape[1]), ((1, 0), (0, 0)))
        if not np.allclose(codes, fixed, atol=1e-3):  # the tolerance allows codes stored in half precision
            return False
    return True


def wrap(encoder, decoder, sizes, weights, checkpoint, normalize_targets):
    """Build the model around the networks."""
    pixel_max = stored_maximum(checkpoint)
    if sizes.classes:
        classifier = models.Classifier(encoder, sizes.classes, pixel_max=pixel_max)
        for name, slot in head_slots(classifier).items():
            slot.write(weights[name])
        return classifier
    if not sizes.decoder:
        logger.warning("%s holds no decoder: the model's is new, and its pictures mean nothing yet", checkpoint.file)
    config = checkpoint.config
    normalize = config.get("norm_pix_loss", True) if normalize_targets is None else normalize_targets
    ratio = config.get("mask_ratio", 0.75)
    if not isinstance(ratio, int | float):
        raise InputError(f"{checkpoint.file}: its configuration says mask_ratio {ratio!r}; expected a number")
    return models.MaskedAutoencoder(encoder, decoder, ratio, bool(normalize), pixel_max)


# ---- images


def standardisation(checkpoint, sizes, mean, std):
    """Choose mean and standard deviation of the images: as given, as in the file's folder, or ImageNet's."""
    known = {"mean": mean, "std": std}
    if checkpoint.images.get("do_normalize", bool(checkpoint.images)):
        beside = {"mean": checkpoint.images.get("image_mean"), "std": checkpoint.images.get("image_std")}
        known = {name: beside[name] if value is None else value for name, value in known.items()}
    elif checkpoint.images:
        known = {"mean": 0.0 if mean is None else mean, "std": 1.0 if std is None else std}
    for (name, value), imagenet in zip(known.items(), IMAGENET, strict=True):
        if value is None and sizes.channels != 3:
            raise InputError(f"{checkpoint.file} is for {sizes.channels}-channel images; give their {name}, 0 to 1")
        known[name] = imagenet if value is None else channels(name, value, sizes.channels)
    return known


def channels(name, value, count):
    """Convert to one number, or to a tuple of one number per channel."""
    values = [value] if isinstance(value, int | float) else list(value)
    if len(values) not in (1, count) or not all(isinstance(v, int | float) for v in values):
        raise InputError(f"{name}: expected one number or {count}, one for every channel. Received: {value}")
    return float(values[0]) if len(values) == 1 else tuple(map(float, values))


def stored_maximum(checkpoint):
    """Return the stored value that means 1.0: 255, unless the image processor's file scales otherwise."""
    if checkpoint.images.get("do_rescale") is False:
        return 1.0
    factor = checkpoint.images.get("rescale_factor") or 1 / 255
    if not isinstance(factor, int | float) or not factor > 0:
        raise InputError(f"{checkpoint.file}: preprocessor_config.json says rescale_factor {factor!r}")
    maximum = 1.0 / factor
    return float(round(maximum)) if abs(maximum - round(maximum)) < 1e-4 * maximum else maximum
