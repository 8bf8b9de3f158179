"""Images from TensorFlow Datasets, prepared or downloaded: in memory as uint8, or read when they are needed."""

import difflib
import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasae.data import records
from kerasae.data.checks import memory_for
from kerasae.data.encoded import RecordStore
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.images import Decoder, resize
from kerasae.data.info import Source, make_source
from kerasae.data.pixel_format import PixelFormat
from kerasae.data.splits import ArrayStore, Split
from kerasae.errors import InputError, MixedSizes

READ_BATCH = 1000  # decoding in large batches: 60,000 MNIST images in about two seconds on two cores


def load_tfds(name: str, data_dir=None, image_size: tuple[int, int] | None = None, center: float = 1.0) -> Source:
    """Every split of the data set `name` ("mnist", "cifar10", "NAME/config"), under its own name.

    Uses a prepared copy under `data_dir` if there is one, else downloads and prepares it there (without
    `data_dir`: in tfds's own default folder). Images of one size are held in memory as stored, where they take less
    than half of it; where the largest value is 1 (binarised data) the `max_value` is 1, else 255. Others stay in
    their files, and are read and decoded when they are gathered; the first time, every record is read once to find
    its place and its label.
    """
    builder = _builder(name, data_dir)
    keys = _keys(builder.info.features, name)
    shape = _shape(builder.info.features[keys[0]], name, image_size)
    _prepare(builder, name)  # after the checks: a download may take hours
    counts = {split: info.num_examples for split, info in builder.info.splits.items() if info.num_examples}
    if not counts:
        raise InputError(f"data: tfds:{name} is empty in {builder.data_dir}; delete that folder and prepare it again.")
    small = memory_for(sum(counts.values()) * int(np.prod(shape)))
    if small and None not in builder.info.features[keys[0]].shape:
        splits, largest = _in_memory(builder, counts, shape, keys, center)
    else:
        splits, largest = (
            _in_files(builder, counts, shape, keys, Decoder(PixelFormat(shape[-1]), shape[:2], center)),
            255,
        )
    names = builder.info.features[keys[1]].names if keys[1] else None
    sizes = (f"{split} {info.num_examples} {info.num_bytes}" for split, info in builder.info.splits.items())
    fingerprint = fingerprint_data((builder.info.full_name, *sizes))
    return make_source(f"tfds:{name}", splits, 1 if largest == 1 else 255, names, fingerprint=fingerprint)


def _in_memory(builder, counts, shape, keys, center) -> tuple[dict[str, Split], int]:
    """The splits as arrays, and the largest value."""
    splits, largest = {}, 0
    for split, count in counts.items():
        images, labels = _read(builder, split, (count, *shape), keys, center)
        splits[split] = Split(ArrayStore(images), labels)
        largest = max(largest, int(images.max()))
    return splits, largest


def _in_files(builder, counts, shape, keys, decoder) -> dict[str, Split]:
    """The splits as records that are read when they are gathered."""
    if builder.info.file_format.value != "tfrecord":
        raise InputError(
            f"data: {builder.data_dir} is prepared as {builder.info.file_format.value}; too large for the memory, it "
            "can be read from tfrecord files only; prepare it as these."
        )
    image_of, label_of = _parsers(builder.info.features, *keys)
    splits = {}
    for split, count in counts.items():
        files = [os.fspath(path) for path in builder.info.splits[split].filepaths]
        with _damage_named(builder):
            index = records.index(f"{builder.info.full_name}/{split}", files, label_of)
        _complete(builder, len(index["offset"]), count)
        labels = None if (index["label"] < 0).all() else index["label"]
        splits[split] = Split(RecordStore(files, index, image_of, shape, decoder), labels)
    return splits


def _parsers(features, image_key: str, label_key: str | None):
    """Functions of a serialised example: → the bytes of its image, and → its label, None where there is none."""
    import tensorflow_datasets as tfds

    def only(key, **options):
        partial = tfds.decode.PartialDecoding({key: True}).extract_features(features)
        return lambda serialized: partial.deserialize_example(serialized, **options)[key]

    image_of = only(image_key, decoders={image_key: tfds.decode.SkipDecoding()})
    return image_of, only(label_key) if label_key else None


def _builder(name: str, data_dir):
    """The tfds builder, or an `InputError` that names the nearest data set."""
    import tensorflow_datasets as tfds

    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
    if data_dir is not None and os.path.isfile(data_dir):
        raise InputError(
            f"data_dir: expected a folder; {data_dir} is a file; give the folder that holds the data sets."
        )
    try:
        _refuse_foreign_code(name, data_dir)
        return tfds.builder(name, data_dir=data_dir)
    except InputError:
        raise
    except tfds.core.DatasetNotFoundError as error:
        base = name.split("/")[0].split(":")[0]
        near = difflib.get_close_matches(base, tfds.list_builders(with_community_datasets=False), n=1, cutoff=0.0)
        hint = f"did you mean tfds:{near[0]}?" if near else "see tensorflow.org/datasets."
        raise InputError(f"data: expected a data set of TensorFlow Datasets; received {name!r}; {hint}") from error
    except Exception as error:  # tfds raises many types for a wrong config, version or damaged folder
        raise InputError(f"data: tfds:{name} cannot be opened: {_first_line(error)}; check name/config.") from error


def _refuse_foreign_code(name: str, data_dir) -> None:
    """Raise `InputError` where tfds would import code that is not its own.

    A namespace, as in "somebody:mnist", makes it fetch a script; a class in the features.json of a prepared folder
    makes it import that class's module.
    """
    base, _, version = name.split("/")[0].partition(":")
    if version and not version[0].isdigit():  # mnist:3.0.1 is a version
        raise InputError(f"data: tfds:{name} is of the namespace {base!r}, whose code would be run; expected NAME.")
    if data_dir is None or not base or "\0" in base + str(data_dir):
        return
    for file in Path(data_dir, base).rglob("features.json"):
        if foreign := [name for name in _class_names(file) if not name.startswith("tensorflow_datasets.")]:
            raise InputError(f"data: {file} names {foreign[0]!r}, which is not of tfds; nothing of it was imported.")


def _class_names(file: Path) -> list[str]:
    """All classes that a features.json names, as tfds reads it: in the old, the new or the other new spelling."""
    found, rest = [], [json.loads(file.read_bytes())]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            names = [value.get(key) for key in ("pythonClassName", "python_class_name", "type")]
            found += [name for name in names if isinstance(name, str) and "." in name]
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found


def _prepare(builder, name: str) -> None:
    """Download and prepare unless that is done; whatever fails there is the user's network or folder."""
    if builder.is_prepared():
        return
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"data: tfds:{name} is not prepared in {builder.data_dir} and could not be downloaded "
            f"({_first_line(error)}); connect to the network, or give with --data-dir (data_dir=) the "
            f"folder that holds a prepared copy, the one with {builder.name}/ in it."
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _keys(features, name: str) -> tuple[str, str | None]:
    """The names of the image feature and of the class label (None without one)."""
    import tensorflow_datasets as tfds

    found = dict(features.items()) if hasattr(features, "items") else {}
    images = [k for k, f in found.items() if isinstance(f, tfds.features.Image)]
    labels = [k for k, f in found.items() if isinstance(f, tfds.features.ClassLabel)]
    if not images:
        raise InputError(f"data: tfds:{name} has no image feature, only {', '.join(found)}; choose a set of images.")
    image = "image" if "image" in images else images[0]
    if np.dtype(found[image].np_dtype) != np.uint8:
        raise InputError(f"data: tfds:{name} expected images of type uint8; received {found[image].np_dtype}.")
    return image, "label" if "label" in labels else (labels[0] if labels else None)


def _shape(feature, name: str, image_size: tuple[int, int] | None) -> tuple[int, int, int]:
    height, width, channels = feature.shape
    if image_size is not None:
        height, width = image_size
    if height is None or width is None:
        raise MixedSizes(
            f"image_size: tfds:{name} holds images of mixed sizes; expected a size; give image_size, for example 64."
        )
    return height, width, channels or 3


def _read(builder, split: str, shape: tuple[int, ...], keys: tuple[str, str | None], center: float):
    """Images uint8 [N, H, W, C] and labels int64 [N] (None where there are none or all are -1), in order."""
    images, labels = np.empty(shape, np.uint8), np.full(shape[0], -1, np.int64)
    start = 0
    with _damage_named(builder):
        for batch in _dataset(builder, split, shape[1:], *keys, center):
            end = start + len(batch["image"])
            images[start:end] = batch["image"]
            if keys[1]:
                labels[start:end] = batch["label"]
            start = end
    _complete(builder, start, shape[0])
    return images, None if (labels < 0).all() else labels


@contextmanager
def _damage_named(builder):
    """Turn what TensorFlow says about damaged records into an `InputError` that names the folder."""
    try:
        yield
    except tf.errors.OpError as error:
        raise InputError(
            f"data: {builder.data_dir} is damaged ({_first_line(error)}); delete it and prepare the data set again."
        ) from error


def _complete(builder, found: int, promised: int) -> None:
    if found != promised:
        raise InputError(f"data: {builder.data_dir} holds {found} of {promised} examples; delete and prepare it again.")


def _dataset(builder, split: str, shape: tuple[int, ...], image_key: str, label_key: str | None, center: float):
    """Batches of the split in stored order, as dicts with "image" and perhaps "label"."""
    import tensorflow_datasets as tfds

    def fit(example):
        return {**example, image_key: resize(example[image_key], shape[:2], center)}

    def pick(batch):
        labels = {"label": batch[label_key]} if label_key else {}
        return {"image": batch[image_key], **labels}

    wanted = {image_key: True, **({label_key: True} if label_key else {})}
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted),
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    if dataset.element_spec[image_key].shape != shape or center < 1:
        dataset = dataset.map(fit, num_parallel_calls=2)
    options = tf.data.Options()
    options.autotune.enabled = False  # its period would delay the end of every split
    return dataset.batch(READ_BATCH).map(pick).prefetch(2).with_options(options)
