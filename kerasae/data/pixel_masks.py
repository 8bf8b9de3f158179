"""Masks: PNG files that hold a class for every pixel of the image of the same name."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from kerasae.data.decoding import is_array, open_image, orientation
from kerasae.data.info import Source
from kerasae.data.inspection import UNUSABLE
from kerasae.data.layouts import listed, walk_images
from kerasae.data.pixel_split import PixelSplit
from kerasae.data.splits import Split
from kerasae.errors import InputError

IGNORED = 255
NAMES = "classes.txt"


@dataclass(frozen=True)
class Masked:
    """Images with masks: splits, names of the classes, and what a user should know."""

    splits: dict[str, PixelSplit]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    fingerprint: str
    """SHA-256 of the names and classes of all masks that were read."""


def with_masks(source: Source, directory: str, center: float = 1.0) -> Masked:
    """Join the images of a folder with masks of the same names, PNG files below another folder.

    A mask of photos/train/a.jpg is masks/train/a.png: a palette's indices, or grey integers, are the classes, and 255
    means "ignored". Where images are resized, masks are cut alike and resized by nearest neighbour. Images without a
    mask and masks without an image are left out and counted. `classes.txt` beside the masks, a line for each class from
    0 up, names the classes; without it they are numbers up to the largest in a mask.

    Args:
        source: of `folder:DIR`.
        directory: path of the masks.
        center: as the images were resized by.

    Raises:
        InputError: the data are no folder of images, no mask fits, sizes differ from the image's, a file is no mask, or
            holds a class that has no name.
    """
    if not source.info.spec.startswith("folder:") or any(s.paths is None for s in source.splits.values()):
        raise InputError(f"masks: need images of folder:DIR, beside which they lie. Received: {source.info.spec}")
    root, files = source.info.spec.removeprefix("folder:"), mask_files(directory)
    found = {name: _joined(split, Path(root).expanduser().absolute(), files, center) for name, split in
             source.splits.items()}  # fmt: skip
    used = {path for _, paths in found.values() for path in paths}
    if not used:
        raise InputError(f"masks: no file of {directory} has the name of an image of {root}; expected train/a.png for "
                         "train/a.jpg")  # fmt: skip
    splits = {name: split for name, (split, _) in found.items() if split is not None}
    names = _named(directory, splits)
    notes = _counts(source, splits, files, used)
    return Masked(splits, names, notes, _fingerprint(splits, names))


def mask_files(directory: str) -> dict[str, Path]:
    """Find the PNG files below a folder: name without its ending → path."""
    root = Path(directory).expanduser()
    if not root.is_dir():
        raise InputError(f"masks: {directory} is no folder; expected one of PNG files")
    names = [name for name in walk_images(root.absolute()) if name.lower().endswith(".png")]
    if not names:
        raise InputError(f"masks: {directory} holds no PNG file; expected one for each image")
    return {os.path.splitext(name)[0]: root.absolute() / name for name in names}


def read_mask(path) -> np.ndarray:
    """Read the classes of the pixels of a mask, uint8 [H, W]; raises InputError for what is no mask."""
    try:
        with open_image(Path(path).read_bytes()) as image:
            values = np.asarray(image)
    except UNUSABLE as error:
        raise InputError(f"masks: {path} cannot be read ({str(error)[:100]}); repair or remove it") from None
    if values.ndim != 2:
        raise InputError(f"masks: {path} is in colour ({image.mode}); expected a palette or grey integers, the classes")
    if values.min() < 0 or values.max() > IGNORED:
        raise InputError(f"masks: {path} holds {values.min()} to {values.max()}; expected classes 0 to 254, or 255")
    return values.astype(np.uint8)


def write_mask(path, mask: np.ndarray) -> None:
    """Write classes uint8 [H, W] as a PNG with a palette."""
    image = Image.fromarray(mask)
    image.putpalette(palette().tobytes())
    image.save(path, format="PNG", optimize=True)


def palette() -> np.ndarray:
    """Make the colours of the classes, uint8 [256, 3]: bits of the number dealt to the channels, as PASCAL VOC does."""
    number, found = np.arange(256), np.zeros((256, 3), int)
    for level in range(3):
        for channel in range(3):
            found[:, channel] |= (number >> (3 * level + channel) & 1) << (7 - level)
    return found.astype(np.uint8)


def fit_mask(mask: np.ndarray, size: tuple[int, int], center: float = 1.0) -> np.ndarray:
    """Scale a mask by nearest neighbour to cover `size`, and cut out the centre: what `resize` does to an image."""
    scaled = scaled_size(mask.shape, size, center)
    rows, columns = (_places(have, wanted) for have, wanted in zip(mask.shape, scaled, strict=True))
    top, left = (len(rows) - size[0]) // 2, (len(columns) - size[1]) // 2
    return mask[np.ix_(rows[top : top + size[0]], columns[left : left + size[1]])]


def unfit_mask(mask: np.ndarray, size: tuple[int, int], center: float = 1.0) -> np.ndarray:
    """Bring a mask of a resized image back to the size of the image; what was cut off is 255."""
    scaled = scaled_size(size, mask.shape, center)
    whole = np.full(scaled, IGNORED, np.uint8)
    top, left = ((a - b) // 2 for a, b in zip(scaled, mask.shape, strict=True))
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole[np.ix_(*(_places(have, wanted) for have, wanted in zip(scaled, size, strict=True)))]


def scaled_size(have, size, center: float) -> tuple[int, int]:
    """Height and width to which an image is scaled before it is cut to `size`, as `images.resize` computes them."""
    scale = max(np.rint(want / center) / n for n, want in zip(have, size, strict=True))
    return tuple(max(want, int(np.rint(n * scale))) for n, want in zip(have, size, strict=True))


def stored_size(path) -> tuple[int, int]:
    """Height and width of an image file as it is shown, by its header."""
    data = Path(os.fsdecode(path)).read_bytes()
    if is_array(data):
        return np.load(os.fsdecode(path), mmap_mode="r").shape[:2]
    with open_image(data) as image:
        size = image.size
        return size if orientation(image) >= 5 else size[::-1]


def _places(have: int, wanted: int) -> np.ndarray:
    """The place that is nearest to the centre of each of `wanted` equal parts of `have` pixels."""
    return np.minimum(((np.arange(wanted) + 0.5) * have / wanted).astype(int), have - 1)


def _joined(split: Split, root: Path, files: dict[str, Path], center: float):
    """The images of a split that have a mask, as a `PixelSplit` or None, and the masks' paths."""
    names = [os.path.relpath(os.fsdecode(path), root) for path in split.paths]
    paths = [files.get(os.path.splitext(name)[0].replace(os.sep, "/")) for name in names]
    rows = [i for i, path in enumerate(paths) if path is not None]
    if not rows:
        return None, []
    masks = np.stack([_fitted(paths[i], split.paths[i], split.shape[:2], center) for i in rows])
    return PixelSplit(split.subset(np.array(rows)), masks), [paths[i] for i in rows]


def _fitted(path: Path, image: bytes, size: tuple[int, int], center: float) -> np.ndarray:
    """Read a mask, check it against its image, and cut it to the size of the examples."""
    mask, stored = read_mask(path), tuple(stored_size(image))
    if mask.shape != stored:
        sizes = " x ".join(map(str, mask.shape)), " x ".join(map(str, stored))
        raise InputError(f"masks: {path} is {sizes[0]}, but {os.fsdecode(image)} is {sizes[1]} (height x width)")
    return mask if stored == tuple(size) and center == 1 else fit_mask(mask, size, center)


def _named(directory: str, splits: dict[str, PixelSplit]) -> tuple[str, ...]:
    """Names of the classes, of `classes.txt` or else numbers."""
    values = np.unique(np.concatenate([np.unique(split.masks) for split in splits.values()]))
    known = values[values != IGNORED]
    if not len(known):
        raise InputError(f"masks: every pixel of {directory} is 255, ignored; expected classes from 0 up")
    file = Path(directory).expanduser() / NAMES
    if not file.is_file():
        return tuple(map(str, range(max(2, known.max() + 1))))
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if not 2 <= len(names) <= IGNORED or len(set(names)) < len(names):
        raise InputError(f"masks: {file} has {len(names)} lines; expected 2 to 255 different names, of classes from 0")
    if known.max() >= len(names):
        raise InputError(
            f"masks: a mask of {directory} holds class {known.max()}, but {file} names 0 to {len(names) - 1}"
        )
    return names


def _counts(source: Source, splits: dict[str, PixelSplit], files: dict, used: set) -> tuple[str, ...]:
    """Say how many images lack a mask, and how many masks an image."""
    images = sum(len(split) - len(splits.get(name, ())) for name, split in source.splits.items())
    others = sorted(name for name, path in files.items() if path not in used)
    notes = [f"{images} image{'s'[: images > 1]} without a mask left out"] * bool(images)
    count = f"{len(others)} mask{'s'[: len(others) > 1]}"
    return (*notes, *[f"{count} without an image left out: {listed(others)}"] * bool(others))


def _fingerprint(splits: dict[str, PixelSplit], names: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join(names).encode())
    for split in splits.values():
        digest.update(split.masks.tobytes())
    return digest.hexdigest()
