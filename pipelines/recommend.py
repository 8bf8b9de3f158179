"""Recommend to users the items of highest predicted rating that they have not rated, by a run on ratings."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import StartedRecipe
from pipelines.command_line.ranges import within
from pipelines.command_line.voice import printable

COLUMNS = ("user", "rank", "item", "rating")


@dataclass(frozen=True, kw_only=True)
class Recipe(StartedRecipe):
    """Settings: the users, how many items, and where they go."""

    user: tuple[str, ...] | None = None
    """Users, by their names in the file of ratings; all when not given."""
    rated: tuple[str, ...] | None = None
    """Ratings by a new user whom the file does not know, ITEM=RATING each; for runs by user."""
    n: int = field(default=10, metadata=within("count"))
    """Most items for a user."""
    to: str | None = None
    """CSV file to write, with columns user, rank, item and rating; a table on standard output when not given."""
    batch_size: int = field(default=256, metadata=within("count"))
    """Users, or items in runs by item, that are predicted at once."""


def run(recipe: Recipe) -> None:
    """Predict, and write or print the best items of each user."""
    if recipe.user and recipe.rated:
        raise InputError("rated: expected ratings by a new user, or --user, not both; leave one out.")
    new = ratings_of(recipe.rated or ())
    if recipe.to is None:
        return show(found(recipe, new))
    with kerasae.results.whole_text(recipe.to) as file:
        count = write(file, found(recipe, new))
    print(f"{recipe.to}: {count} items")


def found(recipe: Recipe, new: dict[str, float]) -> Iterable:
    """Load the run and recommend, to a new user or to those of the data."""
    from kerasae import applications, runs

    with door.entered(recipe) as (recipe, source, _):
        model = runs.load_model(recipe.run, source.info)
        if new:
            yield from applications.recommend_to_new(model, source, new, recipe.n)
        else:
            yield from applications.recommend_items(model, source, recipe.user, recipe.n, recipe.batch_size)


def ratings_of(rated: tuple[str, ...]) -> dict[str, float]:
    """Read ITEM=RATING; an item's name may hold = too."""
    ratings = {}
    for text in rated:
        item, mark, rating = text.rpartition("=")
        try:
            ratings[item] = float(rating) if mark and item not in ratings else float("bad")
        except ValueError:
            raise InputError(f"rated: expected ITEM=RATING, each item once; received {text!r}; such as 50=4.") from None
    return ratings


def write(file, recommendations: Iterable) -> int:
    """Write CSV with a header; return the number of items."""
    writer, count = csv.writer(file, lineterminator="\n"), 0
    writer.writerow(COLUMNS)
    for one in recommendations:
        writer.writerow(map(kerasae.results.encodable, spelled(one)))
        count += 1
    return count


def show(recommendations: Iterable) -> None:
    """Print a table."""
    for cells in (COLUMNS, *map(spelled, recommendations)):
        print(printable("  ".join(cell.ljust(12) for cell in cells).rstrip()))


def spelled(one) -> tuple[str, ...]:
    return one.user, str(one.rank), one.item, f"{one.rating:.4g}"
