"""Image files in folders: found by their layout, checked once, read when they are needed."""

from pathlib import Path

import numpy as np

from kerasae.data.encoded import FileStore
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.images import Decoder
from kerasae.data.info import Source, make_source
from kerasae.data.inspection import inspect
from kerasae.data.layouts import Part, find_parts
from kerasae.data.splits import Split
from kerasae.data.subsets import holdout_by_name
from kerasae.errors import InputError

TEST_FRACTION = 0.1


def load_folder(
    directory: str,
    image_size: tuple[int, int] | None = None,
    skip_broken: bool = False,
    center: float = 1.0,
    unlabelled: bool = False,
) -> Source:
    """Load images of a folder: image files, a folder per class, or parts such as train/, val/ and test/.

    Parts may be called train, training, val, valid, validation, dev, test or testing, in any case, each with classes or
    without. A class may hold folders in folders. Without a test part a tenth of the files is held out as "test", chosen
    by their names alone (`holdout_by_name`). Hidden files, and files that are no images, are ignored.

    The first time, every file is decoded once, so that a broken one is found now and not in the middle of training.
    What was found is kept until a file changes. Pixels are read again when they are gathered.

    Args:
        directory: path.
        image_size: height and width that every image is scaled to.
        skip_broken: leave out files that cannot be read, and count them.
        center: share of the side that is kept, as for `kerasae.data.images.resize`.
        unlabelled: folders are places of images, not classes.

    Raises:
        InputError: no images, a broken file (unless `skip_broken`), sizes that differ without `image_size`, folders of
            which it is not clear what they mean.
    """
    found, class_names, notes = find_parts(_folder(directory), unlabelled)
    inspected = {name: inspect(part, skip_broken) for name, part in found.items()}
    parts, facts = ({name: pair[i] for name, pair in inspected.items()} for i in (0, 1))
    if empty := [name for name, part in parts.items() if not part.names]:
        raise InputError(f"data: folder:{directory}: no image of the part {empty[0]!r} could be read.")
    channels = int(next(iter(facts.values()))["channels"][0])
    shape = (*(image_size or _common_size(parts, facts)), channels)
    decoder = Decoder(channels, image_size or (shape[:2] if center < 1 else None), center)
    splits = {name: _split(part, shape, decoder) for name, part in parts.items()}
    if "test" not in splits and "train" in splits and len(splits["train"]) > 1:
        splits |= _hold_out(splits["train"], parts["train"], notes)
    return make_source(
        f"folder:{directory}",
        splits,
        255,
        class_names,
        skipped=sum(len(found[name].names) - len(part.names) for name, part in parts.items()),
        notes=tuple(notes),
        fingerprint=fingerprint_data(_facts(parts, facts, class_names)),
    )


def _folder(directory: str) -> Path:
    root = Path(directory).expanduser()
    if not root.exists():
        raise InputError(f"data: folder:{directory} does not exist (looked in {root.absolute()}); check the path.")
    if not root.is_dir():
        raise InputError(f"data: folder:{directory} is a file; expected a folder of images.")
    return root.absolute()


def _common_size(parts: dict[str, Part], facts: dict) -> tuple[int, int]:
    """Height and width of all images."""
    sizes = np.concatenate([columns["size"] for columns in facts.values()])
    odd = (sizes != sizes[0]).any(axis=1)
    if odd.any():
        paths = [path for part in parts.values() for path in part.paths]
        a, b = ("{} is {} x {}".format(paths[i], *sizes[i]) for i in (0, int(np.argmax(odd))))
        raise InputError(
            f"image_size: images differ in size: {a}, {b} (height x width); give image_size, for example 64."
        )
    return tuple(sizes[0].tolist())


def _split(part: Part, shape: tuple[int, int, int], decoder: Decoder) -> Split:
    return Split(FileStore(part.paths, shape, decoder), None if (part.labels < 0).all() else part.labels)


def _hold_out(split: Split, part: Part, notes: list[str]) -> dict[str, Split]:
    """The splits "train" and "test" that the names of the files decide."""
    train, test, enough = holdout_by_name(part.names, TEST_FRACTION)
    if not enough:
        chosen = ", ".join(part.names[i] for i in test)
        notes.append(f"too few images to hold out a tenth of them by name; held out: {chosen}")
    return {"train": split.subset(train), "test": split.subset(test)}


def _facts(parts: dict[str, Part], facts: dict, class_names: list[str] | None):
    """Split, name, class and size in bytes of every file: what the fingerprint of a folder is made of."""
    for part_name, part in parts.items():
        for name, label, size in zip(part.names, part.labels, facts[part_name]["bytes"], strict=True):
            yield f"{part_name}\0{name}\0{class_names[label] if label >= 0 else ''}\0{size}"
