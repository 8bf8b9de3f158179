"""Image files in folders: find them, check every one once, read them when they are needed."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from kerasae.data.encoded import FileStore
from kerasae.data.images import Decoder
from kerasae.data.index_cache import fingerprint, kept
from kerasae.data.info import Source, make_source, with_test
from kerasae.data.splits import Split
from kerasae.errors import InputError

READABLE = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}
UNREADABLE = {".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2"}
IMAGES = tuple(READABLE | UNREADABLE)
MAX_PIXELS = 2**26  # about 67 million: a small file can promise an image that would fill the memory
UNUSABLE = (OSError, SyntaxError, ValueError, tf.errors.OpError, Image.DecompressionBombError)
GREY = {"1", "L", "LA", "La", "F", "I", "I;16", "I;16B"}  # Pillow's modes of one channel
SPLIT_NAMES = {"train", "validation", "test"}


def load_folder(
    directory: str, image_size: tuple[int, int] | None = None, skip_broken: bool = False, center: float = 1.0
) -> Source:
    """Images of `directory`: image files, or one folder per class, or train/ and test/ made like that.

    Files end in jpg, jpeg, png, bmp or gif (the first frame); other files and hidden ones are ignored. The
    first image decides whether all are grey or colour, and the others are converted. Without test/, a fixed
    10 % of every class is held out as "test". The first time, every file is decoded once here, so that a broken one
    is found now and not in the middle of training; what was found is kept until a file changes. Pixels are read
    again when they are gathered.

    Raises:
        InputError: no images, a broken file (unless `skip_broken`), sizes that differ without `image_size`.
    """
    root = _folder(directory)
    class_names, parts = _index(root, cache(_listing))
    looked = {name: _whole(part, skip_broken) for name, part in parts.items()}
    skipped = sum(len(part.paths) - len(looked[name].paths) for name, part in parts.items())
    if empty := [name for name, part in looked.items() if not part.paths]:
        raise InputError(f"data: folder:{directory}: no image of the part {empty[0]!r} could be read.")
    first = next(iter(looked.values()))
    shape = (*(image_size or _common_size(looked.values())), int(first.channels[0]))
    decoder = Decoder(shape[-1], image_size or (shape[:2] if center < 1 else None), center)
    splits = {name: _split(part, shape, decoder) for name, part in looked.items()}
    return make_source(f"folder:{directory}", with_test(splits), 255, class_names, skipped)


@dataclass(frozen=True)
class _Part:
    """Files of one part of the data in order: what is known of each."""

    paths: list[str]
    labels: np.ndarray  # -1 without classes
    sizes: np.ndarray | None = None  # height, width
    channels: np.ndarray | None = None


def _folder(directory: str) -> Path:
    root = Path(directory).expanduser()
    if not root.exists():
        raise InputError(f"data: folder:{directory} does not exist (looked in {root.absolute()}); check the path.")
    if not root.is_dir():
        raise InputError(f"data: folder:{directory} is a file; expected a folder of images.")
    return root.absolute()


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the sub-folders and of the image files of a folder, sorted."""
    try:
        with os.scandir(folder) as entries:
            shown = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(
            f"data: folder {folder} cannot be listed ({error.strerror}); check its permissions."
        ) from error
    files = [name for name, is_folder in shown if not is_folder and name.lower().endswith(IMAGES)]
    return sorted(name for name, is_folder in shown if is_folder), sorted(files)


def _index(root: Path, listing) -> tuple[list[str] | None, dict[str, _Part]]:
    """Class names (None without classes) and the files of every part."""
    folders, _ = listing(root)
    names = set(folders)
    if {"train", "test"} <= names and not names <= SPLIT_NAMES:
        raise InputError(
            f"data: folder {root} holds train/ and test/ and also {sorted(names - SPLIT_NAMES)[0]}/; "
            "expected either parts or classes; move the others away."
        )
    parts = {"train": root}
    if "train" in names and names <= SPLIT_NAMES:  # "train" beside other names is a class, as of vehicles
        parts = {name: root / name for name in ("train", "validation", "test") if name in names}
    class_names = _class_names(parts["train"], listing)
    return class_names, {name: _files(folder, class_names, listing) for name, folder in parts.items()}


def _class_names(folder: Path, listing) -> list[str] | None:
    folders, files = listing(folder)
    if folders and files:
        raise InputError(
            f"data: folder {folder} holds both images ({files[0]}) and folders ({folders[0]}/); "
            "expected one folder per class, or images only; move one kind away."
        )
    return folders or None


def _files(folder: Path, class_names: list[str] | None, listing) -> _Part:
    """The image files of one part, class by class."""
    found = _class_names(folder, listing)
    if (found is None) != (class_names is None) or not set(found or ()) <= set(class_names or ()):
        raise InputError(f"data: folder {folder} has the classes {found}; expected those of train/, {class_names}.")
    if found is None:
        paths = _images_in(folder, listing)
        return _Part(paths, np.full(len(paths), -1))
    groups = [_images_in(folder / name, listing) for name in found]
    labels = np.repeat([class_names.index(name) for name in found], [len(group) for group in groups])
    return _Part([path for group in groups for path in group], labels)


def _images_in(folder: Path, listing) -> list[str]:
    folders, files = listing(folder)
    if not files:
        inside = f"; its folder {folders[0]}/ is not looked into" if folders else ""
        raise InputError(
            f"data: folder {folder} has no images{inside}; expected files ending in {', '.join(sorted(READABLE))}."
        )
    return [os.path.join(folder, name) for name in files]


def _whole(part: _Part, skip_broken: bool) -> _Part:
    """The files of a part that can be read, with their sizes; an `InputError` names the first that cannot."""
    found = kept(fingerprint(_facts(part.paths)), lambda: _inspect_all(part.paths))
    fine = found["reason"] == ""
    if not fine.all() and not skip_broken:
        first = int(np.argmin(fine))
        raise InputError(
            f"data: {part.paths[first]} cannot be read as an image ({found['reason'][first]}); repair or remove it, "
            "or give skip_broken."
        )
    paths = [path for path, whole in zip(part.paths, fine, strict=True) if whole]
    return _Part(paths, part.labels[fine], found["size"][fine], found["channels"][fine])


def _facts(paths: list[str]):
    """Name, size and time of change of every file: while they stay, so does what was found in it."""
    for path in paths:
        try:
            facts = os.stat(path)
        except OSError as error:
            yield f"{path} {error.errno}"
        else:
            yield f"{path} {facts.st_size} {facts.st_mtime_ns}"


def _inspect_all(paths: list[str]) -> dict[str, np.ndarray]:
    """Columns with a row per file: its `size`, its `channels` and the `reason` why it cannot be read, "" if it can."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is lower and final
        height, width, channels, reason = zip(*pool.map(_look, paths), strict=True)
    return {
        "size": np.stack([height, width], axis=1).astype(np.int32),
        "channels": np.array(channels, np.int8),
        "reason": np.array(reason, str),
    }


def _look(path: str) -> tuple[int, int, int, str]:
    try:
        return *_inspect(path), ""
    except UNUSABLE as error:
        return 0, 0, 0, (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _inspect(path: str) -> tuple[int, int, int]:
    """Height, width and channels: read the header, refuse what is too large, then decode as training does."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in UNREADABLE:
        raise ValueError(f"TensorFlow does not decode {suffix}; convert it to PNG or JPEG")
    with Image.open(path) as header:
        width, height = header.size
        mode = header.mode
        if header.format == "BMP" and mode == "P":
            raise ValueError("BMP with a palette; convert it to PNG")
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS}; scale it down")
    with tf.device("CPU:0"):
        decoded = tf.io.decode_image(Path(path).read_bytes(), channels=3, expand_animations=False)
    grey = mode in GREY or (mode == "P" and _is_grey(decoded.numpy()))  # a palette may hold only greys
    return *decoded.shape[:2], 1 if grey else 3


def _is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels[..., :1] == pixels).all())


def _common_size(parts) -> tuple[int, int]:
    """Height and width of all images."""
    paths = [path for part in parts for path in part.paths]
    sizes = np.concatenate([part.sizes for part in parts])
    odd = (sizes != sizes[0]).any(axis=1)
    if odd.any():
        a, b = ("{} is {} x {}".format(paths[i], *sizes[i]) for i in (0, int(np.argmax(odd))))
        raise InputError(
            f"image_size: images differ in size: {a}, {b} (height x width); give image_size, for example 64."
        )
    return tuple(sizes[0].tolist())


def _split(part: _Part, shape: tuple[int, int, int], decoder: Decoder) -> Split:
    labels = part.labels.astype(np.int64)
    return Split(FileStore(part.paths, shape, decoder), None if (labels < 0).all() else labels)
