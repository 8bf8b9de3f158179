"""Image files in folders: found by their layout, checked once, read when they are needed."""

from pathlib import Path

import numpy as np

from kerasae.data.encoded import FileStore
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.images import Decoder
from kerasae.data.index_cache import fingerprint, kept
from kerasae.data.info import Source, make_source
from kerasae.data.inspection import Look, inspect
from kerasae.data.layouts import Part, find_parts
from kerasae.data.pixel_format import agree
from kerasae.data.splits import Split
from kerasae.data.statistics import channel_statistics
from kerasae.data.subsets import holdout_by_name
from kerasae.errors import InputError, MixedSizes

TEST_FRACTION = 0.1


def load_folder(
    directory: str,
    image_size: tuple[int, int] | None = None,
    skip_broken: bool = False,
    center: float = 1.0,
    unlabelled: bool = False,
    value_range: tuple[float | None, float | None] = (None, None),
    bands: tuple[int, ...] | None = None,
) -> Source:
    """Load images of a folder: image files, a folder per class, or parts such as train/, val/ and test/.

    Parts may be called train, training, val, valid, validation, dev, test or testing, in any case, each with classes or
    without. A class may hold folders in folders. Without a test part a tenth of the files is held out as "test", chosen
    by their names alone (`holdout_by_name`). Hidden files, and files that are no images, are ignored.

    Images are read as they are meant and in full depth: see `kerasae.data.decoding.decode` for what a file becomes and
    `kerasae.data.pixel_format.agree` for what they have in common. `info.notes` counts what had to be converted.

    The first time, every file is decoded once, so that a broken one is found now and not in the middle of training.
    What was found is kept until a file changes. Pixels are read again when they are gathered.

    Args:
        directory: path.
        image_size: height and width that every image is scaled to.
        skip_broken: leave out files that cannot be read, and count them.
        center: share of the side that is kept, as for `kerasae.data.images.resize`.
        unlabelled: folders are places of images, not classes.
        value_range: stored values that mean 0 (floats only) and 1; None where the type decides.
        bands: numbers of the bands to keep, the first is 1; None for all.

    Raises:
        InputError: no images, a broken file (unless `skip_broken`), sizes that differ without `image_size`, folders of
            which it is not clear what they mean.
    """
    found, class_names, notes = find_parts(_folder(directory), unlabelled)
    parts, facts = _readable(directory, found, skip_broken)
    paths = [path for part in parts.values() for path in part.paths]
    columns = {name: np.concatenate([part[name] for part in facts.values()]) for name in Look._fields}
    pixel_format, changes = agree(paths, columns, value_range, bands)
    size = image_size or _common_size(paths, columns)
    decoder = Decoder(pixel_format, size if image_size or center < 1 else None, center)
    shape = (*size, len(pixel_format.chosen))
    splits = {name: _split(part, facts[name]["reader"], shape, decoder) for name, part in parts.items()}
    if "test" not in splits and "train" in splits and len(splits["train"]) > 1:
        splits |= _hold_out(splits["train"], parts["train"], notes)
    data = fingerprint_data(_facts(parts, facts, class_names))
    return make_source(
        f"folder:{directory}",
        splits,
        pixel_format.maximum,
        class_names,
        value_range=pixel_format.value_range,
        skipped=sum(len(part.names) for part in found.values()) - len(paths),
        notes=(*notes, *changes),
        fingerprint=data,
        **({} if pixel_format.is_tensorflow else _band_statistics(splits, data, decoder)),
    )


def _readable(directory: str, found: dict[str, Part], skip_broken: bool) -> tuple[dict[str, Part], dict[str, dict]]:
    """The files of every part that can be read, and the columns of `inspect`, by part."""
    inspected = {name: inspect(part, skip_broken) for name, part in found.items()}
    parts, facts = ({name: pair[i] for name, pair in inspected.items()} for i in (0, 1))
    if empty := [name for name, part in parts.items() if not part.names]:
        raise InputError(f"data: folder:{directory}: no image of the part {empty[0]!r} could be read.")
    return parts, facts


def _folder(directory: str) -> Path:
    root = Path(directory).expanduser()
    if not root.exists():
        raise InputError(f"data: folder:{directory} does not exist (looked in {root.absolute()}); check the path.")
    if not root.is_dir():
        raise InputError(f"data: folder:{directory} is a file; expected a folder of images.")
    return root.absolute()


def _common_size(paths: list[str], columns: dict[str, np.ndarray]) -> tuple[int, int]:
    """Height and width of all images."""
    sizes = np.stack([columns["height"], columns["width"]], axis=1)
    odd = (sizes != sizes[0]).any(axis=1)
    if odd.any():
        a, b = ("{} is {} x {}".format(paths[i], *sizes[i]) for i in (0, int(np.argmax(odd))))
        raise MixedSizes(
            f"image_size: images differ in size: {a}, {b} (height x width); give image_size, for example 64."
        )
    return tuple(sizes[0].tolist())


def _split(part: Part, readers: np.ndarray, shape: tuple[int, int, int], decoder: Decoder) -> Split:
    return Split(FileStore(part.paths, shape, decoder, readers), None if (part.labels < 0).all() else part.labels)


def _hold_out(split: Split, part: Part, notes: list[str]) -> dict[str, Split]:
    """The splits "train" and "test" that the names of the files decide."""
    train, test, enough = holdout_by_name(part.names, TEST_FRACTION)
    if not enough:
        chosen = ", ".join(part.names[i] for i in test)
        notes.append(f"too few images to hold out a tenth of them by name; held out: {chosen}")
    return {"train": split.subset(train), "test": split.subset(test)}


def _band_statistics(splits: dict[str, Split], data: str, decoder: Decoder) -> dict[str, tuple[float, ...]]:
    """Mean and deviation of each band over the training images, kept until the data or their reading change."""

    def measure():
        found = channel_statistics(splits["train"], decoder.format.maximum)
        return dict(zip(("band_mean", "band_std"), map(np.array, found), strict=True))

    if "train" not in splits:
        return {}
    columns = kept(fingerprint(["bands", data, repr(decoder)]), measure)
    return {name: tuple(values.tolist()) for name, values in columns.items()}


def _facts(parts: dict[str, Part], facts: dict, class_names: list[str] | None):
    """Split, name, class and size in bytes of every file: what the fingerprint of a folder is made of."""
    for part_name, part in parts.items():
        for name, label, size in zip(part.names, part.labels, facts[part_name]["bytes"], strict=True):
            yield f"{part_name}\0{name}\0{class_names[label] if label >= 0 else ''}\0{size}"
