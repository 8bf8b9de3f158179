"""Compare what a masked autoencoder predicts with interpolation of the visible values."""

from functools import partial

import keras
import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.probe import outputs, public_method
from kerasae.evaluate.reconstruction import as_decoded, standardized

LARGEST = 2**15
"""Most places of an image or volume to interpolate: beyond it the triangulation takes minutes."""


def interpolation_error(model, data, batch_size: int = 256) -> dict[str, float]:
    """Measure the squared error of hidden values, predicted by a model and interpolated from the visible values.

    The masks are the fixed ones of the model's `score`, by which every patch is hidden at least once. Before the first
    and behind the last visible sample of a signal, its value is continued. Images and volumes are interpolated linearly
    between visible places, by their Delaunay triangulation, and outside it take the nearest.

    Args:
        model: a masked autoencoder, with `reconstruct(x, noise)`, `score_noise()` and `hidden(noise)`.
        data, batch_size: as for `kerasae.evaluate.reconstruction_error`.

    Returns:
        A dict: `hidden_mse` of the model, in [0, 1] units, or of standardised values, where 1 is that of the training
        mean; and of signals `linear_`, `cubic_` (a spline with continuous second derivative) and
        `monotone_interpolation_mse` (Fritsch and Carlson's, SIAM J. Numer. Anal. 17, 1980), of images and volumes
        `linear_interpolation_mse`.

    Raises:
        InputError: if the model is no masked autoencoder, or an image or volume has more than 2^15 places.

    Example:
        >>> kerasae.evaluate.interpolation_error(model, source.test)["linear_interpolation_mse"]
    """
    noise = public_method(model, "score_noise")()
    masks = keras.ops.convert_to_numpy(model.hidden(noise))[..., 0]
    methods = METHODS if masks.ndim == 2 else triangulated(masks.shape[1:])
    sums = dict.fromkeys(("hidden", *methods), 0.0)
    examples = 0
    for x, _, made in outputs(partial(predictions, model, noise), data, batch_size):
        target, examples = as_decoded(x, model), examples + len(x)
        for hidden, prediction in zip(masks, made, strict=True):
            found = {"hidden": standardized(prediction, model.standardization)[:, hidden]}
            found |= {name: method(target, hidden) for name, method in methods.items()}
            for name, values in found.items():
                sums[name] += float(np.square(values - target[:, hidden], dtype=np.float64).mean()) * len(x)
    return {f"{name}_mse": total / (examples * len(masks)) for name, total in sums.items()}


def predictions(model, noise, x):
    """Reconstruct x [B, ...] under each mask of noise [K, N]: a tuple of K arrays [B, ...]."""
    count = keras.ops.shape(x)[0]
    tiled = (keras.ops.tile(keras.ops.convert_to_tensor(one[None]), (count, 1)) for one in noise)
    return tuple(model.reconstruct(x, every) for every in tiled)


def spline(degree: int, x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Interpolate signals [N, T, C] at hidden [T] samples by a spline of a degree: [N, hidden, C]."""
    from scipy.interpolate import make_interp_spline

    seen, asked = between(hidden)
    return make_interp_spline(seen, x[:, seen], min(degree, len(seen) - 1), axis=1)(asked)


def monotone(x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Interpolate signals [N, T, C] at hidden [T] samples by cubics that do not overshoot: [N, hidden, C]."""
    from scipy.interpolate import PchipInterpolator

    seen, asked = between(hidden)
    return PchipInterpolator(seen, x[:, seen], axis=1)(asked)


def between(hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the visible samples, and of the hidden ones, moved to the nearest visible one outside of these."""
    seen = np.flatnonzero(~hidden)
    return seen, np.clip(np.flatnonzero(hidden), seen[0], seen[-1])


def linear(x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Interpolate images or volumes [N, ..., C] linearly at the hidden [...] places: [N, hidden, C]."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

    seen, asked, values = np.argwhere(~hidden), np.argwhere(hidden), np.moveaxis(x[:, ~hidden], 0, 1)
    found = LinearNDInterpolator(seen, values.reshape(len(seen), -1))(asked)
    outside = np.isnan(found[:, 0])
    found[outside] = NearestNDInterpolator(seen, values.reshape(len(seen), -1))(asked[outside])
    return np.moveaxis(found.reshape(len(asked), *values.shape[1:]), 1, 0)


METHODS = {
    "linear_interpolation": partial(spline, 1),
    "cubic_interpolation": partial(spline, 3),
    "monotone_interpolation": monotone,
}
"""Name of the figure of signals → function (x [N, T, C], hidden [T]) → values [N, hidden, C]."""


def triangulated(size: tuple[int, ...]) -> dict:
    """Name the interpolation of images and volumes; raises InputError for those that are too large."""
    if np.prod(size) > LARGEST:
        raise InputError(f"data: interpolation takes at most {LARGEST} places of an example. Received: {size}")
    return {"linear_interpolation": linear}
