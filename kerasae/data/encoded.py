"""Examples that are kept as encoded images and decoded when they are gathered, so that memory stays flat."""

import os

import numpy as np
import tensorflow as tf

from kerasae.data.images import Decoder
from kerasae.data.inspection import PILLOW


class EncodedStore:
    """Encoded images that become pixels of one shape and type; a subclass says where the bytes of a row are.

    Args:
        shape: of one decoded example, (H, W, C).
        decoder: makes it from the bytes.
    """

    def __init__(self, shape: tuple[int, int, int], decoder: Decoder):
        self.shape, self.decoder, self.dtype = shape, decoder, tf.as_dtype(decoder.format.dtype)
        # Called outside of a graph, a loop of Python over the images takes a millisecond for each.
        self._read = tf.function(self._read_rows, [tf.TensorSpec([None], tf.int64)], autograph=False)
        self.parallel_calls = max(2, os.cpu_count() or 2)

    def encoded(self, rows: tf.Tensor) -> tf.Tensor:
        """The bytes of the given rows, string [B]."""
        raise NotImplementedError

    def readers(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What `Decoder` has to know beside the bytes, for the given rows: nothing, or `reader` [B]."""
        return ()

    def read(self, rows: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, C] of the given rows."""
        return self._read(rows)

    def _read_rows(self, rows):
        given = (self.encoded(rows), *self.readers(rows))
        return tf.map_fn(lambda image: self._whole(*image), given, fn_output_signature=self._signature())

    def read_cropped(self, rows: tf.Tensor, seeds: tf.Tensor, crop) -> tf.Tensor:
        """The same, each a random crop of the image as it is stored: seeds int32 [B, 2], a `RandomResizedCrop`."""

        def cut(given):
            data, seed, *reader = given
            image = self.decoder.cropped(data, seed, crop, self.shape[:2], *reader)
            return tf.ensure_shape(image, self.shape)

        given = (self.encoded(rows), seeds, *self.readers(rows))
        return tf.map_fn(cut, given, fn_output_signature=self._signature())

    def _whole(self, data, reader=None):
        return tf.ensure_shape(self.decoder.whole(data, reader), self.shape)

    def _signature(self):
        return tf.TensorSpec(self.shape, self.dtype)


class FileStore(EncodedStore):
    """Image files, each read when it is gathered.

    Args:
        paths: of the files.
        shape, decoder: as for `EncodedStore`.
        readers: the reader of each file, as in `inspection.Look`, int [N].
    """

    def __init__(self, paths, shape: tuple[int, int, int], decoder: Decoder, readers: np.ndarray):
        super().__init__(shape, decoder)
        # Where every file is upright and TensorFlow's, nothing has to be asked of each.
        plain = decoder.format.is_tensorflow and (readers == 1).all()
        self.portable = bool(decoder.format.is_tensorflow and (readers != PILLOW).all())  # NumPy stays in a process
        with tf.device("CPU:0"):
            self.paths = tf.constant([os.fsencode(path) for path in paths])
            self._readers = None if plain else tf.constant(readers, tf.int32)

    def __len__(self) -> int:
        return int(self.paths.shape[0])

    def encoded(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, tf.gather(self.paths, rows))

    def readers(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return () if self._readers is None else (tf.gather(self._readers, rows),)


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
