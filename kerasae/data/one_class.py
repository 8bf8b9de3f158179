"""One class of a data set to learn from, as what is normal; the test part keeps all classes."""

import dataclasses

import numpy as np

from kerasae.data.info import SPLIT_SEED, Source, standardizing
from kerasae.data.layouts import listed
from kerasae.data.subsets import holdout
from kerasae.errors import InputError

HELD_OUT = 0.1
"""Share of the normal training examples that becomes the validation part, where the data have none."""


def only_class(source: Source, name: str) -> Source:
    """Keep one class of the training and the validation part, as what is normal; the test part keeps all classes.

    Where there is no validation part, a fixed tenth of the normal training examples becomes one, by which the threshold
    of a detector is chosen. Numbers of any range are standardised by the normal training examples alone.

    Args:
        source: data with one class per example.
        name: the class, by its name, or by its number from 0 where no class has that name.

    Raises:
        InputError: no such class, or fewer than two training examples of it.

    Example:
        >>> only_class(kerasae.data.load("digits"), "3").info.counts
        {'train': 131, 'validation': 15, 'test': 360}
    """
    number = class_number(source.info, name)
    splits = {part: s if part == "test" else _of_class(s, number) for part, s in source.splits.items()}
    train = splits.get("train")
    if train is None or len(train) < 2:
        raise InputError(f"only_class: expected at least 2 training examples of {name!r} in {source.info.spec}.")
    if "validation" not in splits:
        kept, held = holdout(len(train), HELD_OUT, SPLIT_SEED)
        splits = {"train": train.subset(kept), "validation": train.subset(held), **_without(splits, "train")}
    splits = {part: split for part, split in splits.items() if split is not None}
    facts = {"counts": {part: len(split) for part, split in splits.items()}}
    return Source(dataclasses.replace(source.info, **facts, **_moments(source.info, splits["train"])), splits)


def class_number(info, name: str) -> int:
    """Find a class by its name, or by its number; raises InputError if there is none."""
    names = info.class_names or ()
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise InputError(f"only_class: expected a class of {info.spec}, {listed(names) or 'which has none'}; got {name!r}.")


def _of_class(split, number: int):
    """The examples of a class, None without any."""
    rows = np.flatnonzero(split.labels == number) if split.labels is not None else np.array([], int)
    return split.subset(rows) if len(rows) else None


def _without(splits: dict, name: str) -> dict:
    return {part: split for part, split in splits.items() if part != name}


def _moments(info, train) -> dict:
    """Mean and deviation of the normal training examples; categories of a table stay unscaled, codes share one."""
    if not info.standardized:
        return {}
    facts = standardizing(train.arrays()[0], shared=not info.columns and len({*info.deviation}) == 1)
    coded = np.repeat([c.categories is not None for c in info.columns], [c.width for c in info.columns])
    if len(coded):
        facts["deviation"] = tuple(np.where(coded, 1.0, facts["deviation"]).tolist())
    return facts
