"""Patches of images, and the random masks of masked autoencoders."""

import numpy as np
from keras import ops

from kerasae.errors import InputError


def patchify(images, patch):
    """Cut images into patches: [B, H, W, C] → [B, N, p·q·C], N = (H/p)(W/q), row by row.

    A patch is flattened in the order (row, column, channel), so that a linear layer on it is a convolution with stride
    `patch` whose kernel [p, q, C, D] was reshaped to [p·q·C, D].

    Args:
        images: [B, H, W, C] of known H, W and C.
        patch: the side of a square patch, or (p, q), height first.

    Raises:
        InputError: if the patch does not divide the image; names the nearest sizes that it divides.

    Example:
        >>> patchify(np.zeros((1, 6, 8, 3)), (3, 2)).shape  # 2 · 4 patches of 3 · 2 · 3 values
        (1, 8, 18)
    """
    h, w, c = images.shape[1:]
    (p, q), (rows, columns) = pair(patch), grid_of((h, w), patch)
    x = ops.reshape(images, (-1, rows, p, columns, q, c))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows * columns, p * q * c))


def unpatchify(patches, patch, grid):
    """Assemble images from patches, the inverse of `patchify`: [B, N, p·q·C] → [B, rows·p, columns·q, C].

    Args:
        patches: [B, N, p·q·C].
        patch: as for `patchify`.
        grid: (rows, columns) of patches in the image, N = rows · columns.
    """
    (p, q), (rows, columns) = pair(patch), grid
    c = patches.shape[-1] // (p * q)
    x = ops.reshape(patches, (-1, rows, columns, p, q, c))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows * p, columns * q, c))


def pair(patch):
    """Convert a patch size, a number or (height, width), to (height, width)."""
    sides = (patch, patch) if isinstance(patch, int) else tuple(patch)
    if len(sides) != 2 or any(not isinstance(n, int) or n < 1 for n in sides):
        raise InputError(f"patch must be a positive whole number or (height, width). Received: patch={patch}")
    return sides


def grid_of(size, patch):
    """Compute the grid (rows, columns) of patches in an image (H, W); raise InputError with the nearest sizes."""
    sides = pair(patch)
    if any(n % p for n, p in zip(size, sides, strict=True)):
        # For each side, the multiples of the patch below, if not 0, and above.
        fits = [sorted({max(p, n // p * p), -(-n // p) * p}) for n, p in zip(size, sides, strict=True)]
        below, above = (tuple(side[i] for side in fits) for i in (0, -1))
        nearest = " and ".join(f"{h}×{w}" for h, w in sorted({below, above}))
        raise InputError(
            f"image size {size[0]}×{size[1]} is not divisible by the patch {sides[0]}×{sides[1]}; "
            f"the nearest sizes that are: {nearest}; resize the images or choose another patch"
        )
    return tuple(n // p for n, p in zip(size, sides, strict=True))


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
    """Hide groups of `group` × `group` neighbouring patches together, otherwise as `random_masking`.

    Of the G groups, the int(G·(1 − ratio)) with the least mean noise stay visible: the hidden share is the ratio
    rounded up to whole groups. Visible patches, and hidden ones, are in the order of their noise, so that the last
    hidden ones are a random choice. Larger blocks make it harder to guess a patch from its neighbours: Pixio, Yang et
    al., arXiv 2512.15715, hides 4×4 patches at once.

    Args:
        noise: [B, N], as for `random_masking`; N = rows · columns.
        ratio: share of the groups to hide, in (0, 1).
        grid: (rows, columns) of patches.
        group: patches along the side of a group; it must divide rows and columns.

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
    """List the patch indices of each group, row by row: a NumPy array of ints [G, group²]."""
    if not isinstance(group, int) or group < 1 or any(n % group for n in grid):
        raise InputError(
            f"mask_group must be a whole number that divides the grid of {grid[0]}×{grid[1]} patches. "
            f"Received: mask_group={group}; choose another, or another patch"
        )
    rows, columns = (n // group for n in grid)
    places = np.arange(grid[0] * grid[1]).reshape(rows, group, columns, group)
    return places.transpose(0, 2, 1, 3).reshape(rows * columns, group * group)


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
