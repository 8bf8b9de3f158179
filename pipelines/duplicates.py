"""List near-duplicates and outliers of a data set by the codes of a run, as a page to look at and a table.

Two examples are near-duplicates where each is among the nearest of the other, and their distance is at most a share of
the usual one to the nearest. Outliers are farthest, on average, from their nearest. Beside NAME.html stands NAME.csv.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import StartedRecipe
from pipelines.command_line.ranges import within

HEADER = ("kind", "name", "other", "distance", "of_limit")

COMPARED = 5000
"""Most examples whose raw values are paired too, which takes the square of their number."""


@dataclass(frozen=True, kw_only=True)
class Recipe(StartedRecipe):
    """Settings of what is near and what is far."""

    to: str
    """Page to write, .html; the table stands beside it under the same name, .csv."""
    closeness: float = field(default=0.25, metadata=within("amount"))
    """Near-duplicates are at most this share of the median distance to the nearest other example apart."""
    neighbours: int = field(default=5, metadata=within("count"))
    """Nearest examples that are looked at."""
    outliers: int = field(default=20, metadata=within("count_or_none"))
    """How many outliers to list."""
    examples: int = field(default=20_000, metadata=within("count"))
    """Most examples, drawn at random."""
    split: str = "all"
    """Which part of the data: all, train, test …"""


def run(recipe: Recipe) -> Path:
    """Encode the data, compare the codes, write the page and the table, and print the counts."""
    from kerasae.applications import searching
    from pipelines.finding import pages

    searching.need_usearch()
    place = Path(recipe.to)
    if place.suffix.lower() != ".html":
        raise InputError(f"to: expected a file that ends in .html. Received: {recipe.to!r}")
    table_place = place.with_suffix(".csv")
    kerasae.results.refuse_other_table(table_place, ",".join(HEADER), "table of duplicates")
    with (
        kerasae.results.whole_file(place) as file,
        kerasae.results.whole_file(table_place) as table,
        door.entered(recipe) as (recipe, source, _),
    ):
        model, found, duplicates, outliers, lines = looked_through(recipe, source)
        file.write(pages.of_duplicates(recipe, found, duplicates, outliers, model, lines))
        table.write(rows(found, duplicates, outliers).encode("utf-8", "replace"))
    print("\n".join([f"{place}: {len(found.names)} examples; the table is {table_place}", *lines]))
    return place


def looked_through(recipe, source):
    """Encode at most `examples`, and find near-duplicates and outliers among them."""
    from kerasae import applications
    from pipelines.finding import encoding

    model, source = encoding.opened(recipe, source)
    found = encoding.encoded(model, source, recipe.split, recipe.examples, recipe.seed)
    nearest = applications.nearest_others(found.codes, recipe.neighbours)
    duplicates = applications.find_duplicates(found.codes, recipe.closeness, nearest=nearest)
    outliers = applications.find_outliers(found.codes, recipe.outliers, nearest=nearest)
    return model, found, duplicates, outliers, said(recipe, duplicates, raw_pairs(recipe, source, found))


def raw_pairs(recipe, source, found):
    """Pair raw values by the same rule, as a baseline; None of tokens and of too many examples."""
    import numpy as np

    from kerasae import applications, evaluate
    from pipelines.building.variants import scale_of

    if source.info.kind == "tokens" or len(found.names) > COMPARED:
        return None
    raw = np.concatenate([evaluate.raw_input(part, scale_of(source.info)) for part in found.splits])
    return applications.find_duplicates(np.nan_to_num(raw), recipe.closeness, recipe.neighbours).pairs


def said(recipe, duplicates, raw) -> list[str]:
    """Say the rule, how many pairs it gave, and how many raw values give."""
    count = len(duplicates.pairs)
    rule = f"at most {recipe.closeness:g} of the median distance to the nearest, {duplicates.limit:.4g}"
    lines = [f"{count} pairs of near-duplicates: each among the other's {recipe.neighbours} nearest, {rule}"]
    if raw is None:
        return lines
    both = len(set(map(tuple, raw.tolist())) & set(map(tuple, duplicates.pairs.tolist())))
    return [*lines, f"raw values give {len(raw)} pairs by the same rule, {both} of them the same"]


def rows(found, duplicates, outliers) -> str:
    """Write the table: pairs, then outliers, each with its distance and that as a share of the greatest of a pair."""
    text, unit = io.StringIO(), duplicates.limit or float("nan")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for (a, b), d in zip(duplicates.pairs, duplicates.distances, strict=True):
        writer.writerow(["duplicate", found.names[a], found.names[b], f"{d:.6g}", f"{d / unit:.4g}"])
    for i, d in zip(*outliers, strict=True):
        writer.writerow(["outlier", found.names[i], "", f"{d:.6g}", f"{d / unit:.4g}"])
    return text.getvalue()
