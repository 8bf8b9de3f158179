"""Image files in folders: find them, check every one once, read them when they are needed."""

import functools
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from kerasae.data.images import decode
from kerasae.data.info import Source, make_source, with_test
from kerasae.data.splits import FileStore, Split
from kerasae.errors import InputError

READABLE = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}
UNREADABLE = {".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2"}
MAX_PIXELS = 2**26  # about 67 million: a small file can promise an image that would fill the memory
UNUSABLE = (OSError, SyntaxError, ValueError, tf.errors.OpError, Image.DecompressionBombError)
GREY = {"1", "L", "LA", "La", "F", "I", "I;16", "I;16B"}  # Pillow's modes of one channel
SPLIT_NAMES = {"train", "validation", "test"}


def load_folder(directory: str, image_size: tuple[int, int] | None = None, skip_broken: bool = False) -> Source:
    """Images of `directory`: image files, or one folder per class, or train/ and test/ made like that.

    Files end in jpg, jpeg, png, bmp or gif (the first frame); other files and hidden ones are ignored. The
    first image decides whether all are grey or colour, and the others are converted. Without test/, a fixed
    10 % of every class is held out as "test". Every file is decoded once here, so that a broken one is found
    now and not in the middle of training; pixels are read again when they are gathered.

    Raises:
        InputError: no images, a broken file (unless `skip_broken`), sizes that differ without `image_size`.
    """
    root = _folder(directory)
    class_names, parts = _index(root)
    checked = {name: _check(files, skip_broken) for name, files in parts.items()}
    kept = {name: [image for image in images if image] for name, images in checked.items()}
    skipped = sum(len(images) - len(kept[name]) for name, images in checked.items())
    if empty := [name for name, images in kept.items() if not images]:
        raise InputError(f"data: folder:{directory}: no image of the part {empty[0]!r} could be read.")
    first = next(iter(kept.values()))[0]
    size = image_size or _common_size([image for images in kept.values() for image in images])
    read = functools.partial(decode, channels=first.channels, size=image_size)
    splits = {name: _split(images, (*size, first.channels), read) for name, images in kept.items()}
    return make_source(f"folder:{directory}", with_test(splits), 255, class_names, skipped)


@dataclass(frozen=True)
class _File:
    path: Path
    label: int  # -1 without classes
    size: tuple[int, int] = (0, 0)  # height, width
    channels: int = 3


def _folder(directory: str) -> Path:
    root = Path(directory).expanduser()
    if not root.exists():
        raise InputError(f"data: folder:{directory} does not exist (looked in {root.absolute()}); check the path.")
    if not root.is_dir():
        raise InputError(f"data: folder:{directory} is a file; expected a folder of images.")
    return root.absolute()


def _listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """Sub-folders and image files of a folder, each sorted by name."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"data: folder {folder} cannot be listed ({error.strerror}); check its permissions."
        ) from error
    images = READABLE | UNREADABLE
    files = [entry for entry in entries if entry.suffix.lower() in images and not entry.is_dir()]
    return [entry for entry in entries if entry.is_dir()], files


def _index(root: Path) -> tuple[list[str] | None, dict[str, list[_File]]]:
    """Class names (None without classes) and the files of every part."""
    folders, _ = _listing(root)
    names = {folder.name for folder in folders}
    if {"train", "test"} <= names and not names <= SPLIT_NAMES:
        raise InputError(
            f"data: folder {root} holds train/ and test/ and also {sorted(names - SPLIT_NAMES)[0]}/; "
            "expected either parts or classes; move the others away."
        )
    parts = {"train": root}
    if "train" in names and names <= SPLIT_NAMES:  # "train" beside other names is a class, as of vehicles
        parts = {name: root / name for name in ("train", "validation", "test") if name in names}
    class_names = _class_names(parts["train"])
    return class_names, {name: _files(folder, class_names) for name, folder in parts.items()}


def _class_names(folder: Path) -> list[str] | None:
    folders, files = _listing(folder)
    if folders and files:
        raise InputError(
            f"data: folder {folder} holds both images ({files[0].name}) and folders ({folders[0].name}/); "
            "expected one folder per class, or images only; move one kind away."
        )
    return [entry.name for entry in folders] or None


def _files(folder: Path, class_names: list[str] | None) -> list[_File]:
    """The image files of one part, class by class."""
    found = _class_names(folder)
    if (found is None) != (class_names is None) or not set(found or ()) <= set(class_names or ()):
        raise InputError(f"data: folder {folder} has the classes {found}; expected those of train/, {class_names}.")
    if found is None:
        return [_File(path, -1) for path in _images_in(folder)]
    return [_File(path, class_names.index(name)) for name in found for path in _images_in(folder / name)]


def _images_in(folder: Path) -> list[Path]:
    folders, files = _listing(folder)
    if not files:
        inside = f"; its folder {folders[0].name}/ is not looked into" if folders else ""
        raise InputError(
            f"data: folder {folder} has no images{inside}; expected files ending in {', '.join(sorted(READABLE))}."
        )
    return files


def _check(files: list[_File], skip_broken: bool) -> list[_File | None]:
    """The files with their sizes, in order; a broken one is None, or an `InputError` that names it."""

    def check(image: _File):
        try:
            return _inspect(image)
        except UNUSABLE as error:
            if skip_broken:
                return None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise InputError(
                f"data: {image.path} cannot be read as an image ({reason}); repair or remove it, or give skip_broken."
            ) from error

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is lower and final
        return list(pool.map(check, files))


def _inspect(image: _File) -> _File:
    """Read the header, refuse what is too large, then decode with the very code that training uses."""
    if image.path.suffix.lower() in UNREADABLE:
        raise ValueError(f"TensorFlow does not decode {image.path.suffix}; convert it to PNG or JPEG")
    with Image.open(image.path) as header:
        width, height = header.size
        mode = header.mode
        if header.format == "BMP" and mode == "P":
            raise ValueError("BMP with a palette; convert it to PNG")
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS}; scale it down")
    with tf.device("CPU:0"):
        decoded = tf.io.decode_image(image.path.read_bytes(), channels=3, expand_animations=False)
    grey = mode in GREY or (mode == "P" and _is_grey(decoded.numpy()))  # a palette may hold only greys
    return _File(image.path, image.label, tuple(decoded.shape[:2]), 1 if grey else 3)


def _is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels[..., :1] == pixels).all())


def _common_size(images: list[_File]) -> tuple[int, int]:
    first = images[0]
    if odd := [image for image in images if image.size != first.size]:
        a, b = ("{} is {} x {}".format(image.path, *image.size) for image in (first, odd[0]))
        raise InputError(
            f"image_size: images differ in size: {a}, {b} (height x width); give image_size, for example 64."
        )
    return first.size


def _split(images: list[_File], shape: tuple[int, int, int], read) -> Split:
    labels = np.array([image.label for image in images], np.int64)
    return Split(FileStore([image.path for image in images], shape, read), None if (labels < 0).all() else labels)
