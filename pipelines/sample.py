"""Draw new examples from the generative model of a run: a PNG file for each image, or .npz, and a sheet.

Images are grey or in colour; examples of other kinds are the array x of samples.npz, in the units of the model.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within

SHEET = 256
"""Most examples on the sheet."""

N, OF_EACH = 64, 8
"""Examples, and examples of each class where all are drawn, when no number is given."""

ROWS, COLUMNS = 20, 12
"""Most classes, and most examples of each, on the sheet of all classes."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the run, how many examples, and where they go."""

    run: str = field(metadata={"positional": True})
    """Directory of the run of a generative model."""
    to: str
    """Folder to write, which must be free: it appears when it is whole."""
    n: int | None = field(default=None, metadata=within("count"))
    """Number of examples, 64 when not given; or of each class, 8 when not given, where all classes are drawn."""
    label: str | None = None
    """Class of the examples, by its name or number, where the model is conditional; all classes when not given, or by
    the word all: each draw under every class, a row of the sheet for a class."""
    seed: int = field(default=0, metadata=within("seed"))
    """Seed of the examples: the same one draws the same."""

    def __post_init__(self):
        check(self)


def run(recipe: Recipe) -> Path:
    """Draw and write the examples; print where they are."""
    from kerasae import applications, runs

    place = Path(recipe.to)
    with new_folder(place) as folder:
        model = runs.load_model(recipe.run)
        names = runs.class_names(recipe.run)
        if model.generative and model.conditional and all_classes(recipe.label, names):
            said = draw_every_class(folder, model, names, recipe)
        else:
            label = None if recipe.label is None else number_of(recipe.label, names)
            examples = applications.draw_examples(model, recipe.n or N, label, recipe.seed)
            write(folder, model, examples)
            said = f"{len(examples)} examples"
    print(f"{recipe.to}: {said} of {type(model).__name__}")
    return place


def all_classes(label: str | None, names: list[str] | None) -> bool:
    """Tell whether every class is to be drawn: none is named, or "all", which is not the name of one."""
    return label is None or (label == "all" and label not in (names or ()))


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Yield a folder that stands at `place` when it is whole; nothing is left after an error.

    Raises:
        InputError: `place` is not free.
    """
    refuse_taken(place)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name[:100]}.") as around:
        (new := Path(around, "new")).mkdir()
        yield new
        if place.exists():
            place.rmdir()  # it is empty
        os.replace(new, place)


def refuse_taken(place: Path) -> None:
    """Raise InputError unless a folder can stand at `place`: free or empty, in a folder that exists."""
    if "\0" in str(place) or not place.name:
        raise InputError(f"to: expected the name of a folder. Received: {str(place)!r}")
    if place.is_symlink() or (place.exists() and not (place.is_dir() and not any(place.iterdir()))):
        raise InputError(f"to: {place} is not free; give another name")
    if not place.parent.is_dir():
        raise InputError(f"to: there is no folder {place.parent}; make it first")


def number_of(label: str, names: list[str] | None) -> int:
    """Find a class by its name, or else by its number."""
    from kerasae.data.layouts import listed

    if names and label in names:
        return names.index(label)
    if label.isdecimal():
        return int(label)
    raise InputError(f"label: expected the number of a class, or a name of {listed(names or ())}. Received: {label!r}")


def write(folder: Path, model, examples) -> None:
    """Write examples [N, *shape] and their sheet into a folder."""
    import numpy as np
    import tensorflow as tf

    from kerasae import applications, plots

    if applications.is_picture(model):
        for i, image in enumerate(applications.pixels(examples), 1):
            (folder / f"{i:0{len(str(len(examples)))}d}.png").write_bytes(tf.io.encode_png(image).numpy())
    else:
        np.savez(folder / "samples.npz", x=examples)
    if len(model.example_shape) <= 3:
        plots.image_grid(examples[:SHEET]).savefig(folder / "sheet.png", dpi=110, facecolor="white")


def draw_every_class(folder: Path, model, names: list[str] | None, recipe: Recipe) -> str:
    """Draw and write examples of every class, the same draws under each, and say how many."""
    import numpy as np
    import tensorflow as tf

    from kerasae import applications, plots

    classes, n = model.condition_width, recipe.n or OF_EACH
    drawn = np.stack([applications.draw_examples(model, n, label, recipe.seed) for label in range(classes)])
    if applications.is_picture(model):
        for label, row in enumerate(applications.pixels(drawn)):
            for i, image in enumerate(row, 1):
                name = f"{label:0{len(str(classes - 1))}d}-{i:0{len(str(n))}d}.png"
                (folder / name).write_bytes(tf.io.encode_png(image).numpy())
    else:
        np.savez(folder / "samples.npz", x=drawn.reshape(-1, *drawn.shape[2:]), y=np.repeat(np.arange(classes), n))
    if len(model.example_shape) == 3:
        shown = {titled(label, names): row[:COLUMNS] for label, row in enumerate(drawn[:ROWS])}
        plots.rows(shown).savefig(folder / "sheet.png", dpi=110, facecolor="white")
    return f"{n} examples of each of {classes} classes"


def titled(label: int, names: list[str] | None) -> str:
    """Title a row of the sheet by the number of its class, and its name where that is another."""
    name = names[label] if names else str(label)
    return name if name == str(label) else f"{label} {name[:20]}".replace("$", r"\$")
