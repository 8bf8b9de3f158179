"""Walk through the latent space: maps, traversals and paths, decoded."""

import numpy as np
from keras import ops
from scipy.stats import norm

from kerasae.errors import InputError

SIDE = 20
"""Examples along each side of a map."""


def plane(model, side: int = SIDE) -> np.ndarray:
    """Decode a grid over a latent space of two dimensions: [side, side, *shape], row by row.

    Of a Gaussian prior the grid's places are its quantiles, as in Kingma and Welling, arXiv 1312.6114, appendix A: the
    centres of `side` equally likely strips in each dimension; the second dimension falls from row to row, as on a
    plot. Codes on the sphere in three dimensions are places of longitude (columns) and latitude (rows).

    Args:
        model: anything with `decode` and `code_shape`; codes of another kind than N(0, I) or the sphere give a map
            of what the decoder makes of places that it may not know.
        side: examples along each side, ≥ 2.

    Raises:
        InputError: codes of other dimensions, or a conditional model.

    Example:
        >>> plane(model, side=10).shape
        (10, 10, 28, 28, 1)
    """
    if side < 2:
        raise InputError(f"side: expected at least 2. Received: {side}")
    refuse_conditional(model)
    images = array(model.decode(places(model, side)))
    return images.reshape(side, side, *images.shape[1:])


def places(model, side: int) -> np.ndarray:
    """Return the codes of a map, float32 [side², Z]."""
    share = (np.arange(side) + 0.5) / side
    if tuple(model.code_shape) == (2,):
        across, down = np.meshgrid(norm.ppf(share), norm.ppf(share[::-1]))
        return np.stack([across, down], -1).reshape(-1, 2).astype("float32")
    if on_sphere(model) and tuple(model.code_shape) == (3,):
        longitude, latitude = np.meshgrid(2 * np.pi * share - np.pi, np.pi * (0.5 - share))
        flat = np.cos(latitude)
        points = [flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)]
        return np.stack(points, -1).reshape(-1, 3).astype("float32")
    raise InputError(
        f"map: expected codes of two dimensions, or of three on the sphere. Received: codes {model.code_shape}; "
        "train with --code 2"
    )


def traversals(model, code: np.ndarray, values: np.ndarray, dimensions: int | None = None) -> np.ndarray:
    """Decode a code with one dimension changed at a time: [dimensions, values, *shape].

    Args:
        model: anything with `decode`.
        code: [Z], such as that of an example.
        values: the numbers [V] that each dimension is set to.
        dimensions: how many, from the first on; all when not given.

    Raises:
        InputError: a code that is no vector, or a conditional model.
    """
    refuse_conditional(model)
    code, values = np.asarray(code, "float32"), np.asarray(values, "float32")
    if code.ndim != 1:
        raise InputError(f"code: expected a vector. Received: a code of shape {code.shape}")
    count = min(len(code), dimensions or len(code))
    codes = np.tile(code, (count, len(values), 1))
    codes[np.arange(count)[:, None], np.arange(len(values)), np.arange(count)[:, None]] = values
    images = array(model.decode(codes.reshape(-1, len(code))))
    return images.reshape(count, len(values), *images.shape[1:])


def between(first: np.ndarray, second: np.ndarray, steps: int, spherical: bool = False) -> np.ndarray:
    """Interpolate codes: [R, *code_shape] twice → [R, steps, *code_shape], both ends included.

    Straight lines, or great circles: sin((1−t) Ω) / sin Ω · a + sin(t Ω) / sin Ω · b with Ω the angle between a and b
    (Shoemake, SIGGRAPH 1985; White, arXiv 1609.04468, for Gaussian codes, whose length hardly varies). Of codes with
    more axes the angle is that of the flattened ones. Parallel codes are joined by straight lines.

    Example:
        >>> between(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 3, spherical=True)[0, 1]  # half way on the circle
        array([0.70710678, 0.70710678])
    """
    if steps < 2:
        raise InputError(f"steps: expected at least 2. Received: {steps}")
    share = np.linspace(0.0, 1.0, steps)
    a, b = (np.asarray(z, "float64").reshape(len(z), 1, -1) for z in (first, second))
    t = share[None, :, None]
    left, right = 1 - t, t
    if spherical:
        lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
        cosine = (a * b).sum(-1, keepdims=True) / np.maximum(lengths, 1e-12)
        angle = np.arccos(np.clip(cosine, -1, 1))
        bent = np.sin(angle) > 1e-6
        safe = np.where(bent, np.sin(angle), 1.0)
        left = np.where(bent, np.sin((1 - t) * angle) / safe, left)
        right = np.where(bent, np.sin(t * angle) / safe, right)
    return (left * a + right * b).reshape(len(a), steps, *np.shape(first)[1:]).astype(np.asarray(first).dtype)


def conditions(model, codes: np.ndarray, classes: int) -> np.ndarray:
    """Decode each code under every class: [R, classes, *shape]; a row varies y at fixed z, a column z at fixed y.

    Args:
        model: a conditional model.
        codes: [R, *code_shape].
        classes: K.

    Raises:
        InputError: a model that is not conditional.
    """
    if not model.conditional:
        raise InputError(f"model: {type(model).__name__} takes no condition; train one with --conditional")
    codes = np.asarray(codes)
    images = array(model.decode(np.repeat(codes, classes, axis=0), np.tile(np.arange(classes), len(codes))))
    return images.reshape(len(codes), classes, *images.shape[1:])


def on_sphere(model) -> bool:
    """Whether the codes of a model lie on the unit sphere."""
    return getattr(getattr(model, "posterior", None), "support", "") == "sphere"


def refuse_conditional(model) -> None:
    """Raise InputError for a model whose decoder needs a class."""
    if model.conditional:
        raise InputError(f"model: {type(model).__name__} is conditional; use `conditions`, which decodes every class")


def array(tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))
