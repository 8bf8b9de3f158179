"""Examples that are kept as encoded images and decoded when they are gathered, so that memory stays flat."""

import os

import numpy as np
import tensorflow as tf

from kerasae.data.images import Decoder


class EncodedStore:
    """Encoded images that become uint8 of one shape; a subclass says where the bytes of a row are.

    Args:
        shape: of one decoded example, (H, W, C).
        decoder: makes it from the bytes.
    """

    dtype = tf.uint8

    def __init__(self, shape: tuple[int, int, int], decoder: Decoder):
        self.shape, self.decoder = shape, decoder
        # Called outside of a graph, a loop of Python over the images takes a millisecond for each.
        self._read = tf.function(self._read_rows, [tf.TensorSpec([None], tf.int64)], autograph=False)
        self.parallel_calls = max(2, os.cpu_count() or 2)

    def encoded(self, rows: tf.Tensor) -> tf.Tensor:
        """The bytes of the given rows, string [B]."""
        raise NotImplementedError

    def read(self, rows: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, C] of the given rows."""
        return self._read(rows)

    def _read_rows(self, rows):
        return tf.map_fn(self._whole, self.encoded(rows), fn_output_signature=self._signature())

    def read_cropped(self, rows: tf.Tensor, seeds: tf.Tensor, crop) -> tf.Tensor:
        """The same, each a random crop of the image as it is stored: seeds int32 [B, 2], a `RandomResizedCrop`."""

        def cut(pair):
            image = self.decoder.cropped(*pair, crop, self.shape[:2])
            return tf.ensure_shape(image, self.shape)

        return tf.map_fn(cut, (self.encoded(rows), seeds), fn_output_signature=self._signature())

    def _whole(self, data):
        return tf.ensure_shape(self.decoder.whole(data), self.shape)

    def _signature(self):
        return tf.TensorSpec(self.shape, self.dtype)


class FileStore(EncodedStore):
    """Image files, each read when it is gathered."""

    def __init__(self, paths, shape: tuple[int, int, int], decoder: Decoder):
        super().__init__(shape, decoder)
        with tf.device("CPU:0"):
            self.paths = tf.constant([os.fsencode(path) for path in paths])

    def __len__(self) -> int:
        return int(self.paths.shape[0])

    def encoded(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, tf.gather(self.paths, rows))


class RecordStore(EncodedStore):
    """Records of TFRecord files, found by their places; each is read when it is gathered.

    Args:
        files: paths, local or of a file system that TensorFlow knows (gs://…).
        index: columns `shard`, `offset` and `length` with a row per example, as `records.index` gives them.
        image_of: function of a serialised example, a string, → the bytes of its image, in a graph.
        shape, decoder: as for `EncodedStore`.
    """

    portable = False  # Python reads the records

    def __init__(self, files, index: dict[str, np.ndarray], image_of, shape, decoder: Decoder):
        super().__init__(shape, decoder)
        self.files, self.index, self.image_of = list(files), index, image_of

    def __len__(self) -> int:
        return len(self.index["offset"])

    def encoded(self, rows: tf.Tensor) -> tf.Tensor:
        serialized = tf.numpy_function(self._records, [rows], tf.string)
        return tf.map_fn(self.image_of, tf.ensure_shape(serialized, [None]), fn_output_signature=tf.string)

    def _records(self, rows: np.ndarray) -> np.ndarray:
        places = (self.index[name][rows] for name in ("shard", "offset", "length"))
        return np.array([self._record(*place) for place in zip(*places, strict=True)], object)

    def _record(self, shard: int, offset: int, length: int) -> bytes:
        with open_at(self.files[shard], int(offset)) as stream:
            return stream.read(int(length))


def open_at(path: str, offset: int):
    """A file opened for reading at a place."""
    # Python's own file does not read ahead half a megabyte, as TensorFlow's does.
    stream = tf.io.gfile.GFile(path, "rb") if "://" in path else open(path, "rb", buffering=0)
    stream.seek(offset)
    return stream
