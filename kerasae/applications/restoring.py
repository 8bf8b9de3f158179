"""Images restored by trained models: denoised, filled in, enlarged. Pixels are floats from 0 to 1."""

from functools import partial

import numpy as np
from keras import ops

from kerasae.applications.tiles import Tiling, by_tiles
from kerasae.errors import InputError
from kerasae.layers import DownscaleCorruption
from kerasae.models import DenoisingAutoencoder, MaskedAutoencoder
from kerasae.networks import resize_residual
from kerasae.networks.residual_pair import block_of, is_size_free, reach
from kerasae.ops import enlarge_images, patchify

LARGEST, RAMP = 256, 16
"""Side of the tiles of networks that take any size, and pixels over which neighbours are blended beside the margins."""

CONTEXT = 64
"""Known pixels around a hole that an iterated denoiser sees."""

FIRST_STEP, FIRST_NOISE, LAST_NOISE, STEPS = 0.1, 0.5, 0.01, 60
"""Of an iterated denoiser: size of the first step, standard deviation at the start and at the end, most steps."""


def denoise(model, image, batch_size=8):
    """Denoise an image of any size by a denoising autoencoder: [H, W, C] in [0, 1] → float32 [H, W, C] in [0, 1].

    A network of `kerasae.networks.residual` computes on tiles that overlap by more than its receptive field: the
    result is that of the whole image. Of another network the tiles have the size of its examples, and overlap by half.

    Args:
        model: a `kerasae.models.DenoisingAutoencoder` of images.
        image: [H, W, C], with the channels of the model.
        batch_size: tiles in memory at a time.

    Raises:
        InputError: for another model, or an image of other channels.

    Example:
        >>> clean = denoise(model, noisy)
    """
    check_model(model, "denoise")
    check_image(model, image)
    return np.clip(cleaner(model, image.shape, batch_size)(np.asarray(image, np.float32)), 0, 1)


def superresolve(model, image, scale=2, batch_size=8):
    """Enlarge an image by a model trained with `DownscaleCorruption`: [H, W, C] → float32 [s·H, s·W, C] in [0, 1].

    The image is enlarged with a bicubic kernel, and the model adds what the kernel misses (Dong et al., SRCNN, arXiv
    1501.00092, section 3.1).

    Args:
        model: a `DenoisingAutoencoder` whose corruption is a `kerasae.layers.DownscaleCorruption`.
        image: [H, W, C] in [0, 1].
        scale: s, the scale of that corruption.
        batch_size: tiles in memory at a time.

    Raises:
        InputError: for another model or scale, or an image of other channels.

    Example:
        >>> superresolve(model, image).shape  # image: [20, 30, 3]
        (40, 60, 3)
    """
    check_model(model, "superresolve")
    learned = model.corruption.scale if isinstance(model.corruption, DownscaleCorruption) else None
    if learned != scale:
        what = "noise, not enlarging" if learned is None else f"scale {learned}"
        raise InputError(
            f"scale: the model has learned {what}. Received: {scale}; train one with --corruption downscale "
            f"--corruption-level {scale}"
        )
    check_image(model, image)
    larger = np.asarray(enlarge_images(np.asarray(image, np.float32)[None], scale))[0]
    return np.clip(cleaner(model, larger.shape, batch_size)(larger), 0, 1)


def inpaint(model, image, hidden, seed=0, batch_size=8):
    """Fill hidden pixels of an image of any size; the others stay as they are, to the bit: → float32 [H, W, C].

    A masked autoencoder predicts every patch that holds a hidden pixel from all other patches of a tile. A denoising
    autoencoder is iterated: from noise in the hole, each step goes a part of the way to the denoised image, while the
    known pixels lead it (Kadkhodaie and Simoncelli, arXiv 2007.13640, algorithm 2 with β = 1).

    Args:
        model: a `MaskedAutoencoder`, or a `DenoisingAutoencoder` trained on a range of Gaussian noise.
        image: [H, W, C] in [0, 1]; what the hidden pixels hold has no effect.
        hidden: bool [H, W], true = hidden.
        seed: of the noise that the denoiser starts from.
        batch_size: tiles in memory at a time.

    Raises:
        InputError: for another model, an image of other channels, a mask of another size, one that hides nothing or
            everything, or a hole that leaves a tile of a masked autoencoder no visible patch.

    Example:
        >>> hidden = np.zeros(image.shape[:2], bool)
        >>> hidden[10:20, 10:20] = True
        >>> whole = inpaint(model, image, hidden)
    """
    check_model(model, "inpaint")
    check_image(model, image)
    check_hidden(image, hidden)
    image = np.asarray(image, np.float32)
    empty = np.where(hidden[..., None], np.float32(0), image)
    if isinstance(model, MaskedAutoencoder):
        filled = by_patches(model, empty, hidden)
    else:
        filled = by_denoiser(model, empty, hidden, seed, batch_size)
    return np.where(hidden[..., None], np.clip(filled, 0, 1), image)


# ---- what is done to a whole image


def cleaner(model, shape, batch_size):
    """Return the function [H, W, C] → [H, W, C] by which a denoiser restores images of a shape, not clipped."""
    if is_size_free(model.encoder) and is_size_free(model.decoder):
        function, tiling = of_any_size(model, shape)
    else:
        side = model.example_shape[:2]
        function, tiling = partial(of_one_size, model), Tiling(side, min(side) // 2)
    return lambda image: by_tiles(function, image, tiling, batch_size)


def of_one_size(model, tiles):
    """Reconstruct tiles of the size of the model's examples; noise out of a likelihood's range is cut off."""
    return model.reconstruct(np.clip(tiles, 0, 1) if model.unit_range else tiles, batch_size=len(tiles))


def of_any_size(model, shape):
    """Return the function of tiles of a network that takes any size, and tiles that suit it and the image."""
    networks = [resize_residual(part, (None, None, part.input_shape[-1])) for part in (model.encoder, model.decoder)]
    margin, block = sum(map(reach, networks)), block_of(networks[0])
    overlap, largest = 2 * margin + RAMP, max(LARGEST, 4 * margin + 2 * RAMP)
    side = tuple(-(-min(n, largest) // block) * block for n in shape[:2])
    encoder, decoder = networks
    return lambda tiles: model.likelihood.mean(decoder(encoder(tiles))), Tiling(side, overlap, margin, block)


def by_patches(model, image, hidden):
    """Fill hidden pixels tile by tile by a masked autoencoder: [H, W, C] → [H, W, C]."""
    patch, (height, width) = model.encoder.layers[1].patch, model.example_shape[:2]

    def filled(tiles):
        return np.stack([one(tile[..., :-1], tile[..., -1:]) for tile in tiles])

    def one(tile, mask):
        noise = ops.convert_to_numpy(ops.max(patchify(mask[None], patch), axis=-1))
        count = int(noise.sum())
        if count == noise.size:
            raise InputError(
                f"mask: it hides all of a tile of {height}×{width} pixels, the images of the model; hide less at once, "
                "shrink the image, or train on larger images"
            )
        return hiding(model, count, noise.size).reconstruct(tile[None], noise)[0] if count else tile

    both = np.concatenate([image, hidden[..., None].astype(np.float32)], axis=-1)
    return by_tiles(filled, both, Tiling((height, width), min(height, width) // 2), batch_size=1)


def hiding(model, count, patches):
    """Make a masked autoencoder of the same networks that hides exactly `count` of its patches."""
    options = {"normalize_targets": model.normalize_targets, "pixel_max": model.pixel_max}
    # The visible patches are int(N · (1 − ratio)); half a patch keeps the rounding of floats away.
    return MaskedAutoencoder(model.encoder, model.decoder, mask_ratio=(count - 0.5) / patches, **options)


def by_denoiser(model, image, hidden, seed, batch_size):
    """Fill hidden pixels by an iterated denoiser, which sees the surroundings of the hole: [H, W, C] → [H, W, C]."""
    box = around(hidden)
    known, hole = image[box], hidden[box][..., None]
    clean, random = cleaner(model, known.shape, batch_size), np.random.default_rng(seed)
    y = np.where(hole, 0.5, known) + FIRST_NOISE * random.normal(size=known.shape)
    for step in range(1, STEPS + 1):
        y = y.astype(np.float32)
        change = np.where(hole, np.clip(clean(y), 0, 1), known) - y  # clipped, or a bad model diverges
        y = y + change * (FIRST_STEP * step / (1 + FIRST_STEP * (step - 1)))
        if np.sqrt(np.mean(change**2)) <= LAST_NOISE:
            break
    filled = image.copy()
    filled[box] = y
    return filled


def around(hidden):
    """Find the box of the hidden pixels and their surroundings."""
    rows, columns = (np.flatnonzero(hidden.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(max(0, found[0] - CONTEXT), found[-1] + CONTEXT + 1) for found in (rows, columns))


# ---- checks


TASKS = {
    "denoise": (DenoisingAutoencoder,),
    "inpaint": (DenoisingAutoencoder, MaskedAutoencoder),
    "superresolve": (DenoisingAutoencoder,),
}
"""Task → the models that can do it."""


def check_model(model, task):
    """Raise InputError for a model that cannot do a task, "denoise", "inpaint" or "superresolve", on images."""
    name, trains = type(model).__name__, "kerasae train denoising --network residual --corruption gaussian"
    if not isinstance(model, TASKS[task]):
        wanted = " or ".join(cls.__name__ for cls in TASKS[task])
        raise InputError(f"model: to {task} expected a {wanted}. Received: {name}; train one, such as by `{trains}`")
    if isinstance(model, MaskedAutoencoder) and (type(model) is not MaskedAutoencoder or model.target is not None):
        raise InputError(f"model: expected a vision transformer that predicts pixels. Received: {name} of another kind")
    if len(model.example_shape) != 3 or model.standardization is not None or model.conditional:
        raise InputError(
            f"model: expected one of images with a range, without conditions. Received: {name} of examples "
            f"{model.example_shape}"
        )


def check_image(model, image):
    """Raise InputError for an image of other channels than the model's."""
    channels = model.example_shape[-1]
    if np.ndim(image) != 3 or np.shape(image)[-1] != channels:
        raise InputError(f"image: expected [H, W, {channels}], as the model. Received: shape {list(np.shape(image))}")


def check_hidden(image, hidden):
    """Raise InputError for a mask of another size than the image, or one that hides nothing or everything."""
    if hidden.shape != image.shape[:2]:
        sizes = ["×".join(map(str, shape[:2])) for shape in (image.shape, hidden.shape)]
        raise InputError(f"mask: expected the size of the image, {sizes[0]} pixels. Received: {sizes[1]}")
    if not hidden.any() or hidden.all():
        raise InputError(f"mask: hides {'nothing' if not hidden.any() else 'the whole image'}; mark what to fill in")
