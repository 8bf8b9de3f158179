"""Word vectors from counts of the words around each one: a baseline for codes of sentences."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from kerasae.errors import InputError


def word_vectors(x, ids: int, width: int = 100, window: int = 5, seed: int = 0) -> np.ndarray:
    """Factorise the positive pointwise mutual information of neighbouring words: float32 [V, width].

    With counts n(a, b) of how often b stands within `window` places of a in a line,

        M_ab = max(0, log n(a, b) n / (n(a) n(b))),   M ≈ U S Vᵀ,   vectors U √S:

    Levy, Goldberg and Dagan, TACL 3 (2015), section 2. Padding, id 0, has no neighbours and the vector 0.

    Args:
        x: ids [N, T] of the training lines, 0 after the end of each.
        ids: number V of ids.
        width: length of a vector, less than V.
        window: places on either side.
        seed: of the randomised singular value decomposition.

    Raises:
        InputError: for a width that is not less than the number of ids.

    Example:
        >>> word_vectors(np.array([[3, 4, 0], [3, 5, 4]]), 6, width=2).shape
        (6, 2)
    """
    if not 0 < width < ids:
        raise InputError(f"word_vectors: width must be from 1 to {ids - 1}. Received: width={width}")
    u, s, _ = randomized_svd(mutual_information(neighbours(x, ids, window)), width, random_state=seed)
    return (u * np.sqrt(s)).astype(np.float32)


def mean_of_vectors(x, vectors) -> np.ndarray:
    """Average the vectors [V, D] of the words of each line [N, T]; 0 for a line without words: float32 [N, D]."""
    x = np.asarray(x).astype(int)
    known = (x > 0).astype(np.float32)
    total = np.einsum("nt,ntd->nd", known, vectors[x])
    return total / np.maximum(known.sum(axis=1, keepdims=True), 1)


def neighbours(x, ids: int, window: int) -> sparse.csr_matrix:
    """Count how often each id stands near each other one: symmetric [V, V]."""
    x, counts = np.asarray(x).astype(int), sparse.csr_matrix((ids, ids))
    for distance in range(1, min(window, x.shape[1] - 1) + 1):
        left, right = x[:, :-distance].ravel(), x[:, distance:].ravel()
        both = (left > 0) & (right > 0)
        pairs = sparse.coo_matrix((np.ones(both.sum()), (left[both], right[both])), (ids, ids)).tocsr()
        counts = counts + pairs + pairs.T
    return counts


def mutual_information(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Compute the positive pointwise mutual information of counts [V, V]."""
    own, found = np.asarray(counts.sum(axis=1)).ravel(), counts.tocoo()
    ratio = found.data * own.sum() / (own[found.row] * own[found.col])
    return sparse.csr_matrix((np.maximum(np.log(ratio), 0), (found.row, found.col)), counts.shape)
