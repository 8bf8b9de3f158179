"""Write the codes of a data set, or all tokens, for other programs: .npz, or .parquet with pyarrow.

Examples are read, encoded and written batch by batch, so that memory does not grow with their number. The file appears
under its name when it is whole.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import StartedRecipe
from pipelines.command_line.ranges import within


@dataclass(frozen=True, kw_only=True)
class Recipe(StartedRecipe):
    """Settings of the encoding and of its file."""

    to: str
    """File to write, .npz or .parquet. It holds the codes, and for each example the name of its file below the folder,
    or its place in the data where these are no files; the split that it is in; and its label where it has one."""
    split: str = "all"
    """Which part of the data: all, in the order in which they are stored, or train, test …"""
    tokens: bool = False
    """Write all tokens of a vision transformer in place of the pooled code."""
    indices: bool = False
    """Write the indices of codebook entries, whole numbers, in place of the entries, of a vector-quantized model."""
    batch_size: int = field(default=256, metadata=within("count"))
    """Examples that are encoded at once."""


class About(NamedTuple):
    """Names, places, splits and labels of the encoded examples."""

    names: list[str] | None
    """Their files; None where they are no files."""
    places: Any
    """Where they are stored, int64 [N]."""
    splits: Any
    """Names of their parts [N]."""
    labels: Any
    """int64 [N], -1 where there is none; None for data without labels."""


def run(recipe: Recipe) -> Path:
    """Encode the data, write the codes, and print what was written."""
    kind = kind_of(recipe.to)
    with kerasae.results.whole_file(recipe.to) as file, door.entered(recipe) as (recipe, source, _):
        model, source = opened(recipe, source)
        parts = chosen(source, recipe.split)
        about = described(source.info, parts)
        what = {"tokens": recipe.tokens, "indices": recipe.indices}
        encoded = (kerasae.evaluate.embedded(model, split, recipe.batch_size, **what) for split, _ in parts)
        kept = "int32" if recipe.indices else "float32"
        pieces = (piece.astype(kept, copy=False) for piece in itertools.chain.from_iterable(encoded))
        shape = kind(file, pieces, about, source.info)
    written = "tokens" if recipe.tokens else "indices" if recipe.indices else "codes"
    print(f"{recipe.to}: {len(about.places)} {written} of {list(shape)} {kept}")
    return Path(recipe.to)


def kind_of(file):
    """Choose the writing function by the file's ending; refuse other endings, and Parquet without pyarrow."""
    kinds = {".npz": write_archive, ".parquet": write_table}
    ending = Path(file).suffix.lower()
    if ending not in kinds:
        raise InputError(f"to: expected a file that ends in {' or '.join(kinds)}. Received: {file!r}")
    if ending == ".parquet":
        kerasae.results.need_arrow()
    return kinds[ending]


def opened(recipe, source):
    """Load the run's model and data, with classes numbered as a conditional model numbers them."""
    from kerasae import runs
    from pipelines.labels.names import matched

    model = runs.load_model(recipe.run, source.info)
    return model, matched(recipe.run, model, source) if getattr(model, "conditional", False) else source


def opened_autoencoder(recipe, source):
    """Load the run's model and data; raises InputError for a classifier."""
    model, source = opened(recipe, source)
    if isinstance(model, kerasae.models.Classifier):
        raise InputError(
            f"run: expected an autoencoder. Received: {recipe.run}, a classifier; give the run it came from"
        )
    return model, source


def chosen(source, split):
    """List the splits to encode, each with the names [N] of its examples' parts."""
    import numpy as np

    if split == "all":
        return source.stored()
    return [(found := source.split(split), np.full(len(found), split))]


def described(info, parts):
    """Collect names, places, splits and labels of all examples."""
    import numpy as np

    files = [split.paths for split, _ in parts]
    names = None if any(paths is None for paths in files) else named(info.spec, itertools.chain.from_iterable(files))
    labels = [np.full(len(s), -1) if s.labels is None else s.labels for s, _ in parts] if info.classes else None
    return About(
        names,
        np.concatenate([split.rows for split, _ in parts]),
        np.concatenate([names_of_parts for _, names_of_parts in parts]),
        None if labels is None else np.concatenate(labels),
    )


def named(spec, paths):
    """Name files relative to the folder of their data set."""
    root = os.path.join(Path(spec.removeprefix("folder:")).expanduser().absolute(), "")
    return [os.fsdecode(path).removeprefix(root) for path in paths]


# ---- the two kinds of files


def write_archive(file, pieces: Iterator, about: About, info) -> tuple[int, ...]:
    """Write codes, names or places, splits and labels as arrays of an .npz file; returns the shape of a code."""
    first = next(pieces)
    count, shape = len(about.places), first.shape[1:]
    with kerasae.results.CodeArchive(file) as archive:
        if about.names is None:
            archive.array("index", (count,), "int64", [about.places])
        else:
            archive.texts("names", about.names)
        archive.texts("splits", about.splits)
        if about.labels is not None:
            archive.array("labels", (count,), "int64", [about.labels])
            archive.texts("class_names", info.class_names)
        archive.array("codes", (count, *shape), first.dtype, itertools.chain([first], pieces))
    return shape


def write_table(file, pieces: Iterator, about: About, info) -> tuple[int, ...]:
    """Write a Parquet file with a row per example; returns the shape of a code."""
    first = next(pieces)
    columns = table_columns(about, info)
    kinds = {name: kind for name, (kind, _) in columns.items()}
    start = 0
    with kerasae.results.CodeTable(file, first.shape[1:], kinds) as table:
        for codes in itertools.chain([first], pieces):
            stop = start + len(codes)
            table.rows(codes, {name: value(start, stop) for name, (_, value) in columns.items()})
            start = stop
    return first.shape[1:]


def table_columns(about: About, info):
    """Describe the columns: name → type, and a function of two row numbers that returns the values between them."""
    names, labels = about.names, about.labels
    if names is None:
        columns = {"index": ("int64", lambda start, stop: about.places[start:stop])}
    else:
        columns = {"name": (str, lambda start, stop: [*map(kerasae.results.encodable, names[start:stop])])}
    columns["split"] = (str, lambda start, stop: about.splits[start:stop].tolist())
    if labels is not None:
        spelled = [*info.class_names, None]  # a label of -1 is the last
        columns["class"] = (str, lambda start, stop: [spelled[label] for label in labels[start:stop]])
    return columns
