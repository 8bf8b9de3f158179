"""One string names a data set: digits, shapes, tfds:NAME[/config], folder:DIR, npz:FILE and others."""

import difflib
from pathlib import Path

from kerasae.data.checks import number, whole
from kerasae.data.info import Source
from kerasae.errors import InputError

LARGEST = 3e38  # of float32
KINDS = {
    "digits": "digits",
    "shapes": "shapes",
    "tfds": "tfds:NAME[/config]",
    "folder": "folder:DIR",
    "npz": "npz:FILE",
    "table": "table:FILE",
    "ratings": "ratings:FILE",
    "series": "series:FILE",
    "text": "text:FILE_OR_DIR",
    "onehot": "onehot:N",
}
BARE = ("digits", "shapes")
"""Kinds that name one data set."""


def load(
    spec: str,
    *,
    data_dir=None,
    image_size=None,
    skip_broken: bool = False,
    center: float = 1.0,
    unlabelled: bool = False,
    min_value: float | None = None,
    max_value: float | None = None,
    bands: tuple[int, ...] | None = None,
    labels_file: str | None = None,
    name_column: str | None = None,
    label_columns: tuple[str, ...] | None = None,
    label_kind: str | None = None,
    target: str | None = None,
    category_columns: tuple[str, ...] | None = None,
    columns: tuple | None = None,
    words: int | None = None,
    text_as: str | None = None,
    steps: int | None = None,
    by: str | None = None,
    window: int | None = None,
    step: int | None = None,
    test_share: float | None = None,
    sequences: bool = False,
) -> Source:
    """Load the data set that `spec` names.

    | spec | data |
    |---|---|
    | `digits` | scikit-learn's 1,797 handwritten digits 8x8, embedded: train 1,437, test 360, values 0..16 |
    | `shapes` | 3,840 drawn images 16x16 of squares, ellipses and triangles, labelled by five known factors |
    | `tfds:NAME[/config]` | TensorFlow Datasets, from `data_dir` or downloaded into it; in memory if it fits |
    | `folder:DIR` | image files, a folder per class, or train/, val/, test/ with or without classes; read when needed |
    | `npz:FILE` | arrays x_train, y_train, x_test, y_test of any numbers; labels and test optional; in memory |
    | `table:FILE` | rows of numbers and categories, CSV or Parquet; missing cells are NaN; in memory |
    | `ratings:FILE` | u.data, ratings.dat or CSV: a row of ratings for each item, or user; in memory |
    | `series:FILE` | windows of long recordings, .npz or CSV; the end of each recording is held out; in memory |
    | `text:FILE_OR_DIR` | lines of .txt files as bags of words, or sequences of ids; files are classes; in memory |
    | `onehot:N` | the encoder problem: N patterns of N units, of which one is on |

    Without a test part a fixed 10 % is held out as "test": of arrays class by class, of files by their names alone, so
    that a folder that grows moves no test image into training.

    Args:
        spec: see the table.
        data_dir: for tfds, the folder that holds prepared data sets.
        image_size: for folder and tfds, side or (height, width) to which every image is scaled and
            centre-cropped; needed where sizes differ.
        center: for folder and tfds, in (0, 1]: images are scaled to cover `image_size` / center before the centre is
            cut out; 0.875 is usual for photos around an object.
        skip_broken: for folder, leave unreadable images out and count them in `info.skipped`.
        unlabelled: for folder, folders that are no parts are places of images, not classes.
        min_value: for folder and npz, the stored float that means 0; 0 when not given. For ratings, the least one.
        max_value: for folder and npz, the stored value that means 1, such as 4095 for scans of 12 bits. When not given,
            the largest of the type for integers, and 1 for floats. For ratings, the greatest one. Values beyond it are
            refused.
        bands: for folder and series, numbers of the bands or channels to keep, in that order; the first is 1.
        labels_file: for folder, a table (.csv or .parquet) with the labels of the files; it takes the place of classes
            by folder. A file that it does not list has no label.
        name_column: its column with the names of the files below the folder; the first when not given.
        label_columns: its columns with labels; all others when not given.
        label_kind: "class", "classes" (several) or "numbers"; found from the columns when not given.
        target: for table, the column with the label.
        category_columns: for table, columns whose numbers are codes of categories.
        by: for ratings, "item" or "user": what an example is; item when not given.
        window: for series, samples in a window.
        step: for series, samples from one window's start to the next; the window when not given.
        test_share: for series, share of each recording, at its end, that is held out; 0.2 when not given.
        columns: for table and text, `info.columns` of what a model has learned from; a table with others is refused.
        sequences: for npz, x_train [N, T, C] or [N, T] holds sequences of T steps, not grey images or vectors.
        words: for text, the most words of the vocabulary; 2,000 when not given.
        text_as: for text, "words" or "characters" in their order, as ids; bags of words when not given.
        steps: for text with `text_as`, the most tokens of a line; 64 when not given.

    Raises:
        InputError: the spec, an argument or the data cannot be used; the message says what to do.

    Example:
        >>> source = kerasae.data.load("tfds:mnist", data_dir="data/tfds")
        >>> source.info.counts
        {'train': 60000, 'test': 10000}
    """
    kind, rest = _parse(spec)
    size = _image_size(image_size)
    given = {"data_dir": data_dir, "image_size": image_size, "skip_broken": skip_broken, "unlabelled": unlabelled}
    given |= {"min_value": min_value, "max_value": max_value, "bands": bands, "labels_file": labels_file}
    given |= {"target": target, "category_columns": category_columns, "columns": columns, "by": by}
    given |= {
        "window": window,
        "step": step,
        "test_share": test_share,
        "words": words,
        "text_as": text_as,
        "steps": steps,
        "sequences": sequences,
    }
    table = {"name_column": name_column, "label_columns": label_columns, "label_kind": label_kind}
    _refuse_unused(kind, center=center, **given)
    known = ("label_kind",) if target is not None else ()
    if labels_file is None and (useless := [n for n, value in table.items() if value is not None and n not in known]):
        raise InputError(f"{useless[0]}: only used with labels_file; leave it out, or give labels_file.")
    value_range = _value_range(min_value, max_value)
    # each kind needs a library of its own (scikit-learn, tensorflow_datasets, Pillow): import what is used
    if kind == "digits":
        from kerasae.data.digits import load_digits

        return load_digits()
    if kind == "shapes":
        from kerasae.data.shapes import load_shapes

        return load_shapes()
    if kind == "tfds":
        from kerasae.data.tfds import load_tfds

        return load_tfds(rest, data_dir, size, center)
    if kind == "folder":
        from kerasae.data.folder import load_folder

        source = load_folder(rest, size, skip_broken, center, unlabelled, value_range, _bands(bands))
        if labels_file is None:
            return source
        from kerasae.data.labelling import with_labels

        return with_labels(source, labels_file, **table)
    if kind == "onehot":
        from kerasae.data.onehot import load_onehot

        return load_onehot(rest)
    if kind == "table":
        from kerasae.data.table import load_table

        return load_table(rest, target, category_columns, label_kind, columns)
    if kind == "ratings":
        from kerasae.data.ratings import load_ratings

        return load_ratings(rest, by, *value_range)
    if kind == "series":
        from kerasae.data.series import load_series

        return load_series(rest, window, step, test_share, _bands(bands))
    if kind == "text":
        from kerasae.data.text import load_text

        return load_text(rest, words, columns, text_as, steps)
    from kerasae.data.npz import load_npz

    return load_npz(rest, value_range, sequences)


def _parse(spec) -> tuple[str, str]:
    expected = "expected " + " | ".join(KINDS.values())
    if not isinstance(spec, str) or not spec:
        raise InputError(f"data: {expected}; received {spec!r}.")
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise InputError(f"data: {expected}; received {spec!r}; did you mean {_nearest(spec, kind)}?")
    if (kind in BARE) != (spec == kind) or (kind not in BARE and not rest):
        raise InputError(f"data: expected {KINDS[kind]}; received {spec!r}.")
    return kind, rest


def _nearest(spec: str, kind: str) -> str:
    """The likeliest meaning of a spec of no known kind; a bare word may be a path, or a tfds name."""
    bare = kind == spec
    if near := difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.6 if bare else 0.0):
        return KINDS[near[0]]
    if Path(spec).is_dir():
        return f"folder:{spec}"
    kinds = {".npz": "npz", ".csv": "table", ".tsv": "table", ".parquet": "table"}
    return f"{kinds.get(Path(spec).suffix, 'tfds')}:{spec}"


def _image_size(image_size) -> tuple[int, int] | None:
    if image_size is None:
        return None
    sides = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(sides) != 2:
        raise InputError(f"image_size: expected a side or (height, width); received {image_size!r}.")
    return whole("image_size", sides[0], 1, 8192), whole("image_size", sides[1], 1, 8192)


def _value_range(low, high) -> tuple[float | None, float | None]:
    low = None if low is None else number("min_value", low, -LARGEST, LARGEST)
    return low, None if high is None else number("max_value", high, -LARGEST, LARGEST)


def _bands(bands) -> tuple[int, ...] | None:
    if bands is None:
        return None
    if not isinstance(bands, tuple | list) or not bands:
        raise InputError(f"bands: expected numbers from 1 up; received {bands!r}.")
    return tuple(whole("bands", band, 1) for band in bands)


def _refuse_unused(kind: str, **given) -> None:
    """An argument that a source would ignore is a mistake: say so."""
    for name in ("skip_broken", "unlabelled", "sequences"):
        if not isinstance(given[name], bool):
            raise InputError(f"{name}: expected True or False; received {given[name]!r}.")
    cut = number("center", given["center"], 0.1, 1.0) < 1
    images = ("tfds", "folder")
    users = {"data_dir": ("tfds",), "image_size": images, "center": images}
    users |= dict.fromkeys(("skip_broken", "unlabelled", "labels_file"), ("folder",))
    users["bands"] = ("folder", "series")
    users |= dict.fromkeys(("min_value", "max_value"), ("folder", "npz", "ratings"))
    users |= {"by": ("ratings",), "sequences": ("npz",)}
    users |= dict.fromkeys(("window", "step", "test_share"), ("series",))
    users |= dict.fromkeys(("target", "category_columns"), ("table",))
    users |= {"columns": ("table", "text"), **dict.fromkeys(("words", "text_as", "steps"), ("text",))}
    for name, kinds in users.items():
        used = cut if name == "center" else given[name] is not None and given[name] is not False
        if used and kind not in kinds:
            raise InputError(f"{name}: only used with {' and '.join(kinds)}, not with {kind}; leave it out.")
