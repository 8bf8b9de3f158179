"""Classes compared by their names: two data sets may number the same classes differently."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerasae.data.info import Source
from kerasae.data.layouts import listed
from kerasae.data.splits import Split
from kerasae.errors import InputError


def match_classes(source: Source, names: Sequence[str] | None) -> Source:
    """Number the classes of a source as a model does, by their names.

    Either list may hold classes that the other lacks, but not both. Examples of classes that the model does not know
    are left out, and a line in `info.notes` counts them.

    Args:
        source: data, with labels or without.
        names: the model's classes in the order of its outputs; None leaves the source as it is.

    Raises:
        InputError: each list has a class that the other lacks; the message gives both.

    Example:
        >>> match_classes(source, ["dog", "cat"]).info.class_names  # of a folder with cat/ and dog/
        ('dog', 'cat')
    """
    own = source.info.class_names
    if names is None or own is None or own == tuple(names):
        return source
    missing, extra = sorted(set(own) - set(names)), sorted(set(names) - set(own))
    if missing and extra:
        raise InputError(
            f"data: the classes of {source.info.spec} are {listed(own)}, but the model knows {listed(names)}; expected "
            f"the same names; rename the classes, or leave out {listed(missing)}."
        )
    numbers = {name: i for i, name in enumerate(names)}
    table = np.array([numbers.get(name, -1) for name in own])
    splits = {name: found for name, split in source.splits.items() if (found := _renumber(split, table)) is not None}
    counts = {name: len(split) for name, split in splits.items()}
    left_out = {name: count - counts.get(name, 0) for name, count in source.info.counts.items()}
    notes = (f"left out, of classes that the model does not know, {listed(missing)}: {_spell(left_out)}",)
    notes = source.info.notes + (notes if missing else ())
    return Source(dataclasses.replace(source.info, class_names=tuple(names), counts=counts, notes=notes), splits)


def _renumber(split: Split, table: np.ndarray) -> Split | None:
    """The examples whose class has a number in the table, with that number; None if there are none."""
    if split.labels is None:
        return split
    labels = np.where(split.labels < 0, -1, table[split.labels])
    rows = np.flatnonzero((split.labels < 0) | (labels >= 0))
    return split.relabelled(labels).subset(rows) if len(rows) else None


def _spell(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
