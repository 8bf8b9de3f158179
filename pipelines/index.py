"""Make an index of codes, or of bits, in which `kerasae search` finds what is most like a file, a row or a line.

The index is a folder: header with the hash of the model, codes or bits, names. Where data have classes and a test part,
mAP stands beside raw values, principal components and, for bits, PCA-ITQ and random hyperplanes.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import StartedRecipe
from pipelines.command_line.ranges import within


@dataclass(frozen=True, kw_only=True)
class Recipe(StartedRecipe):
    """Settings of the index."""

    to: str
    """Folder to write, which appears when it is whole; an earlier index there is replaced."""
    bits: bool = False
    """Store bits in place of numbers, 32 times less: of semantic hashing its own, else whether a number is above its
    median."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance of codes that are no bits; bits are compared by how many differ."""
    split: str = "all"
    """Which part of the data to find examples in: all, train, test …"""
    judge: bool = True
    """Measure mAP beside baselines, where the data have classes."""
    queries: int = field(default=1000, metadata=within("count"))
    """Most test examples, drawn at random, that mAP is the mean of."""


def run(recipe: Recipe) -> Path:
    """Encode the data, save the index, and print its figures."""
    from kerasae import applications
    from kerasae.applications import index_files
    from pipelines.finding import encoding, judging

    if recipe.bits and recipe.metric != "euclidean":
        raise InputError(f"metric: bits are compared by how many differ, not by {recipe.metric}; leave it out")
    index_files.need_usearch()
    index_files.refuse_foreign(Path(recipe.to).absolute())
    with door.entered(recipe) as (recipe, source, _):
        model, source = encoding.opened(recipe, source)
        found = encoding.encoded(model, source, recipe.split)
        thresholds = encoding.thresholds_of(model, found.codes) if recipe.bits else None
        index = applications.SearchIndex(
            encoding.as_stored(found.codes, thresholds),
            "hamming" if recipe.bits else recipe.metric,
            found.names,
            encoding.spelled(found.labels, source.info.class_names),
            encoding.facts(recipe, thresholds, source.info),
        )
        lines = judging.lines(model, source, recipe, thresholds) if recipe.judge else []
        place = applications.save_index(index, recipe.to)
    what = "bits" if recipe.bits else f"numbers, {recipe.metric}"
    print("\n".join([f"{recipe.to}: {len(index)} examples of {index.dimension} {what}", *lines]))
    return place
