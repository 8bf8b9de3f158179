"""The codes that `kerasae embed` has written, as examples of their own."""

import numpy as np

from kerasae.errors import InputError

ARRAYS = ("codes", "splits", "labels")
"""Arrays that are read of a file of codes; the last two are optional."""


def parts_of_codes(arrays: dict[str, np.ndarray], file: str) -> dict[str, np.ndarray]:
    """Turn codes [N, D], or tokens [N, T, D], into x_train, y_train and, where there are some, x_test and y_test.

    Each token is an example, N·T in all, with the label of its image. Codes of the validation part are left out; where
    no codes are of the train part, all are. Labels are left out where one of them is not known.

    Raises:
        InputError: the arrays are of different lengths, or of other ranks.
    """
    codes = arrays["codes"]
    splits, labels = arrays.get("splits", np.full(len(codes), "train")), arrays.get("labels")
    if codes.ndim not in (2, 3) or any(len(codes) != len(other) for other in arrays.values()):
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise InputError(
            f"data: npz:{file}: expected codes [N, D] or tokens [N, T, D] and N splits; received {shapes}."
        )
    tokens = codes.shape[1] if codes.ndim == 3 else 1
    labels = None if labels is None or labels.min(initial=0) < 0 else np.repeat(labels, tokens)
    rows, splits = codes.reshape(-1, codes.shape[-1]), np.repeat(splits, tokens)
    places = {"train": splits == "train", "test": splits == "test"}
    if not places["train"].any():
        places = {"train": np.full(len(rows), True)}
    found = {f"x_{part}": rows[place] for part, place in places.items() if place.any()}
    if labels is not None:
        found |= {f"y_{part}": labels[place] for part, place in places.items() if place.any()}
    return found
