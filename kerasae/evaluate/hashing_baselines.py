"""Bits of raw values for retrieval, by methods that train no network: PCA-ITQ and random hyperplanes."""

import numpy as np
from sklearn.decomposition import PCA

from kerasae.errors import InputError

TURNS = 50
"""Iterations of ITQ, as in the paper."""


def pca_itq(train: np.ndarray, *parts: np.ndarray, bits: int, seed: int = 0) -> list[np.ndarray]:
    """Hash vectors by iterative quantisation: signs of principal components in the rotation that loses least.

    B = sign(V R), V = (x − mean) W the first `bits` principal components, R the rotation that minimises ‖B − V R‖²_F by
    turns: B for R, then R = Ŝ Sᵀ for B, from Bᵀ V = S Ω Ŝᵀ. Gong and Lazebnik, CVPR 2011, algorithm ITQ.

    Args:
        train: float [M, F], to which components and rotation are fitted.
        *parts: float [N, F], to hash.
        bits: length of the codes; at most M and F, as there are no more components.
        seed: of the first rotation, a random one.

    Returns:
        bool [N, bits] for each part.

    Raises:
        InputError: more bits than components.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 8))
        >>> pca_itq(x, x[:3], bits=4)[0].shape
        (3, 4)
    """
    if bits > min(train.shape):
        raise InputError(f"bits: expected at most {min(train.shape)} for PCA-ITQ of {train.shape}. Received: {bits}")
    components = PCA(bits, random_state=seed).fit(train)
    rotation = quantising_rotation(components.transform(train), seed)
    return [components.transform(part) @ rotation > 0 for part in parts]


def quantising_rotation(projected: np.ndarray, seed: int = 0) -> np.ndarray:
    """Find the rotation R [K, K] of vectors V [N, K] that minimises ‖sign(V R) − V R‖²_F by `TURNS` turns."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(projected.shape[1],) * 2))[0]
    for _ in range(TURNS):
        signs = np.where(projected @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(signs.T @ projected)
        rotation = right.T @ left.T
    return rotation


def random_hyperplanes(train: np.ndarray, *parts: np.ndarray, bits: int, seed: int = 0) -> list[np.ndarray]:
    """Hash vectors by the sides of random hyperplanes through the mean of the training vectors.

    Bit j is w_jᵀ (x − mean) > 0, w_j ~ N(0, I): Charikar, STOC 2002, locality-sensitive hashing of angles.

    Args and returns are those of `pca_itq`; any number of bits.
    """
    mean, planes = train.mean(axis=0), np.random.default_rng(seed).normal(size=(train.shape[1], bits))
    return [(part - mean) @ planes > 0 for part in parts]


HASHING_BASELINES = {"PCA-ITQ": pca_itq, "random hyperplanes (LSH)": random_hyperplanes}
"""Name → function of training vectors and parts, with `bits` and `seed` → bool [N, bits] of each part."""
