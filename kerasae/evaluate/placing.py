"""Place codes in the plane by scikit-learn or umap-learn, and measure how far neighbourhoods are kept."""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from kerasae.errors import InputError
from kerasae.evaluate.plane import principal_plane, scaled

FEWEST, MOST = 8, 10_000
"""Fewest and most examples of a map: most methods compare all pairs."""


def place(codes: np.ndarray, method: str = "tsne", seed: int = 0) -> np.ndarray:
    """Place codes [N, ...] in the plane: float32 [N, 2].

    Args:
        codes: [N, ...], 8 ≤ N ≤ 10,000, flattened to vectors.
        method: "pca", their first two principal components; "mds", multidimensional scaling by SMACOF (de Leeuw, 1977)
            from there; "tsne" (van der Maaten and Hinton, JMLR 9, 2008), perplexity 30; "umap" (McInnes et al., arXiv
            1802.03426), 15 neighbours, by the package umap-learn. Codes of two numbers are placed as they are by "pca".
        seed: of the last two.

    Raises:
        InputError: another method, too few or too many codes, ones that are not finite or all the same, or a missing
            package.

    Example:
        >>> place(np.random.default_rng(0).normal(size=(20, 5)), "pca").shape
        (20, 2)
    """
    x = np.asarray(codes, np.float32).reshape(len(codes), -1)
    check_codes(x)
    if method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(METHODS)}. Received: {method!r}")
    with threadpool_limits(1):  # t-SNE waits long for its threads where others compute too
        return np.asarray(METHODS[method](x, seed), np.float32)


def check_codes(x: np.ndarray) -> None:
    """Raise InputError for codes [N, F] that no method can place."""
    if not FEWEST <= len(x) <= MOST:
        raise InputError(f"examples: expected {FEWEST} to {MOST} for a map. Received: {len(x)}")
    if not np.isfinite(x).all():
        raise InputError("codes: expected finite numbers. Received: some that are not; check the training")
    if (x == x[0]).all():
        raise InputError("codes: all examples have the same one, so that there is no map; the encoder has collapsed")


def by_components(x, seed):
    return x if x.shape[1] == 2 else principal_plane(x)


def by_distances(x, seed):
    return scaled(x, principal_plane(x))


def by_tsne(x, seed):
    from sklearn.manifold import TSNE

    start = principal_plane(x)
    start = (start / np.std(start[:, 0]) * 1e-4).astype(np.float32)  # as scikit-learn scales its own
    return TSNE(2, perplexity=min(30, (len(x) - 1) / 3), init=start, random_state=seed).fit_transform(x)


def by_umap(x, seed):
    try:
        import umap
    except ImportError:
        raise InputError('method: umap needs umap-learn; pip install "kerasae[maps]", or give tsne') from None
    return umap.UMAP(n_neighbors=min(15, len(x) - 1), random_state=seed, n_jobs=1).fit_transform(x)


METHODS: dict[str, Callable] = {"pca": by_components, "mds": by_distances, "tsne": by_tsne, "umap": by_umap}
"""Name of a method → function (x [N, F], seed) → places [N, 2]."""


def trust(codes: np.ndarray, places: np.ndarray, neighbours: int = 12) -> float:
    """Measure the trustworthiness of a map: 1 where all neighbours in the plane are neighbours by their codes too.

    1 − 2 / (N k (2 N − 3 k − 1)) Σᵢ Σⱼ (r(i, j) − k), over the k nearest j of i in the plane that are only the
    r(i, j)-th nearest by their codes, r > k (Venna and Kaski, ICANN 2001), by scikit-learn.

    Args:
        codes: [N, ...].
        places: [N, 2].
        neighbours: k; less where N is small.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(30, 2))
        >>> trust(x, 3 * x)
        1.0
    """
    from sklearn.manifold import trustworthiness

    x = np.asarray(codes, np.float32).reshape(len(codes), -1)
    return float(trustworthiness(x, places, n_neighbors=min(neighbours, (len(x) - 1) // 2)))
