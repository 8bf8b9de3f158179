"""Parts and classes of a folder of images, by the names of its folders."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from kerasae.errors import InputError

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""Split → names of its folder, in any case."""

PART_OF = {name: part for part, names in PARTS.items() for name in names}
READABLE = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".npy"}
UNREADABLE = {".heic", ".heif", ".avif", ".jp2"}
SHOWN = 8  # names in a message


@dataclass(frozen=True)
class Part:
    """Files of one split in order."""

    folder: str
    names: list[str]
    """Names below the folder, with "/" between folders."""
    labels: np.ndarray
    """Class numbers int64 [N], -1 without classes."""

    @property
    def paths(self) -> list[str]:
        """Absolute paths of the files."""
        return [os.path.join(self.folder, name) for name in self.names]

    def take(self, rows: np.ndarray) -> "Part":
        """The files at `rows`, indices or a mask."""
        chosen = np.arange(len(self.names))[rows]
        return Part(self.folder, [self.names[i] for i in chosen], self.labels[chosen])


def find_parts(root: Path, unlabelled: bool = False) -> tuple[dict[str, Part], list[str] | None, list[str]]:
    """Find the image files of every split of a folder, and their classes.

    A folder holds images; or a folder per class; or folders train, val, test … (see `PARTS`), each with or without
    classes. A class may hold folders in folders. A lone folder of folders is entered.

    Args:
        root: absolute path.
        unlabelled: folders that are no parts are places of images, not classes.

    Returns:
        Files by split; class names, None without classes; and notes: lines about what was taken for what.

    Raises:
        InputError: names or places leave open what is a class and what a part; a class without images; a folder that
            cannot be listed, or that holds itself by a link.
    """
    listing, notes = cache(_list), []
    folders = _part_folders(root, listing, notes)
    classes = {name: None if unlabelled else _class_folders(folder, listing, notes) for name, folder in folders.items()}
    class_names = _agreed_classes(folders, classes)
    numbers = {name: i for i, name in enumerate(class_names or ())}
    return {name: _files(folders[name], classes[name], numbers, listing) for name in folders}, class_names, notes


def _list(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the sub-folders and of the image files of a folder, sorted; hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            shown = [(e.name, e.is_dir()) for e in entries if not e.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise InputError(
            f"data: folder {folder} cannot be listed ({error.strerror}); check its permissions."
        ) from error
    kinds = tuple(READABLE | UNREADABLE)
    files = [name for name, is_folder in shown if not is_folder and name.lower().endswith(kinds)]
    return sorted(name for name, is_folder in shown if is_folder), sorted(files)


def _part_folders(root: Path, listing: Callable, notes: list[str]) -> dict[str, Path]:
    """Split → its folder; the whole is "train" where no folder is named like a part."""
    folders, files = listing(root)
    named = {name: PART_OF[name.casefold()] for name in folders if name.casefold() in PART_OF}
    if (
        not named
        and len(folders) == 1
        and not files
        and listing(inner := root / folders[0])[0]
        and not listing(inner)[1]
    ):
        notes.append(f"{inner} is the only folder; read as the data set")
        return _part_folders(inner, listing, notes)
    if not named:
        return {"train": root}
    _refuse_mixture(root, named, [*(f"{name}/" for name in folders if name not in named), *files])
    found = {part: name for name, part in named.items()}
    return {part: root / found[part] for part in PARTS if part in found}


def _refuse_mixture(root: Path, named: dict[str, str], others: list[str]) -> None:
    """Raise InputError for a folder named like a part beside something else, or two of one part."""
    if others:
        parts = " and ".join(f"{name}/" for name in named)
        raise InputError(
            f"data: folder {root} holds {parts} and also {others[0]}; expected either parts or classes; move the "
            f"others away, or rename {next(iter(named))}/ if it is a class."
        )
    for part in set(named.values()):
        twins = [name for name, other in named.items() if other == part]
        if len(twins) > 1:
            raise InputError(
                f"data: folder {root} holds {twins[0]}/ and {twins[1]}/, both {part}; merge or rename one."
            )


def _class_folders(folder: Path, listing: Callable, notes: list[str]) -> list[str] | None:
    """Names of the classes of a part, None for images without classes."""
    folders, files = listing(folder)
    if folders and files:
        raise InputError(
            f"data: folder {folder} holds both images ({files[0]}) and folders ({folders[0]}/); expected one folder "
            "per class, or images only; move one kind away, or give unlabelled to read all images without classes."
        )
    for name in folders:
        _check_class(folder / name, name, listing)
    notes += [f"{folder / name} is taken as a class" for name in folders if name.casefold() in PART_OF]
    return folders or None


def _check_class(folder: Path, name: str, listing: Callable) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"data: the name of the class {folder} is no UTF-8 text; rename it.") from None
    if inner := [inner for inner in listing(folder)[0] if inner.casefold() in PART_OF]:
        raise InputError(
            f"data: folder {folder} holds {inner[0]}/, which is named like a part of the data; expected "
            f"{inner[0]}/{name}/, parts outside and classes inside; move or rename it, or give unlabelled."
        )


def _agreed_classes(folders: dict[str, Path], classes: dict[str, list[str] | None]) -> list[str] | None:
    """Class names of the data set: those of train, or of the other parts if train has none."""
    known = classes.get("train") or sorted({name for names in classes.values() for name in names or ()})
    for part, names in classes.items():
        if unknown := set(names or ()) - set(known):
            raise InputError(
                f"data: folder {folders[part]} has the classes {listed(names)}; expected those of train, "
                f"{listed(known)}; {min(unknown)!r} is not among them."
            )
    return known or None


def _files(folder: Path, class_names: list[str] | None, numbers: dict[str, int], listing: Callable) -> Part:
    """The image files of a part, class by class."""
    if class_names is None:
        names = _images_below(folder, "", listing)
        return Part(os.fspath(folder), names, np.full(len(names), -1, np.int64))
    groups = [_images_below(folder, name, listing) for name in class_names]
    labels = np.repeat([numbers[name] for name in class_names], [len(group) for group in groups])
    return Part(os.fspath(folder), [name for group in groups for name in group], labels.astype(np.int64))


def _images_below(folder: Path, name: str, listing: Callable) -> list[str]:
    """Names of all images at any depth of a class, from the part's folder on."""
    found = list(_walk(folder / name, name and f"{name}/", listing, ()))
    if not found:
        raise InputError(
            f"data: folder {folder / name} has no images; expected files ending in {', '.join(sorted(READABLE))}; add "
            "some, or remove the folder."
        )
    return found


def _walk(folder: Path, prefix: str, listing: Callable, above: tuple[str, ...]):
    here = os.path.realpath(folder)
    if here in above:
        raise InputError(f"data: folder {folder} is a link to a folder that it lies in; remove it.")
    folders, files = listing(folder)
    yield from (prefix + name for name in files)
    for name in folders:
        yield from _walk(folder / name, f"{prefix}{name}/", listing, (*above, here))


def walk_images(folder: Path) -> Iterator[str]:
    """Names of all images at any depth of a folder, with "/" between folders, one after the other.

    Files come before folders, both by name; hidden ones are left out.

    Raises:
        InputError: a folder cannot be listed, or holds itself by a link.
    """
    return _walk(folder, "", _list, ())


def listed(names) -> str:
    """Names in a message, the first few where they are many."""
    names = [str(name) for name in names]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"[{', '.join(names[:SHOWN])}]{more}"
