"""Write the page of a run and of the runs inside it: curves, reconstructions, filters, samples, accuracies.

The page is one file, RUN/report.html, with its pictures inside; it needs no network.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The page of a run."""

    run: str = field(metadata={"positional": True})
    """Directory of the run; the runs in its sub-folders are shown with it."""
    data_dir: str | None = None
    """Folder in which TensorFlow Datasets keeps its data sets; where the run found them when not given."""


def run(recipe: Recipe):
    """Write the page and print where it is."""
    page = write(recipe.run, recipe.data_dir)
    print(page)
    return page


def write(path, data_dir=None):
    """`kerasae.report.write`, with a line on the page about each of our commands."""
    from kerasae import report

    return report.write(path, data_dir, about)


def about(command):
    """What a command does, in a line; "" for one that is none of ours."""
    from pipelines.command_line.main import COMMANDS, summary

    return summary(COMMANDS[command]) if command in COMMANDS else ""
