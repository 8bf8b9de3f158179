"""Put the labels of a table in the place of those of a folder, file by file."""

import dataclasses
import os
import posixpath
import unicodedata
from pathlib import Path

import numpy as np

from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import Source
from kerasae.data.label_columns import KINDS, ReadLabels, is_labelled, read_labels
from kerasae.data.label_table import LabelTable, read_label_table
from kerasae.data.layouts import listed, walk_images
from kerasae.data.splits import Split
from kerasae.errors import InputError


def with_labels(source: Source, labels_file: str, name_column=None, label_columns=None, label_kind=None) -> Source:
    """Label the images of a folder by a table; those that it does not list, or leaves empty, have no label.

    A name is that of a file below the folder, or an end of it that no other file has, such as `1.png` of `cat/1.png`.
    Which images are held out does not change.

    Args:
        source: images of a folder, with or without classes; the table takes the place of the classes.
        labels_file, name_column, label_columns: as for `label_table.read_label_table`.
        label_kind: a key of `label_columns.KINDS`; None finds it from the columns.

    Raises:
        InputError: the table cannot be read, names other files, or a file twice with different labels.
    """
    if label_kind not in (None, *KINDS):
        raise InputError(f"label_kind: expected {', '.join(KINDS)}; received {label_kind!r}.")
    table = read_label_table(labels_file, name_column, label_columns)
    files = Files(source)
    places = files.places(table)
    read = read_labels(table, label_kind)
    rows = {name: np.full(len(split), -1) for name, split in source.splits.items()}
    for row, (part, place) in enumerate(places):
        if place is not None:
            _refuse_contradiction(table, rows[part][place], row)
            rows[part][place] = row
    splits = {name: _relabelled(split, read.values, rows[name]) for name, split in source.splits.items()}
    return Source(_described(source.info, table, read, splits), splits)


class Files:
    """The images of a source by name, below its folder."""

    def __init__(self, source: Source):
        self.root = os.fspath(Path(source.info.spec.removeprefix("folder:")).expanduser().absolute())
        self.known, self.ends = {}, {}
        for part, split in source.splits.items():
            for place, path in enumerate(split.paths):
                name = plain(os.path.relpath(os.fsdecode(path), self.root))
                self.known[name] = part, place
                self.ends.setdefault(posixpath.basename(name), []).append(name)
        if source.info.skipped:
            self._add_skipped()

    def _add_skipped(self) -> None:
        """Know the files that could not be read too: a table may list them."""
        for name in map(plain, walk_images(Path(self.root))):
            if name not in self.known:
                self.known[name] = None, None
                self.ends.setdefault(posixpath.basename(name), []).append(name)

    def places(self, table: LabelTable) -> list[tuple[str | None, int | None]]:
        """Part and place in it of the file of every row; (None, None) for one that was skipped as broken."""
        if table.header in self.known or table.header in self.ends:
            raise table.error(f"begins with {table.header!r}; expected a line of column names first.")
        found = [self.find(name, table) for name in table.names]
        if strange := [name for name, places in zip(table.names, found, strict=True) if places is None]:
            raise table.error(
                f"{len(strange)} of its {len(table.names)} names are no image in {self.root}: {listed(strange)}; "
                "expected names of files below that folder, with their endings."
            )
        return found

    def find(self, name: str, table: LabelTable) -> tuple[str | None, int | None] | None:
        """Where the file of a name is; None if there is none."""
        wanted = plain(name)
        if wanted in self.known:
            return self.known[wanted]
        ends = [n for n in self.ends.get(posixpath.basename(wanted), ()) if n.endswith(f"/{wanted}")]
        if len(ends) > 1:
            raise table.error(f"{name!r} may be {ends[0]} or {ends[1]}; give names below {self.root}.")
        return self.known[ends[0]] if ends else None


def plain(name: str) -> str:
    """A name as files are compared: with "/" between folders, in Unicode's form NFC."""
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/")))


def _refuse_contradiction(table: LabelTable, known: int, row: int) -> None:
    """Raise InputError if an earlier row of the same file has other labels."""
    if known < 0:
        return
    for name, cells in table.columns.items():
        if cells[known] != cells[row]:
            raise table.error(
                f"lists {table.names[row]!r} twice with different labels: {name} {cells[known]!r} and {cells[row]!r}; "
                "keep one line."
            )


def _relabelled(split: Split, values: np.ndarray, rows: np.ndarray) -> Split:
    """The split with the labels of these rows of the table, −1 for none."""
    unknown = -1 if values.ndim == 1 else np.nan
    labels = np.concatenate([values, np.full_like(values[:1], unknown)])[rows]
    return split.relabelled(labels if is_labelled(labels).any() else None)


def _described(info, table: LabelTable, read: ReadLabels, splits: dict[str, Split]):
    """The facts of the source with its new labels."""
    counts = {
        name: 0 if split.labels is None else int(is_labelled(split.labels).sum()) for name, split in splits.items()
    }
    if not sum(counts.values()):
        raise table.error(f"has no label in {listed(table.columns)}; name other label_columns.")
    labels = [part for name, split in splits.items() for part in (name, split.labels)]
    shown = ", ".join(f"{counts[name]:,} of {len(split):,} {name}" for name, split in splits.items())
    note = f"{table.file}: {KINDS[read.kind]}: {listed(read.names)}; labelled are {shown}"
    one = read.kind == "class"
    if one and "train" in splits and counts["train"]:
        absent = [name for i, name in enumerate(read.names) if i not in splits["train"].labels]
        note += f"; no training image is of {listed(absent)}" * bool(absent)
    return dataclasses.replace(
        info,
        class_names=read.names if one else None,
        label_kind=read.kind,
        label_names=None if one else read.names,
        label_columns=tuple(table.columns),
        label_fingerprint=fingerprint_data([*read.names, *labels]),
        notes=(*info.notes, note),
    )
