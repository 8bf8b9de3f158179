"""Draw new examples from the generative model of a run: a PNG file for each image, or .npz, and a sheet.

Images are grey or in colour; examples of other kinds are the array x of samples.npz, in the units of the model.
"""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within

SHEET = 256
"""Most examples on the sheet."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the run, how many examples, and where they go."""

    run: str = field(metadata={"positional": True})
    """Directory of the run of a generative model."""
    to: str
    """Folder to write, which must be free: it appears when it is whole."""
    n: int = field(default=64, metadata=within("count"))
    """Number of examples."""
    label: str | None = None
    """Class of the examples, by its name or number, where the model is conditional."""
    seed: int = field(default=0, metadata=within("seed"))
    """Seed of the examples: the same one draws the same."""

    def __post_init__(self):
        check(self)


def run(recipe: Recipe) -> Path:
    """Draw and write the examples; print where they are."""
    from kerasae import applications, runs

    place = Path(recipe.to)
    refuse_taken(place)
    model = runs.load_model(recipe.run)
    label = None if recipe.label is None else number_of(recipe.label, runs.class_names(recipe.run))
    examples = applications.draw_examples(model, recipe.n, label, recipe.seed)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name[:100]}.") as folder:
        write(new := Path(folder, "new"), model, examples)
        if place.exists():
            place.rmdir()  # it is empty
        os.replace(new, place)
    print(f"{recipe.to}: {recipe.n} examples of {type(model).__name__}")
    return place


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
    """Write examples [N, *shape] and their sheet into a new folder."""
    import numpy as np
    import tensorflow as tf

    from kerasae import applications, plots

    folder.mkdir()
    if applications.is_picture(model):
        for i, image in enumerate(applications.pixels(examples), 1):
            (folder / f"{i:0{len(str(len(examples)))}d}.png").write_bytes(tf.io.encode_png(image).numpy())
    else:
        np.savez(folder / "samples.npz", x=examples)
    if len(model.example_shape) <= 3:
        plots.image_grid(examples[:SHEET]).savefig(folder / "sheet.png", dpi=110, facecolor="white")
