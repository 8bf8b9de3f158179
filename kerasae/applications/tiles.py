"""Images of any size through a function of tiles of one size, blended so that no seam shows, in flat memory."""

from typing import NamedTuple

import numpy as np

from kerasae.errors import InputError


class Tiling(NamedTuple):
    """How an image is cut into tiles, in pixels."""

    side: tuple[int, int]
    """Height and width of a tile."""
    overlap: int
    """Least number of pixels that neighbours share."""
    margin: int = 0
    """Pixels at a tile's inner edges that are not used, as they miss what lies beyond; less than half the overlap."""
    multiple: int = 1
    """Number that divides the place of every tile, where a function treats pixels in blocks."""


def by_tiles(function, image, tiling, batch_size=8):
    """Apply a function of tiles to an image of any size, and blend what it gives: [H, W, C] → float32 [H, W, K].

    The image is mirrored at its lower and right edge up to whole blocks and to the size of a tile. Where tiles overlap,
    their weights are ramps that sum to one: the identity gives the image, and a function of the neighbourhood within
    `margin` pixels gives what it would give of the whole image. Memory holds the image, the result and one batch.

    Args:
        function: [B, h, w, C] → [B, h, w, K].
        image: [H, W, C].
        tiling: a `Tiling`.
        batch_size: tiles at a time.

    Raises:
        InputError: for an overlap that does not leave room for the margins, or is not smaller than a tile.

    Example:
        >>> tiling = Tiling((32, 32), overlap=16)
        >>> np.abs(by_tiles(lambda tiles: tiles, image, tiling) - image).max() < 1e-6
        True
    """
    height, width = image.shape[:2]
    whole = mirrored(image, tiling)
    places = [starts(n, side, tiling) for n, side in zip(whole.shape[:2], tiling.side, strict=True)]
    corners = [(top, left) for top in places[0] for left in places[1]]
    total, weights = None, np.zeros((*whole.shape[:2], 1), np.float32)
    for i in range(0, len(corners), batch_size):
        some = corners[i : i + batch_size]
        boxes = [np.s_[top : top + tiling.side[0], left : left + tiling.side[1]] for top, left in some]
        found = np.asarray(function(np.stack([whole[box] for box in boxes])), np.float32)
        total = np.zeros((*whole.shape[:2], found.shape[-1]), np.float32) if total is None else total
        for box, tile in zip(boxes, found, strict=True):
            weight = window(box, whole.shape, tiling)
            total[box] += weight * tile
            weights[box] += weight
    np.divide(total, weights, out=total)
    return total[:height, :width]


def mirrored(image, tiling):
    """Mirror an image at its lower and right edge, up to whole blocks and at least the size of a tile."""
    sizes = [
        max(side, -(-n // tiling.multiple) * tiling.multiple)
        for n, side in zip(image.shape[:2], tiling.side, strict=True)
    ]
    added = [(0, size - n) for n, size in zip(image.shape[:2], sizes, strict=True)]
    return np.pad(image, (*added, (0, 0)), "symmetric") if any(after for _, after in added) else image


def starts(length, side, tiling):
    """List the places of the tiles along an axis; the last tile ends where the axis does.

    Example:
        >>> starts(20, 8, Tiling((8, 8), overlap=2))
        [0, 6, 12]
    """
    if length == side:
        return [0]
    step = (side - tiling.overlap) // tiling.multiple * tiling.multiple
    if step < 1 or tiling.overlap <= 2 * tiling.margin or side % tiling.multiple:
        raise InputError(
            f"tiling: expected 2 · margin < overlap < side, and a side of whole blocks of {tiling.multiple}. "
            f"Received: side={side}, overlap={tiling.overlap}, margin={tiling.margin}"
        )
    return [*range(0, length - side, step), length - side]


def window(box, shape, tiling):
    """Compute the weights of a tile, float32 [h, w, 1]: ramps at inner edges, 1 at the image's."""
    rows, columns = (ramps(part, n, tiling) for part, n in zip(box, shape[:2], strict=True))
    return (rows[:, None] * columns)[..., None].astype(np.float32)


def ramps(part, length, tiling):
    """Compute the weights of a tile along one axis: 0 within the margin, then a ramp through the overlap, then 1."""
    place = np.arange(part.stop - part.start) + 0.5
    room = tiling.overlap - 2 * tiling.margin
    before = 1.0 if part.start == 0 else np.clip((place - tiling.margin) / room, 0, 1)
    after = 1.0 if part.stop == length else np.clip((place[::-1] - tiling.margin) / room, 0, 1)
    return before * after * np.ones_like(place)
