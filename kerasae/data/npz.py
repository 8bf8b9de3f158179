"""Arrays from one .npz file: x_train, y_train, x_test, y_test, or codes."""

import difflib

import numpy as np

from kerasae.data import npz_codes
from kerasae.data.any_numbers import as_float32, refuse_non_finite
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import Source, make_source, standardizing, with_test
from kerasae.data.npz_file import read_arrays
from kerasae.data.splits import ArrayStore, Split
from kerasae.errors import InputError

PARTS = ("train", "test")
KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(
    file: str, value_range: tuple[float | None, float | None] = (None, None), sequences: bool = False
) -> Source:
    """Arrays of `file`; labels and the test part are optional, other arrays are ignored.

    x is vectors [N, D], images [N, H, W], to which a channel is added, or [N, H, W, C], or has five axes. With
    `sequences`, [N, T] and [N, T, C] are sequences of T steps of C numbers instead. Floats in
    0..1 are kept as float32, integers in 0..255 as uint8; where the largest is 1, `max_value` is 1. With `value_range`,
    the stored values that mean 0 (of floats only) and 1, floats are scaled by it, and integers up to 65535 are kept as
    uint16. Any other finite numbers are kept as float32, for a model to standardise by the `mean` and `deviation` of
    `info`. y is integers 0..K-1, [N] or [N, 1]. Without x_test a fixed 10 % of every class of the train part is held
    out. A file that `kerasae embed` has written is read as `npz_codes.parts_of_codes` says. Nothing in the file is ever
    unpickled.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    arrays, codes = _read(file)
    x = {part: _numbers(arrays[f"x_{part}"], f"x_{part} of {file}") for part in PARTS if f"x_{part}" in arrays}
    x = {part: _steps(array, f"x_{part} of {file}") for part, array in x.items()} if sequences else x
    y = {part: _labels(arrays.get(f"y_{part}"), len(x[part]), f"y_{part} of {file}") for part in x}
    standardized = value_range == (None, None) and not all(map(_has_usual_range, x.values()))
    x = _of_any_range(x, file) if standardized else _in_range(x, file, value_range)
    _agree(x, y, file)
    class_names = _class_names(y["train"], file)
    stored = x if sequences else {part: _with_channel(array) for part, array in x.items()}
    splits = with_test({part: Split(ArrayStore(stored[part]), y[part]) for part in x})
    facts = {"fingerprint": fingerprint_data(array for part in x for array in (part, stored[part], y[part]))}
    if standardized:
        facts |= _standardizing(splits["train"], x["train"], codes)
        return make_source(f"npz:{file}", splits, 1, class_names, **facts)
    max_value, facts["value_range"] = _range(x, *value_range)
    return make_source(f"npz:{file}", splits, max_value, class_names, **facts)


def _has_usual_range(x: np.ndarray) -> bool:
    """Whether numbers are floats from 0 to 1, or integers from 0 to 255."""
    return bool(x.min() >= 0 and x.max() <= (1 if x.dtype.kind == "f" else 255))


def _of_any_range(x: dict[str, np.ndarray], file: str) -> dict[str, np.ndarray]:
    """All parts as float32; they must hold the same kind of numbers."""
    kinds = {part: "floats" if array.dtype.kind == "f" else "integers" for part, array in x.items()}
    if len({*kinds.values()}) > 1:
        raise InputError(f"data: npz:{file}: expected x_test like x_train, {kinds['train']}; received {kinds['test']}.")
    return {part: as_float32(array, f"x_{part} of {file}") for part, array in x.items()}


def _standardizing(train: Split, x: np.ndarray, codes: bool) -> dict:
    """Mean and deviation of the training rows that are not held out, along the last axis as stored, and a note.

    Codes share one deviation: by its own, a number that the encoder leaves idle would become noise as loud as the rest.
    """
    low, high, shared = float(x.min()), float(x.max()), " that all share" if codes else ""
    note = (
        f"numbers from {low:.6g} to {high:.6g}, which models standardise by their training mean and deviation{shared}"
    )
    return {**standardizing(x[train.rows], shared=codes), "notes": (note,)}


def _with_channel(x: np.ndarray) -> np.ndarray:
    return x[..., None] if x.ndim == 3 else x


def _steps(x: np.ndarray, name: str) -> np.ndarray:
    """Sequences [N, T, C] of an array [N, T] or [N, T, C]."""
    if x.ndim not in (2, 3):
        raise InputError(f"sequences: expected {name} to be [N, T] or [N, T, C]; received {x.shape}; leave it out.")
    return x if x.ndim == 3 else x[..., None]


def _range(x: dict[str, np.ndarray], least: float | None, most: float | None):
    """The value that means 1, and the stored floats that were scaled to 0 and 1, None for none."""
    if x["train"].dtype == np.float32:
        return 1, None if least is most is None else (least or 0.0, 1.0 if most is None else most)
    if most is not None:
        return most, None
    return 1 if max(part.max() for part in x.values()) == 1 else 255, None


def _read(file: str) -> tuple[dict[str, np.ndarray], bool]:
    """The known arrays of the file, by name, and whether they are codes."""

    def choose(names):
        if "codes" in names and "x_train" not in names:
            return [name for name in npz_codes.ARRAYS if name in names]
        _check_names(names, file)
        return [key for key in KEYS if key in names]

    found = read_arrays(file, "npz", choose, "write images as uint8, or as files in a folder: source")
    codes = "codes" in found
    return npz_codes.parts_of_codes(found, file) if codes else found, codes


def _check_names(names: list[str], file: str) -> None:
    if "x_train" not in names:
        raise InputError(f"data: npz:{file} has no x_train; it has {', '.join(names) or 'nothing'}; rename the images.")
    for name in set(names) - set(KEYS):
        if near := difflib.get_close_matches(name.lower(), KEYS, n=1, cutoff=0.8):
            raise InputError(f"data: npz:{file} has {name!r}; did you mean {near[0]!r}? Rename or remove it.")
    if "y_test" in names and "x_test" not in names:
        raise InputError(f"data: npz:{file} has y_test without x_test; add the images or remove the labels.")


def _numbers(x: np.ndarray, name: str) -> np.ndarray:
    """Check rank and type of an array as stored, and that its numbers are finite."""
    if not 2 <= x.ndim <= 5 or 0 in x.shape:
        raise InputError(f"data: {name}: expected [N, D] and up to five axes, none empty; received {x.shape}.")
    if x.dtype.kind not in "fiub":
        raise InputError(f"data: {name}: expected floats or integers; received type {x.dtype}.")
    refuse_non_finite(x, name)
    return x


def _in_range(x: dict[str, np.ndarray], file: str, value_range) -> dict[str, np.ndarray]:
    """Parts as float32 scaled to 0..1, or as integers uint8 or uint16."""
    convert = {part: _floats if array.dtype.kind == "f" else _integers for part, array in x.items()}
    return {part: convert[part](array, f"x_{part} of {file}", *value_range) for part, array in x.items()}


def _floats(x: np.ndarray, name: str, least: float | None, most: float | None) -> np.ndarray:
    low, high = float(x.min()), float(x.max())
    start, end = least or 0.0, 1.0 if most is None else most
    if not start < end:
        raise InputError(f"min_value: expected less than max_value, {end:g}; received {start:g}.")
    if low < start or high > end:
        raise InputError(
            f"data: {name}: expected floats from {start:g} to {end:g}; received {low:.4g} to {high:.4g}; "
            "give others, or leave min_value and max_value out to standardise them."
        )
    x = x if (least, most) == (None, None) else (x.astype(np.float64) - start) / (end - start)
    return np.ascontiguousarray(x, np.float32)


def _integers(x: np.ndarray, name: str, least: float | None, most: float | None) -> np.ndarray:
    if least is not None:
        raise InputError(f"min_value: only used with floats, not with the integers of {name}; leave it out.")
    low, high = int(x.min()), int(x.max())
    most = 255 if most is None else most
    if not 1 <= most <= 65535 or most != int(most):
        raise InputError(f"max_value: expected a whole number from 1 to 65535 for integers; received {most:g}.")
    if low < 0 or high > most:
        raise InputError(
            f"data: {name}: expected integers from 0 to {most:g}; received {low} to {high}; give a larger max_value, "
            "or leave it out to standardise them."
        )
    return np.ascontiguousarray(x, np.uint8 if most <= 255 else np.uint16)


def _labels(y: np.ndarray | None, count: int, name: str) -> np.ndarray | None:
    if y is None:
        return None
    if y.shape not in ((count,), (count, 1)):
        raise InputError(
            f"data: {name}: expected one label for each of the {count} examples; received shape {y.shape}."
        )
    if y.dtype.kind not in "iu":
        raise InputError(f"data: {name}: expected integers 0..K-1; received type {y.dtype}; convert the labels.")
    return y.reshape(count).astype(np.int64)


def _agree(x: dict, y: dict, file: str) -> None:
    """The two parts must be of one kind."""
    if "test" not in x:
        return
    kinds = [(x[part].shape[1:], x[part].dtype.name) for part in PARTS]
    if kinds[0] != kinds[1]:
        raise InputError(f"data: npz:{file}: expected x_test like x_train, {kinds[0]}; received {kinds[1]}.")
    if y["test"] is None:
        return
    if y["train"] is None:
        raise InputError(f"data: npz:{file} has y_test but no y_train; add the labels or remove y_test.")
    if unknown := sorted(set(y["test"].tolist()) - set(y["train"].tolist())):
        raise InputError(f"data: npz:{file}: y_test has the label {unknown[0]}, which y_train does not have.")


def _class_names(y: np.ndarray | None, file: str) -> list[str] | None:
    if y is None:
        return None
    found = np.unique(y)
    if not np.array_equal(found, np.arange(len(found))):
        raise InputError(
            f"data: y_train of {file}: expected the labels 0..K-1, each at least once; received {len(found)} "
            f"different ones from {found[0]} to {found[-1]}; renumber: np.unique(y, return_inverse=True)."
        )
    return [str(label) for label in found]
