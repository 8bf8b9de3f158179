"""Measure how many bits a learned prior of codebook indices saves, beside simpler priors and lossless files."""

import io
import math

import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.probe import conditional_outputs, example_batches, outputs, public_method

PRIOR_COUNT = 0.5
"""What is added to every count of an independent prior: Krichevsky and Trofimov, IEEE Trans. Inf. Theory 27 (1981)."""


def index_bits(model, train, test, batch_size: int = 256) -> dict[str, float]:
    """Measure the bits of an example's codebook indices under three priors: learned, independent, uniform.

    Args:
        model: a `CodePriorAutoencoder`, or anything with its `indices`, `code_length` and `codebook.size`.
        train: split whose indices the independent prior counts, each place by itself.
        test: split to measure.
        batch_size: examples encoded at once.

    Returns:
        A dict in bits per example: `index_bits`, −log₂ p(indices); `index_bits_independent`, of the shares of the
        entries at each place, with ½ added to every count; `index_bits_uniform`, T log₂ K.

    Raises:
        InputError: a model without indices.

    Example:
        >>> index_bits(model, source.train, source.test)["index_bits_uniform"]  # 49 places of 256 entries
        392.0
    """
    return _index_bits(model, train, test, code_lengths(model, test, batch_size), batch_size)


def _index_bits(model, train, test, lengths, batch_size):
    """Compute `index_bits` of known `code_lengths` [N, 2]."""
    counted, chosen = (indices_of(model, split, batch_size) for split in (train, test))
    shares = independent_shares(counted, model.codebook.size)
    alone = -np.log2(shares[np.arange(chosen.shape[1]), chosen]).sum(1)
    return {
        "index_bits": float(lengths[:, 1].mean() / math.log(2)),
        "index_bits_independent": float(alone.mean()),
        "index_bits_uniform": chosen.shape[1] * math.log2(model.codebook.size),
    }


def bits_per_dimension(model, train, test, batch_size: int = 256) -> dict[str, float]:
    """Measure the bound −log₂ p(x | e) − log₂ p(indices) per value of an example, under the priors of `index_bits`.

    It is a code length only where p(x | e) is of discrete values: Bernoulli of binary ones, a categorical, or a mixture
    of discretised logistics. The weights of the model are not counted.

    Args:
        model, train, test, batch_size: as for `index_bits`.

    Returns:
        A dict: `bits_per_dimension`, `bits_per_dimension_independent` and `bits_per_dimension_uniform`, bits per value
        (a grey pixel, or one channel of a pixel), and those of `index_bits`.

    Example:
        >>> bits_per_dimension(model, source.train, source.test)["bits_per_dimension"]
    """
    lengths, values = code_lengths(model, test, batch_size), math.prod(model.example_shape)
    found = _index_bits(model, train, test, lengths, batch_size)
    rest = float(lengths[:, 0].mean() / math.log(2))
    named = {name.replace("index_bits", "bits_per_dimension"): (rest + bits) / values for name, bits in found.items()}
    return {**named, "pixel_bits": rest, **found}


def indices_of(model, split, batch_size: int = 256) -> np.ndarray:
    """Encode a split to codebook indices: int64 [N, T]."""
    if model.autoencoder.conditional:
        parts = conditional_outputs(model, "indices", split, batch_size)
    else:
        parts = outputs(public_method(model, "indices"), split, batch_size)
    return np.concatenate([found.reshape(len(found), -1) for _, _, found in parts]).astype(np.int64)


def code_lengths(model, split, batch_size: int = 256) -> np.ndarray:
    """Compute −log p(x | e) and −log p(indices) of a split: float64 [N, 2], nats."""
    if model.conditional:
        parts = conditional_outputs(model, "code_length", split, batch_size)
    else:
        parts = outputs(public_method(model, "code_length"), split, batch_size)
    return np.concatenate([found for _, _, found in parts]).astype(np.float64)


def independent_shares(indices: np.ndarray, entries: int) -> np.ndarray:
    """Estimate the chance of every entry at each place by itself, with ½ added to every count: [T, K].

    Example:
        >>> independent_shares(np.array([[0], [0], [1]]), 2).round(3).tolist()
        [[0.625, 0.375]]
    """
    counts = np.stack([np.bincount(column, minlength=entries) for column in indices.T]) + PRIOR_COUNT
    return counts / counts.sum(1, keepdims=True)


def draw_independent(shares: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Draw indices place by place from the chances [T, K]: int64 [count, T]."""
    uniform = np.random.default_rng(seed).random((count, len(shares), 1))
    return (uniform > np.cumsum(shares, axis=1)[None, :, :-1]).sum(-1)


def png_bits(data, levels: int, batch_size: int = 256) -> dict[str, float]:
    """Compress images losslessly as PNG by Pillow, binary ones with one bit per pixel: bits per value.

    Args:
        data: an array uint8 [N, H, W, C] with 1 or 3 channels, or a split of such images, as stored.
        levels: number of values of a pixel: 2 for binary images, whose ones may have any value above 0; 256 for bytes.
        batch_size: images read at once.

    Returns:
        A dict: `png_bits_per_dimension` of one file for each image, with its header; and
        `png_sheet_bits_per_dimension` of one file for all images, one below the other.

    Raises:
        InputError: images of other channels or levels.

    Example:
        >>> png_bits(np.zeros((100, 8, 8, 1), "uint8"), 256)["png_sheet_bits_per_dimension"] < 1
        True
    """
    images = np.concatenate([x for x, _ in example_batches(data, batch_size)])
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8 or levels not in (2, 256):
        raise InputError(
            "data: expected bytes [N, H, W, C] of 1 or 3 channels, with 2 or 256 levels. Received: "
            f"{images.dtype} {images.shape}, {levels} levels"
        )
    each = sum(png_bytes(image, levels) for image in images)
    sheet = png_bytes(images.reshape(-1, *images.shape[2:]), levels)
    return {
        "png_bits_per_dimension": 8.0 * each / images.size,
        "png_sheet_bits_per_dimension": 8.0 * sheet / images.size,
    }


def png_bytes(image: np.ndarray, levels: int) -> int:
    """Count the bytes of one image [H, W, C] as PNG."""
    from PIL import Image

    if image.shape[-1] == 3:
        picture = Image.fromarray(image)
    else:
        picture = Image.fromarray(image[..., 0] > 0 if levels == 2 else image[..., 0])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.tell()
