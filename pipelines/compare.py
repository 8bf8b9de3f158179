"""Compare the figures of finished runs in a table, with means over seeds and the baselines on the same labels."""

from dataclasses import dataclass, field
from pathlib import Path

from kerasae.errors import InputError
from pipelines.command_line.voice import printable


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings for one table."""

    runs: tuple[str, ...] = field(metadata={"positional": True})
    """Directories of finished runs; those whose recipes differ in the seed alone become one row."""
    figures: tuple[str, ...] = ()
    """Figures to show, such as finetune_accuracy; those that all runs share when not given."""
    to: str | None = None
    """File to write too: a table in Markdown, .md, or .csv."""


def run(recipe: Recipe):
    """Print the table, write it if asked to, and return it."""
    from kerasae import results, runs

    check_kind(recipe.to)
    table = runs.compare(recipe.runs, recipe.figures)
    print("\n".join(map(printable, table.markdown().splitlines())))
    if recipe.to is not None:
        text = table.csv() if Path(recipe.to).suffix == ".csv" else table.markdown()
        with results.whole_file(recipe.to) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    return table


def check_kind(to):
    """Raise InputError for a file that is neither .md nor .csv."""
    if to is not None and Path(to).suffix not in (".md", ".csv"):
        raise InputError(f"to: expected a file that ends in .md or .csv. Received: {to}")
