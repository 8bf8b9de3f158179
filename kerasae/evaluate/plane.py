"""Map examples to the plane: by their codes, and without a model, by principal components and by distances."""

import numpy as np

from kerasae.errors import InputError

MOST = 500
"""Most examples of a map: distances of all pairs take time that grows with their square."""


def planar_maps(model, x, most: int = MOST, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Map at most `most` examples, drawn at random, to the plane: their codes, beside PCA and MDS of the data.

    Codes of two numbers are shown as they are, others by their first two principal components. Multidimensional scaling
    places the examples so that distances in the plane are those of the data as nearly as can be: the least Σ (d − δ)²
    by SMACOF (de Leeuw, 1977), from the principal components.

    Args:
        model: a model of the contract that is not conditional.
        x: stored values [N, *shape], N ≥ 3.
        most: most examples.
        seed: of the choice of the examples.

    Returns:
        (rows, panels): which of the N are shown, in order [n]; and title → points float32 [n, 2].

    Raises:
        InputError: fewer than three examples, or values that are not finite.

    Example:
        >>> rows, panels = planar_maps(model, images)
        >>> kerasae.plots.maps(panels, labels[rows])
    """
    if len(x) < 3:
        raise InputError(f"x: expected 3 or more examples. Received: {len(x)}")
    rows = np.sort(np.random.default_rng(seed).permutation(len(x))[: max(3, most)])
    values, codes = (_flat(found) for found in (model.prepare(x[rows]).x, model.encode(x[rows])))
    if not np.isfinite(values).all():
        raise InputError("x: expected finite values. Received: some that are missing or infinite")
    how = "codes" if codes.shape[1] <= 2 else "codes, PCA"
    data = principal_plane(values)
    shown = codes if codes.shape[1] == 2 else principal_plane(codes)
    return rows, {how: shown, "data, PCA": data, "data, MDS": scaled(values, data)}


def _flat(found) -> np.ndarray:
    return np.asarray(found, np.float32).reshape(len(found), -1)


def principal_plane(values: np.ndarray) -> np.ndarray:
    """Project rows [N, D] onto their first two principal components, [N, 2]; a second one of zeros where D is 1."""
    centred = values - values.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    found = left[:, :2] * lengths[:2]
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def scaled(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Scale the distances of rows [N, D] to the plane, from a first guess [N, 2]."""
    from sklearn.manifold import smacof
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(values.astype(np.float64))
    return smacof(distances, n_components=2, init=start, n_init=1, normalized_stress=False)[0].astype(np.float32)
