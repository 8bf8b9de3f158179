"""What a data set is (`Info`) and where its splits are (`Source`)."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasae.data.any_numbers import statistics
from kerasae.data.batching import in_order
from kerasae.data.layouts import listed
from kerasae.data.splits import Split
from kerasae.data.subsets import holdout
from kerasae.errors import InputError

TEST_FRACTION = 0.1
SPLIT_SEED = 0
KINDS = {1: "vector", 2: "sequence", 3: "image"}
"""Axes of an example → its kind."""


@dataclass(frozen=True)
class Info:
    """The facts of a data set that models, reports and run directories need."""

    spec: str
    """The string that `load` was given."""
    shape: tuple[int, ...]
    """Shape of one example: (H, W, C) for images, (D,) for vectors."""
    dtype: str
    """"uint8", "uint16" or "float32"."""
    max_value: float
    """The value that means 1.0: 255 for photos, 65535 for 16 bits, 16 for digits, 1 for binarised data and floats."""
    counts: dict[str, int]
    """Examples per split."""
    class_names: tuple[str, ...] | None = None
    """A name per class in the order of the labels; None without labels."""
    value_range: tuple[float, float] | None = None
    """Stored floats that were scaled to 0 and 1; None where values are as stored."""
    band_mean: tuple[float, ...] | None = None
    """Mean of each band over the training images, in units of `max_value`; None for photos of 8 bits."""
    band_std: tuple[float, ...] | None = None
    """Standard deviation of each band, likewise."""
    skipped: int = 0
    """Broken files that were left out."""
    notes: tuple[str, ...] = ()
    """What a user should know of how the data were read, a line each."""
    fingerprint: str = ""
    """SHA-256 of what the splits hold: it changes with the data, not with the place where they lie."""
    label_kind: str = "class"
    """What a label is: "class", one of `class_names`; "classes", several of `label_names`; "numbers", one for each."""
    label_names: tuple[str, ...] | None = None
    """Names of the columns [D] of labels that are several classes or numbers; None where a label is one class."""
    label_columns: tuple[str, ...] = ()
    """Columns of the table that the labels are from; none where the data have labels of their own."""
    label_fingerprint: str = ""
    """SHA-256 of the labels of such a table, which `fingerprint` does not cover."""
    columns: tuple = ()
    """The `table_columns.Column`s of a table, in the order of the places of an example."""
    by: str = ""
    """Of ratings, what an example is: "item" or "user"."""
    row_names: tuple[str, ...] = ()
    """Of ratings, the names of the examples, items or users."""
    column_names: tuple[str, ...] = ()
    """Of ratings, the names of the places of an example, users or items."""
    rating_range: tuple[float, float] | None = None
    """Of ratings, the least and the greatest one."""
    binarized: bool = False
    """Whether stored values are draws of 0 and `max_value`, whose chances the data hold."""
    kind: str = ""
    """What an example is: "image", "vector", "sequence" or "array" by its axes, unless a source names another."""
    mean: tuple[float, ...] | None = None
    """Mean of each feature over the training examples, along the last axis as stored, where numbers may be of any range
    and the model standardises them; None where they lie in `range`."""
    deviation: tuple[float, ...] | None = None
    """Standard deviation of each feature, likewise; 1 for one that never changes."""

    @property
    def standardized(self) -> bool:
        """Whether numbers are of any range, and a model standardises them by `mean` and `deviation`."""
        return self.mean is not None

    @property
    def range(self) -> tuple[float, float] | None:
        """Values that mean 0 and 1, as stored; None for numbers of any range."""
        return None if self.standardized else self.value_range or (0.0, self.max_value)

    @property
    def unit(self) -> str:
        """What 1 is in the model."""
        return "the feature's standard deviation" if self.standardized else f"the stored value {self.range[1]:g}"

    @property
    def classes(self) -> int:
        """Number of classes, where a label is one of them; 0 otherwise."""
        return len(self.class_names or ())

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what a model of the labels gives, a number each; empty without labels."""
        return self.label_names or self.class_names or ()

    def as_dict(self) -> dict:
        """The fields as plain lists, strings and numbers, ready for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }


@dataclass(frozen=True)
class Source:
    """A loaded data set: its `info` and its `splits` by name."""

    info: Info
    splits: dict[str, Split]

    @property
    def train(self) -> Split:
        """The split "train"; raises `InputError` when the data set has none."""
        return self.split("train")

    @property
    def test(self) -> Split:
        """The split to report on: "test", or "validation" where there is no "test" or only that one has no labels.

        Raises `InputError` when the data set has neither.
        """
        return self.split("validation" if self._test_is_validation() else "test")

    @property
    def has_test(self) -> bool:
        """Whether there is a split to report on."""
        return not {"test", "validation"}.isdisjoint(self.splits)

    def _test_is_validation(self) -> bool:
        if "validation" not in self.splits:
            return False
        test = self.splits.get("test")  # some publish the images of their test, but not its labels
        return test is None or (test.labels is None and self.splits["validation"].labels is not None)

    def split(self, name: str) -> Split:
        """The split of that name; raises `InputError` that lists the names when there is none."""
        if name not in self.splits:
            names = ", ".join(self.splits)
            raise InputError(f"split: {self.info.spec} has no split {name!r}; it has {names}; choose one of these.")
        return self.splits[name]

    def stored(self) -> list[tuple[Split, np.ndarray]]:
        """Every example once, in stored order: splits, and for each the names [N] of the parts of its examples.

        Parts that were cut from the same arrays or files, such as a held-out test, come as one split.
        """
        rest, found = dict(self.splits), []
        while rest:
            first = next(iter(rest.values()))
            parts = {name: split for name, split in rest.items() if split.shares_store(first)}
            rest = {name: split for name, split in rest.items() if name not in parts}
            found.append(_joined(parts))
        return found

    def labelled(self) -> "Source":
        """The same source with the examples that have a label alone; parts without any are as they were.

        `info` stays that of the whole.
        """
        return Source(self.info, {name: split.labelled() for name, split in self.splits.items()})

    def tfdata(self, split: str = "train") -> tf.data.Dataset:
        """Single examples `(image, label)` in order and as stored; the label as `Split.gather` gives it."""
        return in_order(self.split(split), 256).unbatch()


def _joined(parts: dict[str, Split]) -> tuple[Split, np.ndarray]:
    """One split of parts that share their store, in stored order, and the name of the part of each example."""
    rows = np.concatenate([split.rows for split in parts.values()])
    names = np.repeat(list(parts), [len(split) for split in parts.values()])
    labelled = any(split.labels is not None for split in parts.values())
    shape = next((split.labels.shape[1:] for split in parts.values() if split.labels is not None), ())
    unknown = np.full((1, *shape), np.nan if shape else -1)
    labels = [unknown.repeat(len(s), axis=0) if s.labels is None else s.labels for s in parts.values()]
    order = np.argsort(rows, kind="stable")
    joined = next(iter(parts.values())).at_rows(rows[order], np.concatenate(labels)[order] if labelled else None)
    return joined, names[order]


def make_source(spec: str, splits: dict[str, Split], max_value: float, class_names=None, **facts) -> Source:
    """Put splits of one shape and type together as a `Source`; `facts` are further fields of its `Info`."""
    first = next(iter(splits.values()))
    counts = {name: len(split) for name, split in splits.items()}
    names = None if class_names is None else tuple(class_names)
    facts["kind"] = facts.get("kind") or KINDS.get(len(first.shape), "array")
    facts["notes"] = (*facts.get("notes", ()), *absences(splits, names or ()))
    return Source(Info(spec, first.shape, first.dtype, float(max_value), counts, names, **facts), splits)


def standardizing(x: np.ndarray, shared: bool = False) -> dict[str, tuple[float, ...]]:
    """Facts of training examples [N, ...] of any range: mean and deviation of the features along the last axis."""
    mean, deviation = statistics(x, shared)
    return {"mean": tuple(mean.tolist()), "deviation": tuple(deviation.tolist())}


def absences(splits: dict[str, Split], class_names: tuple[str, ...]) -> list[str]:
    """Say which classes have no example in a labelled split: there, they are not learned or not measured."""
    found = []
    for name, split in splits.items():
        absent = [] if split.labels is None else np.setdiff1d(np.arange(len(class_names)), split.labels)
        if len(absent):
            found.append(f"no example of {listed(class_names[i] for i in absent)} in {name}")
    return found


def with_test(splits: dict[str, Split]) -> dict[str, Split]:
    """Hold a fixed tenth of every class out of "train" if there is no "test"; a lone example stays."""
    everything = splits["train"]
    if "test" in splits or len(everything) < 2:
        return splits
    groups = len(everything) if everything.labels is None else everything.labels
    train, test = holdout(groups, TEST_FRACTION, SPLIT_SEED)
    return {**splits, "train": everything.subset(train), "test": everything.subset(test)}
