"""Measure how active the units of a code are."""

import numpy as np

from kerasae.evaluate.probe import outputs, public_method


def unit_activity(model, data, batch_size: int = 256) -> dict[str, float]:
    """Measure the mean activity ρ̂_j of every unit j of the code over a data set.

    Args:
        model: anything with `encode(x)` → [B, ...].
        data: an array [N, ...], a `(x, y)` pair, or a split of a `kerasae.data` source.
        batch_size: examples encoded at once.

    Returns:
        A dict: `activity`, the mean of ρ̂_j over the units; `activity_least` and `activity_greatest`, its extremes, all
        in the unit of the code.

    Raises:
        InputError: if the model cannot encode.

    Example:
        >>> import types
        >>> unit_activity(types.SimpleNamespace(encode=lambda x: x, pixel_max=1), np.float32([[0, 1], [1, 1]]))
        {'activity': 0.75, 'activity_least': 0.5, 'activity_greatest': 1.0}
    """
    total, count = 0.0, 0
    for x, _, codes in outputs(public_method(model, "encode"), data, batch_size):
        total, count = total + np.sum(codes, axis=0, dtype="float64"), count + len(x)
    means = total / count
    return {
        "activity": float(means.mean()),
        "activity_least": float(means.min()),
        "activity_greatest": float(means.max()),
    }
