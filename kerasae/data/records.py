"""Where each example of TFRecord files lies, so that any of them can be read at any time."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from kerasae.data.index_cache import fingerprint, kept

HEAD, TAIL = 12, 4  # bytes before and after a record: its length with a checksum, and the checksum of its bytes
SCAN_BATCH = 1024


def index(name: str, files: list[str], label_of: Callable | None) -> dict[str, np.ndarray]:
    """A row per record: `shard`, the number of its file, `offset` and `length` of its bytes, `label`, -1 for none.

    The first time every record is read once, which also checks it; the result is kept for the next time.

    Args:
        name: of the data set, with its version.
        files: paths of TFRecord files, local or of a file system that TensorFlow knows.
        label_of: function of a serialised example → its label, in a graph; None for no labels.

    Raises:
        tf.errors.DataLossError: a file is damaged.
    """
    sizes = [str(tf.io.gfile.stat(file).length) for file in files]
    names = [os.path.basename(file) for file in files]
    return kept(fingerprint([name, *names, *sizes]), lambda: _scan(files, label_of))


def _scan(files, label_of) -> dict[str, np.ndarray]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda file: _scan_file(file, label_of), files))
    lengths, labels = (np.concatenate(column) for column in zip(*found, strict=True))
    return {
        "shard": np.repeat(np.arange(len(files), dtype=np.int32), [len(part) for part, _ in found]),
        "offset": np.concatenate([_offsets(part) for part, _ in found]),
        "length": lengths,
        "label": labels,
    }


def _scan_file(file, label_of) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and labels of a file's records."""

    def look(record):
        label = tf.constant(-1, tf.int64) if label_of is None else tf.cast(label_of(record), tf.int64)
        return tf.cast(tf.strings.length(record), tf.int64), label

    batches = tf.data.TFRecordDataset(file).map(look).batch(SCAN_BATCH).as_numpy_iterator()
    found = [np.empty((2, 0), np.int64), *(np.stack(batch) for batch in batches)]
    return tuple(np.concatenate(found, axis=1))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    """Where the bytes of each record of a file begin."""
    return np.cumsum(lengths + HEAD + TAIL) - lengths - TAIL
