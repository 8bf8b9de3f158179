"""Draw small images whose factors of variation are known: shape, scale, angle, and place."""

import itertools

import numpy as np

from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import Source, make_source
from kerasae.data.splits import ArrayStore, Split
from kerasae.data.subsets import holdout

SIDE, FINER = 16, 8
"""Pixels of a side, and points of a pixel's side over which ink is averaged."""

FACTORS = {
    "shape": np.arange(3.0),
    "scale": np.linspace(2.0, 4.0, 4),
    "angle": np.arange(5) * 18.0,
    "x": np.linspace(4.5, 11.5, 8),
    "y": np.linspace(4.5, 11.5, 8),
}
"""Factor → its values: 0 square, 1 ellipse, 2 triangle; half the size in pixels; degrees; centre in pixels."""

TEST_FRACTION, SPLIT_SEED = 0.2, 0


def load_shapes() -> Source:
    """Draw every combination of the factors, 3,840 images uint8 [N, 16, 16, 1] of 0 to 255, labelled by the factors.

    White squares, ellipses and triangles on black, anti-aliased: four sizes, five angles below a quarter turn, so that
    no two images are the same, and 8 × 8 places. The labels are the five values as numbers, float32 [N, 5]. A fixed
    fifth is held out. A small relative of dSprites (Matthey et al., 2017), made here, without a download.

    Example:
        >>> kerasae.data.load("shapes").info.label_names
        ('shape', 'scale', 'angle', 'x', 'y')
    """
    factors = np.array(list(itertools.product(*FACTORS.values())), np.float32)
    images, store_rows = drawn(factors), np.arange(len(factors))
    store = ArrayStore(images)
    train, test = holdout(store_rows * 0, TEST_FRACTION, SPLIT_SEED)
    splits = {name: Split(store, factors[rows], rows) for name, rows in (("train", train), ("test", test))}
    facts = {"label_kind": "numbers", "label_names": tuple(FACTORS)}
    return make_source("shapes", splits, 255, fingerprint=fingerprint_data((images, factors)), **facts)


def drawn(factors: np.ndarray) -> np.ndarray:
    """Draw images of factors [N, 5]: uint8 [N, 16, 16, 1]; each kind of shape by itself."""
    images = np.empty((len(factors), SIDE, SIDE, 1), np.uint8)
    for kind, inside in enumerate((square, ellipse, triangle)):
        rows = np.flatnonzero(factors[:, 0] == kind)
        for part in np.array_split(rows, 1 + len(rows) // 128):
            images[part] = ink(factors[part, 1:], inside)
    return images


def ink(places: np.ndarray, inside) -> np.ndarray:
    """Average the ink of the finer points of every pixel: scale, angle, x, y [N, 4] → uint8 [N, 16, 16, 1]."""
    points = (np.arange(SIDE * FINER, dtype=np.float32) + 0.5) / FINER - 0.5
    scale, angle, x, y = places.T.astype(np.float32)[..., None, None]
    right, down = (points - x) / scale, (points[:, None] - y) / scale
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    marked = inside(cosine * right + sine * down, cosine * down - sine * right)
    shares = marked.reshape(len(places), SIDE, FINER, SIDE, FINER).mean(axis=(2, 4), dtype=np.float32)
    return np.rint(255 * shares).astype(np.uint8)[..., None]


def square(u, v):
    """Mark points of a square of half side 0.8."""
    return np.maximum(np.abs(u), np.abs(v)) <= 0.8


def ellipse(u, v):
    """Mark points of an ellipse, twice as long as wide."""
    return u**2 + (2 * v) ** 2 <= 1


def triangle(u, v):
    """Mark points of an equilateral triangle with its corners at distance 1 from the centre."""
    return (v <= 0.5) & (np.sqrt(3) * np.abs(u) - v <= 1)
