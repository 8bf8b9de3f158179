"""A split: numbered examples, in memory or encoded, that can be gathered inside a tf.data graph."""

import numpy as np
import tensorflow as tf

from kerasae.data.batching import in_order
from kerasae.data.checks import fits_in_memory
from kerasae.data.label_columns import is_labelled
from kerasae.errors import InputError

ARRAYS_BATCH = 1024  # examples read at a time by `arrays`


class ArrayStore:
    """Examples in memory: one tensor that every split, subset and graph shares.

    The tensor is eager and lives on the CPU: a `Dataset.map` captures it by reference, whereas a NumPy array
    would be copied into every graph, and a tensor on an accelerator would be copied back for every batch.
    """

    parallel_calls = 2

    def __init__(self, images: np.ndarray):
        with tf.device("CPU:0"):
            self.images = tf.constant(images)
        self.shape = tuple(self.images.shape[1:])
        self.dtype = self.images.dtype
        self.portable = images.nbytes < 2**30  # it travels in a graph, which may have two gibibytes

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def read(self, rows: tf.Tensor) -> tf.Tensor:
        """Examples [B, ...] of the given rows."""
        return tf.gather(self.images, rows)


class Split:
    """Numbered examples of one part of a data set, with or without labels.

    `labels` is an int64 array [N] of classes, −1 where unknown; or a float32 array [N, D] of numbers, or of 0 and 1 for
    each of D classes, NaN where unknown; or None. A split made by `subset` shares the memory of its parent.

    Example:
        >>> train = kerasae.data.load("digits").train
        >>> images, labels = train.gather([0, 5])
        >>> images.shape, labels.dtype
        (TensorShape([2, 8, 8, 1]), tf.int64)
    """

    def __init__(self, store, labels: np.ndarray | None = None, rows: np.ndarray | None = None):
        self._store = store
        self._rows = np.arange(len(store)) if rows is None else rows
        self.labels = None if labels is None else np.array(labels, np.float32 if np.ndim(labels) == 2 else np.int64)
        if self.labels is not None:
            self.labels.flags.writeable = False  # the graph has its own copy, which must not differ
        with tf.device("CPU:0"):
            self._row_tensor = tf.constant(self._rows, tf.int64)
            self._label_tensor = None if labels is None else tf.constant(self.labels)

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray | None = None) -> "Split":
        """A split of examples that are in memory already, such as codes: images [N, ...], labels [N] or None."""
        return cls(ArrayStore(images), labels)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        labelled = "unlabelled" if self.labels is None else "labelled"
        return f"Split({len(self)} {labelled} examples of shape {self.shape}, {self.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self._store.shape

    @property
    def dtype(self) -> str:
        """Type of the values as stored: "uint8", "uint16" or "float32"."""
        return self._store.dtype.name

    @property
    def rows(self) -> np.ndarray:
        """Where each example is stored: its row in the arrays or files that this split shares with others, int [N]."""
        return self._rows

    def shares_store(self, other: "Split") -> bool:
        """Whether both splits are parts of the same stored examples, as a held-out test is of the training data."""
        return self._store is other._store

    @property
    def paths(self) -> np.ndarray | None:
        """The file of each example as bytes [N], None where it is not one file each."""
        paths = getattr(self._store, "paths", None)
        return None if paths is None else paths.numpy()[self._rows]

    @property
    def starts(self) -> np.ndarray | None:
        """Place in time of each window of a recording, int64 [N], None of other examples."""
        starts = getattr(self._store, "starts", None)
        return None if starts is None else starts[self._rows]

    @property
    def parallel_calls(self) -> int:
        """Batches to prepare at the same time: few from memory, one per core where files are decoded."""
        return self._store.parallel_calls

    @property
    def encoded(self) -> bool:
        """Whether examples are decoded as they are gathered, so that a crop can be cut from what is stored."""
        return hasattr(self._store, "read_cropped")

    @property
    def portable(self) -> bool:
        """Whether another process can gather its examples, if it finds files under the same paths."""
        return getattr(self._store, "portable", True)

    def gather(self, indices, crop=None, seeds=None) -> tuple[tf.Tensor, tf.Tensor]:
        """Examples [B, ...] and their labels, int64 [B] (-1 where there are none) or float32 [B, D], for Dataset.map.

        Of an `encoded` split, `crop`, a `RandomResizedCrop`, is cut from each image as it is stored, before it is
        resized; `seeds` int32 [B, 2] are those of the crop, or of an example that is drawn anew each time.

        Raises tf.errors.InvalidArgumentError for an index outside 0..N-1.
        """
        with tf.device("CPU:0"):
            indices = tf.cast(tf.convert_to_tensor(indices), tf.int64)
            rows = tf.gather(self._row_tensor, indices)
            images = self._read(rows, crop, seeds)
            if self._label_tensor is None:
                return images, tf.fill(tf.shape(indices), tf.constant(-1, tf.int64))
            return images, tf.gather(self._label_tensor, indices)

    def _read(self, rows, crop, seeds):
        if crop is not None:
            return self._store.read_cropped(rows, seeds, crop)
        if seeds is not None and hasattr(self._store, "read_drawn"):
            return self._store.read_drawn(rows, seeds)
        return self._store.read(rows)

    def stored_as(self, wrap) -> "Split":
        """The same examples from `wrap(store)`, a store of as many."""
        return Split(wrap(self._store), self.labels, self._rows)

    def subset(self, indices: np.ndarray) -> "Split":
        """The examples at `indices`, in that order, as a split; raises `InputError` for an index outside."""
        indices = np.asarray(indices)
        if indices.ndim != 1 or indices.size == 0 or indices.dtype.kind not in "iu":
            raise InputError(
                "indices: expected a vector of at least one integer; "
                f"received shape {indices.shape}, type {indices.dtype}."
            )
        if indices.min() < 0 or indices.max() >= len(self):
            raise InputError(
                f"indices: expected numbers from 0 to {len(self) - 1}; received {indices.min()} to {indices.max()}."
            )
        labels = None if self.labels is None else self.labels[indices]
        return Split(self._store, labels, self._rows[indices])

    def labelled(self) -> "Split":
        """The examples that have a label: the split itself where all or none have one."""
        known = None if self.labels is None else is_labelled(self.labels)
        return self if known is None or known.all() or not known.any() else self.subset(np.flatnonzero(known))

    def at_rows(self, rows: np.ndarray, labels: np.ndarray | None = None) -> "Split":
        """The examples at the given rows of what is stored, also those of other parts, with these labels."""
        return Split(self._store, labels, rows)

    def relabelled(self, labels: np.ndarray) -> "Split":
        """The same examples with other labels, or with None."""
        return Split(self._store, labels, self._rows)

    def arrays(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The whole split as NumPy `(x, y)`, y None without labels; raises `InputError` if far too big."""
        nbytes = len(self) * int(np.prod(self.shape)) * self._store.dtype.size
        fits_in_memory(nbytes, f"a split of {len(self)} examples", "take a subset, or use batches or in_order")
        x = np.empty((len(self), *self.shape), self.dtype)
        for i, (images, _) in enumerate(in_order(self, ARRAYS_BATCH)):
            x[i * ARRAYS_BATCH : (i + 1) * ARRAYS_BATCH] = images
        return x, None if self.labels is None else self.labels.copy()
