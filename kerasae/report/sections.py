"""Find the runs that a page shows, and say what each has to say."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kerasae import runs
from kerasae.errors import InputError
from kerasae.report import pictures
from kerasae.report.wording import companion, meaning_of, quantity, spell

AFTERWARDS = ("probe", "finetune", "evaluate", "export")
"""Commands that follow the pretraining, in the order of the workflow."""

SPEAKS_OF = {"ranking": "Recommended items", "probe": "Frozen features", "finetune": "Fine-tuning"}
"""Part of the name of a text in the summary → what the text speaks of."""


@dataclass
class Section:
    """Content of the page for one run; `depth` counts the runs around it, `about` explains its command."""

    path: Path
    title: str
    depth: int
    command: str
    recipe: dict
    about: str = ""
    summary: dict = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    pictures: list = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    probes: list[dict] = field(default_factory=list)

    @property
    def settings(self) -> list[tuple[str, str]]:
        """Return the recipe as text."""
        return [(name, spell(value)) for name, value in self.recipe.items()]

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """Return name, value with unit, and meaning of each number; a mean is shown with its spread."""
        behind = {companion(name) for name in self.summary}
        texts = {name for name in self.summary if name.endswith("verdict")}  # in `sentences`
        metrics = tuple(f"_{metric}" for metric in pictures.METRICS)
        tabled = {name for name in self.summary if self.probes and name.endswith(metrics)}  # by `probes`
        return [self.figure(name) for name in self.summary if name not in behind | tabled | texts]

    def figure(self, name: str) -> tuple[str, str, str]:
        """Return one row of `figures`."""
        unit, meaning = meaning_of(name)
        value, spread = self.summary[name], self.summary.get(companion(name))
        if spread is not None:
            repeats = self.recipe.get("repeats") or "the"
            what = "standard error" if name.endswith("_mean") else f"standard deviation of {repeats} repeats"
            meaning += f"{', ' if meaning else ''}±\N{NO-BREAK SPACE}{what}"
        return name, quantity(value, spread, unit), meaning

    @property
    def sentences(self) -> list[tuple[str, str]]:
        """Return what the summary says in words, such as what pretraining was worth, and what it speaks of."""
        texts = [(name, value) for name, value in self.summary.items() if name.endswith("verdict")]
        return [(next((title for part, title in SPEAKS_OF.items() if part in name), ""), text) for name, text in texts]

    @property
    def score(self) -> str:
        """Return the heading of the scores in `probes`."""
        return pictures.METRICS[pictures.metric_of(self.probes[0])]

    def attempt(self, what: str, function: Callable, *args):
        """Call a function; on an InputError or OSError note the reason on the page and return None."""
        try:
            return function(*args)
        except (InputError, OSError) as error:
            self.notes.append(f"{what}: {error}")
            return None

    def draw(self, functions, *args) -> None:
        """Draw the picture of each function and add it, unless the function returns None."""
        for function in functions:
            if found := self.attempt(function.__name__.replace("_", " "), function, *args):
                self.pictures.append(found)


def find(root: Path, explain: Callable[[str], str] = lambda command: "") -> list[Section]:
    """Find the run in `root` and the runs in its sub-folders: parents first, then in the order of the workflow."""
    contents, broken = {root: runs.read_recipe(root)}, []
    for file in sorted(root.rglob("recipe.json")):
        try:
            contents[file.parent] = runs.read_recipe(file.parent)
        except InputError as error:
            broken.append(str(error))

    def chain(path):
        return [run for run in (*reversed(path.parents), path) if run in contents]

    def place(path):
        return [(rank(contents[run]["command"]), natural(run.name)) for run in chain(path)]

    def section(path):
        title = path.relative_to(root).as_posix() if path != root else path.resolve().name
        command, recipe = (contents[path][name] for name in ("command", "recipe"))
        return Section(path, title, len(chain(path)) - 1, command, recipe, explain(command))

    sections = [section(path) for path in sorted(contents, key=place)]
    sections[0].notes += broken
    return sections


def rank(command: str) -> int:
    return 1 + AFTERWARDS.index(command) if command in AFTERWARDS else 0


def natural(name: str) -> list:
    """Return a sort key that puts finetune-20 before finetune-100."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
