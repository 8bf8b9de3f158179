"""Images as sequences of patches, and which of the patches a masked autoencoder hides."""

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
    """Put patches together again, the inverse of `patchify`: [B, N, p·q·C] → [B, rows·p, columns·q, C].

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
    """A patch given as a number or as (height, width), as (height, width)."""
    sides = (patch, patch) if isinstance(patch, int) else tuple(patch)
    if len(sides) != 2 or any(not isinstance(n, int) or n < 1 for n in sides):
        raise InputError(f"patch must be a positive whole number or (height, width). Received: patch={patch}")
    return sides


def grid_of(size, patch):
    """(rows, columns) of patches in an image of `size` (H, W), or an error that names the nearest sizes."""
    sides = pair(patch)
    if any(n % p for n, p in zip(size, sides, strict=True)):
        # Per side the multiple below, unless that is nothing, and the one above.
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
        noise: [B, N], uniform random numbers, or any scores that say whom to keep.
        ratio: share of the patches to hide, in (0, 1).

    Returns:
        ids_keep: int [B, visible], places of the visible patches.
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


def visible_count(patches, ratio):
    """How many of a number of patches stay visible, or an error if that is none or all."""
    if not 0.0 < ratio < 1.0:
        raise InputError(f"mask_ratio must lie between 0 and 1, both excluded. Received: mask_ratio={ratio}")
    keep = int(patches * (1.0 - ratio))  # as the paper's code rounds
    if not 0 < keep < patches:
        left, change = ("visible", "lower") if keep == 0 else ("hidden", "raise")
        raise InputError(
            f"mask_ratio={ratio} leaves no {left} patch of {patches}; {change} the ratio or use smaller patches"
        )
    return keep


def gather_tokens(tokens, ids):
    """Pick tokens of each example: [B, N, D] and int [B, K] → [B, K, D]."""
    _, n, d = tokens.shape
    # One flat gather: several times faster than a gather along an axis of every example.
    starts = n * ops.expand_dims(ops.arange(ops.shape(ids)[0], dtype=ids.dtype), -1)
    return ops.take(ops.reshape(tokens, (-1, d)), ids + starts, axis=0)


def normalize_patches(patches, epsilon=1e-6):
    """Each patch minus its mean, over its standard deviation: He et al., arXiv 2111.06377, section 3.

    (x − mean) / sqrt(var + epsilon) with the unbiased variance, Σ (x − mean)² / (P − 1).

    Args:
        patches: [B, N, P], P ≥ 2.
        epsilon: what keeps a patch of one colour finite.

    Returns:
        float32 [B, N, P].
    """
    patches = ops.cast(patches, "float32")
    centred = patches - ops.mean(patches, axis=-1, keepdims=True)
    variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / (patches.shape[-1] - 1)
    return centred / ops.sqrt(variance + epsilon)
