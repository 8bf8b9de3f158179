"""Write the page of a run and of the runs inside it: curves, reconstructions, filters, samples, accuracies.

The page is one file, RUN/report.html, which embeds its pictures and needs no network.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings for one page."""

    run: str = field(metadata={"positional": True})
    """Directory of the run; runs in its sub-folders are shown on the same page."""
    data_dir: str | None = None
    """Folder in which TensorFlow Datasets keeps its data sets; that of the run when not given."""


def run(recipe: Recipe):
    """Write the page and print its path."""
    page = write(recipe.run, recipe.data_dir)
    print(page)
    return page


def write(path, data_dir=None):
    """Write the page of a run by `kerasae.report.write`, with a line about each command."""
    from kerasae import report

    return report.write(path, data_dir, about)


def about(command):
    """Describe a command in one line; "" for a name that is not a kerasae command."""
    from pipelines.command_line.main import COMMANDS, summary

    return summary(COMMANDS[command]) if command in COMMANDS else ""
