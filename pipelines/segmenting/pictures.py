"""Write the classes of pixels that a segmenter predicts: a PNG for each image, and a sheet of the first ones."""

import csv
import logging
import os
from pathlib import Path

import kerasae
from kerasae.errors import InputError

logger = logging.getLogger("kerasae.predict")

SHEET = 8
"""Images on the sheet."""


def write(predictions, predictor, recipe) -> int:
    """Write masks into the folder `recipe.to`, each of its image's size; return the number of broken images.

    A palette PNG holds the classes; 255 is what the model has not seen, as it was cut off when the image was resized.
    Beside the masks come `classes.csv`, which names the classes and their colours, and `sheet.png`.
    """
    folder, broken, first, written = opened(recipe.to), 0, [], set()
    for found in predictions:
        if found.error:
            logger.warning("%s is broken: %s", found.name, found.error)
            broken += 1
            continue
        mask = found.values.astype("uint8")
        place = folder / f"{relative(found.name, recipe.inputs)}.png"
        if place in written:
            raise InputError(f"to: two images would give {place}; predict their folders one after the other")
        written.add(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        with kerasae.results.whole_file(place) as file:
            kerasae.data.write_mask(file, as_stored(mask, found.name, predictor.intake))
        if len(first) < SHEET and os.path.isfile(found.name):
            first.append((found.name, mask))
    name_classes(folder / "classes.csv", predictor.class_names)
    if first:
        sheet(folder / "sheet.png", first, predictor.intake)
    return broken


def opened(to) -> Path:
    """Make the folder; raises InputError where none is named, or a file has its name."""
    if to is None:
        raise InputError("to: a segmenter writes a mask for each image; name a folder with --to")
    if os.path.exists(to) and not os.path.isdir(to):
        raise InputError(f"to: {to} is a file; a segmenter writes masks into a folder, name another")
    Path(to).mkdir(parents=True, exist_ok=True)
    return Path(to)


def relative(name, inputs) -> str:
    """Name an image below the folder that was given, without its ending; a file that was given itself by its name."""
    above = next((folder for folder in inputs if os.path.isdir(folder) and Path(name).is_relative_to(folder)), None)
    if above is None:
        above = next((os.path.dirname(file) for file in inputs if Path(name).is_relative_to(file)), "")
    return os.path.splitext(os.path.relpath(name, above or "."))[0]


def as_stored(mask, name, intake):
    """Bring a mask to the size of the image's file; a row of an array keeps the model's size."""
    if not intake.resized or not os.path.isfile(name):
        return mask
    return kerasae.data.unfit_mask(mask, tuple(kerasae.data.stored_size(name)), intake.center)


def name_classes(path, names):
    """Write number, name and colour of each class."""
    colours = kerasae.data.palette()
    with kerasae.results.whole_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["number", "class", "colour"])
        writer.writerows((i, name, f"#{colours[i].tobytes().hex()}") for i, name in enumerate(names))


def sheet(path, first, intake):
    """Draw the first images, as the model sees them, above their classes."""
    import numpy as np

    from kerasae import plots

    top = 1.0 if intake.dtype == "float32" else intake.maximum
    images = np.stack([intake.file(name) for name, _ in first]) / np.float32(top)
    named = np.stack([mask for _, mask in first])
    rows = {"image": plots.coloured(images), "classes": plots.overlay(images, named)}
    with kerasae.results.whole_file(path) as file:
        plots.rows(rows).savefig(file, dpi=110, facecolor="white", format="png")
