"""List the variants, the named recipes and the sources of data.

Everything is read from docstrings; TensorFlow is not imported.
"""

import ast
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

SOURCES = {
    "digits": "scikit-learn's 1,797 handwritten digits of 8×8 pixels, no download",
    "tfds:NAME[/config]": "TensorFlow Datasets; --data-dir says where they lie",
    "folder:DIR": "images in a folder, one sub-folder per class or no classes at all",
    "npz:FILE": "arrays x_train, y_train, x_test, y_test; the labels are optional",
}

CITATION = re.compile(
    r"[A-Z][\w'-]+(?:, [A-Z][\w'-]+)*(?: and [A-Z][\w'-]+| et al\.)?, [^.:;]*?"
    r"(?:arXiv[: ]\d{4}\.\d{4,5}|\(?\b(?:19|20)\d\d\b(?!\.\d)\)?)"
)
"""Authors, venue and year or arXiv number, as the models' docstrings give them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Nothing to choose."""


def run(recipe: Recipe) -> None:
    """Print the three tables."""
    names = {cls: short for short, cls in command_names().items()}
    zoo = [(names.get(cls, "-"), cls, citation(text), first_line(text)) for cls, text in variants().items()]
    sections = {
        "Variants (kerasae train VARIANT)": zoo,
        "Recipes (kerasae COMMAND --recipe NAME)": recipes(),
        "Data (--data SPEC)": list(SOURCES.items()),
    }
    print("\n\n".join("\n".join([title, *aligned(rows)]) for title, rows in sections.items()))


def variants() -> dict[str, str]:
    """Name → docstring of the public classes of `kerasae.models` that descend from `Autoencoder`."""
    files = Path(importlib.util.find_spec("kerasae.models").origin).parent.rglob("*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    classes = {n.name: n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    return {name: ast.get_docstring(classes[name]) for name in public_names() if descends(name, classes)}


def command_names() -> dict[str, str]:
    """Name in `kerasae train NAME` → class: "denoising" → "DenoisingAutoencoder"; "plain" for the parent.

    A stack is not among them: it is made of autoencoders, and `kerasae stacked` trains it. Nor are masked autoencoders,
    which take networks of their own: `kerasae mae` trains them.
    """
    stem = {name: name.removesuffix("Autoencoder").lower() or "plain" for name in variants()}
    return {short: name for name, short in stem.items() if short not in ("stacked", "masked", "crossmasked", "simmim")}


def public_names() -> list[str]:
    """`kerasae.models.__all__`, read without importing the package."""
    source = Path(importlib.util.find_spec("kerasae.models").origin).read_text(encoding="utf-8")
    assignments = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(node.value) for node in assignments if node.targets[0].id == "__all__")


def descends(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    """Whether a class is `Autoencoder` or inherits from it."""
    parents = [b.id for b in classes[name].bases if isinstance(b, ast.Name)] if name in classes else []
    return name == "Autoencoder" or any(descends(parent, classes) for parent in parents)


def recipes() -> list[tuple[str, str, str]]:
    """Command, name and first docstring line of every named recipe."""
    from pipelines import recipes as wing  # here, because recipes import this module
    from pipelines.command_line.main import COMMANDS

    return [
        (command, name, first_line(function.__doc__))
        for command in COMMANDS
        for name, function in wing.of(command).items()
    ]


def first_line(text: str) -> str:
    """First line of a docstring."""
    return text.strip().splitlines()[0]


def citation(text: str) -> str:
    """The first paper that a docstring names."""
    found = CITATION.search(" ".join(text.split()))
    return found.group() if found else ""


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose columns start at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
