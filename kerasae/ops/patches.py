"""Patches of signals, images and volumes, and the random masks of masked autoencoders."""

import math

import numpy as np
from keras import ops

from kerasae.errors import InputError

NAMES = {1: ("window of", "choose another window"), 2: ("image size", "resize the images"), 3: ("volume of", "crop it")}
"""Number of axes → name of their size, and a way out where no patch fits."""


def patchify(examples, patch):
    """Cut examples into patches: images [B, H, W, C] → [B, N, p·q·C], N = (H/p)(W/q), row by row.

    Signals [B, T, C] become [B, T/p, p·C], and volumes [B, D, H, W, C] likewise [B, N, p·q·r·C]. A patch is flattened
    in the order (row, column, channel), so that a linear layer on it is a convolution with stride `patch` whose kernel
    [p, q, C, K] was reshaped to [p·q·C, K].

    Args:
        examples: [B, ..., C] of known sizes.
        patch: one side for all axes, or one for each, in the order of the axes: (height, width) of an image.

    Raises:
        InputError: if the patch does not divide the example; names the nearest sizes that it divides.

    Example:
        >>> patchify(np.zeros((1, 6, 8, 3)), (3, 2)).shape  # 2 · 4 patches of 3 · 2 · 3 values
        (1, 8, 18)
    """
    size, c = examples.shape[1:-1], examples.shape[-1]
    sides, grid = sides_of(patch, len(size)), grid_of(size, patch)
    x = ops.reshape(examples, (-1, *in_turn(grid, sides), c))
    return ops.reshape(ops.transpose(x, swapped(len(grid))), (-1, math.prod(grid), math.prod(sides) * c))


def unpatchify(patches, patch, grid):
    """Assemble examples from patches, the inverse of `patchify`: [B, N, p·q·C] → [B, rows·p, columns·q, C].

    Args:
        patches: [B, N, p·q·C].
        patch: as for `patchify`.
        grid: number of patches along each axis, (rows, columns) of an image; N is their product.
    """
    sides = sides_of(patch, len(grid))
    c = patches.shape[-1] // math.prod(sides)
    x = ops.reshape(patches, (-1, *grid, *sides, c))
    size = (n * p for n, p in zip(grid, sides, strict=True))
    return ops.reshape(ops.transpose(x, restored(len(grid))), (-1, *size, c))


def in_turn(first, second):
    """List two sequences of one length in turn: (a, b), (c, d) → [a, c, b, d]."""
    return [n for both in zip(first, second, strict=True) for n in both]


def swapped(axes):
    """Order the axes [B, rows, p, columns, q, …, C] as [B, rows, columns, …, p, q, …, C]."""
    return (0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1)


def restored(axes):
    """Order the axes [B, rows, columns, …, p, q, …, C] as [B, rows, p, columns, q, …, C]."""
    return (0, *in_turn(range(1, axes + 1), range(axes + 1, 2 * axes + 1)), 2 * axes + 1)


def sides_of(patch, axes):
    """Convert a patch size, a number or one for each axis, to a tuple of one for each axis."""
    sides = (patch,) * axes if isinstance(patch, int) else tuple(patch)
    if len(sides) != axes or any(not isinstance(n, int) or n < 1 for n in sides):
        each = "(height, width)" if axes == 2 else f"one for each of {axes} axes"
        raise InputError(f"patch must be a positive whole number or {each}. Received: patch={patch}")
    return sides


def grid_of(size, patch):
    """Compute the grid of patches in an example, (rows, columns) of an image (H, W).

    Raises InputError with the nearest sizes if the patch does not divide it.
    """
    sides = sides_of(patch, len(size))
    if any(n % p for n, p in zip(size, sides, strict=True)):
        # For each side, the multiples of the patch below, if not 0, and above.
        fits = [sorted({max(p, n // p * p), -(-n // p) * p}) for n, p in zip(size, sides, strict=True)]
        below, above = (tuple(side[i] for side in fits) for i in (0, -1))
        nearest = " and ".join(by(found) for found in sorted({below, above}))
        name, change = NAMES.get(len(size), ("size", "choose another"))
        raise InputError(
            f"{name} {by(size)} is not divisible by the patch {by(sides)}; "
            f"the nearest sizes that are: {nearest}; {change} or choose another patch"
        )
    return tuple(n // p for n, p in zip(size, sides, strict=True))


def by(size):
    """Write the sizes of axes as text: (28, 28) as 28×28."""
    return "×".join(map(str, size))


def random_masking(noise, ratio):
    """Hide a share of the patches, chosen by noise: He et al., arXiv 2111.06377, section 3.

    The int(N·(1 − ratio)) patches with the least noise stay visible, in the order of their noise.

    Args:
        noise: [B, N], uniform random numbers, or any scores; the lowest stay visible.
        ratio: share of the patches to hide, in (0, 1).

    Returns:
        ids_keep: int [B, visible], indices of the visible patches.
        ids_restore: int [B, N], where each patch lies in the sequence "visible patches, then hidden ones".
        mask: float32 [B, N], 1 = hidden, 0 = visible.

    Example:
        >>> ids_keep, ids_restore, mask = random_masking(np.array([[0.3, 0.9, 0.1, 0.7]]), 0.5)
        >>> ids_keep, ids_restore, mask
        ([[2, 0]], [[1, 3, 0, 2]], [[0, 1, 0, 1]])
    """
    keep = visible_count(noise.shape[-1], ratio)
    ids_shuffle = ops.argsort(noise, axis=-1)
    ids_restore = ops.argsort(ids_shuffle, axis=-1)
    return ids_shuffle[:, :keep], ids_restore, ops.cast(ids_restore >= keep, "float32")


def group_masking(noise, ratio, grid, group):
    """Hide groups of neighbouring patches together, `group` along each axis, otherwise as `random_masking`.

    Of the G groups, the int(G·(1 − ratio)) with the least mean noise stay visible: the hidden share is the ratio
    rounded up to whole groups. Visible patches, and hidden ones, are in the order of their noise, so that the last
    hidden ones are a random choice. Larger blocks make it harder to guess a patch from its neighbours: Pixio, Yang et
    al., arXiv 2512.15715, hides 4×4 patches at once.

    Args:
        noise: [B, N], as for `random_masking`; N is the product of the grid.
        ratio: share of the groups to hide, in (0, 1).
        grid: number of patches along each axis, (rows, columns) of an image.
        group: patches along the side of a group; it must divide the grid.

    Returns:
        ids_keep, ids_restore and mask, as from `random_masking`.

    Raises:
        InputError: if the group does not divide the grid, or no group stays visible or none is hidden.

    Example:
        >>> ids_keep, _, mask = group_masking(np.array([[0.3, 0.1, 0.9, 0.7, 0.2, 0.1, 0.8, 0.7]]), 0.5, (2, 4), 2)
        >>> ids_keep, mask  # the left half of 2×4 patches is visible
        ([[1, 5, 4, 0]], [[0, 0, 1, 1, 0, 0, 1, 1]])
    """
    members = group_members(grid, group)
    keep = visible_count(members.shape[0], ratio, "group", "groups")
    means = ops.mean(ops.take(noise, members, axis=-1), axis=-1)
    hidden = ops.argsort(ops.argsort(means, axis=-1), axis=-1) >= keep  # [B, G]
    group_of = np.argsort(members.ravel()) // members.shape[1]
    order = ops.argsort(ops.argsort(noise, axis=-1), axis=-1)  # ranks; the hidden patches come last
    late = ops.cast(ops.take(hidden, group_of, axis=-1), order.dtype)
    ids_shuffle = ops.argsort(order + noise.shape[-1] * late, axis=-1)
    mask = ops.cast(late, "float32")
    return ids_shuffle[:, : keep * members.shape[1]], ops.argsort(ids_shuffle, axis=-1), mask


def group_members(grid, group):
    """List the patch indices of each group, row by row: a NumPy array of ints [G, patches of a group]."""
    if not isinstance(group, int) or group < 1 or any(n % group for n in grid):
        raise InputError(
            f"mask_group must be a whole number that divides the grid of {by(grid)} patches. "
            f"Received: mask_group={group}; choose another, or another patch"
        )
    groups = [n // group for n in grid]
    places = np.arange(math.prod(grid)).reshape(1, *in_turn(groups, [group] * len(grid)), 1)
    return places.transpose(swapped(len(grid))).reshape(math.prod(groups), group ** len(grid))


def visible_count(patches, ratio, one="patch", many="patches"):
    """Count the patches, or groups of patches, that stay visible; raise InputError if none or all do."""
    if not 0.0 < ratio < 1.0:
        raise InputError(f"mask_ratio must lie between 0 and 1, both excluded. Received: mask_ratio={ratio}")
    keep = int(patches * (1.0 - ratio))  # as the paper's code rounds
    if not 0 < keep < patches:
        left, change = ("visible", "lower") if keep == 0 else ("hidden", "raise")
        raise InputError(
            f"mask_ratio={ratio} leaves no {left} {one} of {patches}; {change} the ratio or use smaller {many}"
        )
    return keep


def gather_tokens(tokens, ids):
    """Pick tokens of each example: [B, N, D] and int [B, K] → [B, K, D]."""
    _, n, d = tokens.shape
    # One flat gather is faster than a gather along an axis of every example.
    starts = n * ops.expand_dims(ops.arange(ops.shape(ids)[0], dtype=ids.dtype), -1)
    return ops.take(ops.reshape(tokens, (-1, d)), ids + starts, axis=0)


def normalize_patches(patches, epsilon=1e-6):
    """Normalise each patch by its mean and standard deviation: He et al., arXiv 2111.06377, section 3.

    (x − mean) / sqrt(var + epsilon) with the unbiased variance, Σ (x − mean)² / (P − 1).

    Args:
        patches: [B, N, P], P ≥ 2.
        epsilon: ε > 0, which keeps the result finite for a patch of one colour.

    Returns:
        float32 [B, N, P].
    """
    patches = ops.cast(patches, "float32")
    centred = patches - ops.mean(patches, axis=-1, keepdims=True)
    variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / (patches.shape[-1] - 1)
    return centred / ops.sqrt(variance + epsilon)


def at_visible_level(prediction, patches, visible):
    """Scale normalised patches to the mean and standard deviation of an example's visible pixels: [B, N, P].

    Args:
        prediction: [B, N, P], each patch of mean about 0 and variance about 1.
        patches: [B, N, P], the true patches; only the visible ones are used.
        visible: [B, N, 1], 1 = visible, 0 = hidden.
    """
    count = ops.sum(visible, axis=1, keepdims=True) * patches.shape[-1]
    mean = ops.sum(patches * visible, axis=(1, 2), keepdims=True) / count
    variance = ops.sum(ops.square(patches - mean) * visible, axis=(1, 2), keepdims=True) / count
    return mean + ops.sqrt(variance) * prediction


def adapt_channels(weights, channels, new_channels, axis, inputs):
    """Adapt the weights of a linear layer on patches, or before them, to another number of channels.

    Of inputs, every new channel gets the sum of the old channels' weights over the number of new ones, so that a grey
    image gives the same output whatever its number of channels. Of outputs, every new channel gets the mean of the old.

    Args:
        weights: NumPy array with p·q·C values along `axis`, the channels last in a patch.
        channels, new_channels: C before and after.
        axis: of the patches' values.
        inputs: whether the patches are the layer's input; else they are its output.

    Returns:
        An array with p·q·C' values along `axis`.

    Example:
        >>> adapt_channels(np.ones((4 * 3, 8)), 3, 1, axis=0, inputs=True).shape
        (4, 8)
    """
    pixels = np.moveaxis(np.asarray(weights), axis, -1)
    pixels = pixels.reshape(*pixels.shape[:-1], -1, channels)
    merged = pixels.sum(-1, keepdims=True) / new_channels if inputs else pixels.mean(-1, keepdims=True)
    spread = np.repeat(merged, new_channels, axis=-1)
    return np.moveaxis(spread.reshape(*spread.shape[:-2], -1), -1, axis)
