"""Checks of a model's input: shapes while a step is traced, values on the first batch and in public methods."""

import itertools

import keras
import numpy as np

from kerasae.errors import InputError

SLACK = 1e-3
"""Tolerated distance of a value from [0, 1]: the rounding of resized or half-precision images."""


def x_and_mask(model, given):
    """Split an input, an array or {"x": x, "mask": mask}, into x and its mask, None without."""
    if not isinstance(given, dict):
        return given, None
    name = type(model).__name__
    if "x" not in given or set(given) - {"x", "mask"}:
        raise InputError(f'{name}: expected x, or {{"x": x, "mask": mask}}. Received a dict of {sorted(given)}')
    x, mask = given["x"], given.get("mask")
    if mask is None:
        return x, None
    if not model.takes_mask:
        raise InputError(f"{name}: takes no mask; give x alone")
    wanted, shape = tuple(model.mask_shape), tuple(mask.shape[1:])
    if len(shape) != len(wanted) or any(n not in (m, None) and m is not None for n, m in zip(shape, wanted)):  # noqa: B905
        raise InputError(f"{name}: expected a mask of shape {('B', *wanted)}, 1 = counts. Received: {('B', *shape)}")
    return x, mask


def check_shape(model, x):
    """Raise InputError unless x is [B, *example_shape]; unknown sizes pass."""
    given, wanted = tuple(x.shape[1:]), tuple(model.example_shape)
    if len(given) == len(wanted) and all(None in (n, m) or n == m for n, m in zip(given, wanted, strict=True)):
        return
    hint = (
        "add the channel axis, x[..., None]"
        if given == wanted[:-1] and wanted[-1] == 1
        else ("build the networks for this shape, or give x in theirs")
    )
    raise InputError(f"{type(model).__name__}: expected examples of shape {wanted}. Received: {given}; {hint}")


def check_values(model, data, strict=False):
    """Raise InputError for values outside the model's range; tensors without values yet pass.

    Integers must lie in 0…`pixel_max`, floats in [0, 1] where the likelihood requires it. Masked values pass, and so
    does NaN: some models take it as missing data, and the guard finds it in the others.
    """
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    x, mask = x_and_mask(model, {n: v for n, v in x.items() if n != "weight"} if isinstance(x, dict) else x)
    if is_concrete(x) and (mask is None or is_concrete(mask)):
        x = np.asarray(x) if mask is None else np.asarray(x)[np.asarray(mask, bool)]
        x = x[~np.isnan(x)] if x.dtype.kind == "f" else x
        if x.size:
            (_check_range if model.standardization is None else _check_finite)(model, x, strict)
    if model.conditional and is_concrete(y):
        _check_classes(model, np.asarray(y))


def check_condition(model, y, beside, known=False):
    """Raise InputError for a y that is not a valid condition; y must be None for a model that is not conditional.

    With `known` an unknown class, −1, is refused of every model.
    """
    if y is None:
        return
    name = type(model).__name__
    if not model.conditional:
        raise InputError(f"{name}: has no use for y, as its networks take no condition; leave y out")
    if is_concrete(y):
        _check_classes(model, np.asarray(y), known)
    given, wanted = ((getattr(v, "shape", None) or np.shape(v) or (None,))[0] for v in (y, beside))
    if None not in (given, wanted) and given != wanted:
        raise InputError(f"{name}: expected one condition per example, {wanted}. Received: {given}")


def first_batch(x, y=None, batch_size=32):
    """Return the first batch of an input of `fit`, and the input; a generator gets its first batch back."""
    if hasattr(x, "element_spec"):  # tf.data
        return next(iter(x.take(1)), None) if hasattr(x, "take") else None, x
    if isinstance(x, keras.utils.PyDataset):
        return (x[0] if x.num_batches else None), x
    if hasattr(x, "__next__"):
        first = next(x, None)
        return first, (x if first is None else itertools.chain([first], x))
    size = batch_size or 32
    return keras.tree.map_structure(lambda v: v[:size], (x,) if y is None else (x, y)), x


def is_concrete(x):
    """Tell whether x is an array with values, not None or a symbolic tensor."""
    return isinstance(x, np.ndarray | list) or hasattr(x, "numpy") or hasattr(x, "addressable_shards")


def _check_range(model, x, strict):
    low, high = x.min(), x.max()
    name, most = type(model).__name__, model.pixel_max
    if x.dtype.kind in "iub":
        if low < 0 or high > most:
            raise InputError(
                f"{name}: expected integers in 0…{most:g}, as pixel_max={most:g}. Received: {low} to {high}; give "
                + ("ids of the model's vocabulary" if model.ids else "the pixel_max of these data, or floats")
            )
        if strict and most == 255 and high == 1 and low == 0 and model.ids is None:
            raise InputError(
                f"{name}: all integers are 0 or 1, which pixel_max=255 makes 0 to 1/255; give pixel_max=1 for binary "
                "data, or floats in [0, 1]"
            )
    elif model.ids is not None:
        if low < 0 or high > most or not np.all(x == np.floor(x)):
            raise InputError(f"{name}: expected ids, whole numbers in 0…{most:g}. Received: floats {low:g} to {high:g}")
    elif model.unit_range and (low < -SLACK or high > 1 + SLACK):
        raise InputError(
            f"{name}: expected floats in [0, 1] under {type(model.likelihood).__name__}. Received: {low:g} to "
            f"{high:g}; give stored integers, divide by the greatest value, or choose the Gaussian likelihood"
        )


def _check_finite(model, x, strict):
    """Raise InputError for infinite values, which no standardisation makes finite."""
    if not np.isfinite(x).all():
        raise InputError(f"{type(model).__name__}: expected finite numbers. Received: an infinite one; remove it")


def _check_classes(model, y, known=False):
    """Raise InputError for classes out of range, which one-hot encoding would silently turn into zeros."""
    classes, least = y.ndim == 1 or y.dtype.kind in "iu", -1 if model.infers_labels and not known else 0
    if classes and y.size and not (least <= y.min() <= y.max() < model.condition_width and np.all(y == np.floor(y))):
        raise InputError(
            f"{type(model).__name__}: expected classes {least} to {model.condition_width - 1}, or numbers "
            f"[B, {model.condition_width}]. Received: {y.min()} to {y.max()} of shape {y.shape}"
        )
