"""Find what is most like image files, rows of tables or lines of text in an index that `kerasae index` has made.

Files are read as the index's run has read its own, and encoded by its model; an index that another model has made is
refused. The result is CSV, or a page with thumbnails where the data of the index are images and still in place.
"""

import csv
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import kerasae
from kerasae.errors import InputError
from pipelines.command_line.ranges import check, within

logger = logging.getLogger("kerasae.search")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings: the index, the inputs, and the form of the output."""

    index: str = field(metadata={"positional": True})
    """Folder of the index."""
    inputs: tuple[str, ...] = field(metadata={"positional": True})
    """Image files, folders, which are searched at any depth, .npz files with x_test, x_train or x, tables,
    and .txt files, of which each line is an example."""
    n: int = field(default=10, metadata=within("count"))
    """How many to find for each."""
    to: str | None = None
    """File to write, .csv, or .html for a page with thumbnails; standard output as CSV when not given."""
    run: str | None = None
    """Run whose model made the index, where it has moved."""
    data_dir: str | None = None
    """Folder in which TensorFlow Datasets keeps the data of the index, for the thumbnails; that of then when not
    given."""
    image_size: tuple[int, ...] | None = field(default=None, metadata=within("side"))
    """Resize images of other sizes to the model's: one number for a square, or height and width."""
    strict: bool = False
    """Stop at an image that cannot be read, instead of writing a line that says why."""
    batch_size: int = field(default=256, metadata=within("count"))
    """Examples that are encoded at once."""

    def __post_init__(self):
        check(self)


class Answer(NamedTuple):
    """What was found for an example, or why nothing was."""

    name: str
    rows: Any = ()
    distances: Any = ()
    error: str = ""


def run(recipe: Recipe) -> int:
    """Search and write; return the number of images that could not be read."""
    from pipelines import predict
    from pipelines.finding import pages

    ending = Path(recipe.to or "-.csv").suffix.lower()
    if ending not in (".csv", ".html"):
        raise InputError(f"to: expected a file that ends in .csv or .html. Received: {recipe.to!r}")
    predict.refuse_missing(recipe.inputs)
    run, index = opened(recipe)
    model = kerasae.runs.load_model(run)
    predictor, seen = encoder(run, model, recipe, pictured=ending == ".html" and pages.are_pictures(model))
    answers = found(index, predict.predictions(predictor, recipe), recipe.n)
    if ending == ".html":
        with kerasae.results.whole_file(recipe.to) as file:
            answers = list(answers)
            file.write(pages.of_answers(index, answers, model, seen, recipe))
    else:
        with predict.output(recipe.to) as file:
            answers = write(file, index, answers)
    if broken := sum(bool(answer.error) for answer in answers):
        logger.warning("%s broken image%s; the column error says why", broken, "s"[: broken > 1])
    return broken


def opened(recipe):
    """Find the run of an index, and load the index if that run's model has made it."""
    from kerasae import applications
    from kerasae.applications import index_files

    header = index_files.read_header(recipe.index)
    refuse_odd(header, recipe.index)
    place = Path(recipe.run or header["about"]["run"])
    if not Path(place, "model.keras").is_file():
        raise InputError(f"run: {place}, which made the index, holds no model.keras; say with --run where it is now")
    return place, applications.load_index(recipe.index, applications.file_hash(Path(place, "model.keras")))


def refuse_odd(header, place):
    """Raise InputError for a header that does not say what `kerasae index` writes."""
    about = header["about"]
    thresholds, data = about.get("thresholds"), about.get("data")
    kinds = [float] * header["dimension"] if header["metric"] == "hamming" else None
    numbers = thresholds if kinds is None else isinstance(thresholds, list) and [*map(type, thresholds)]
    texts = [about.get("run"), about.get("split"), data.get("data") if isinstance(data, dict) else None]
    if numbers != kinds or not all(type(text) is str and "\0" not in text for text in texts):
        raise InputError(f"index: {place}/index.json does not say what kerasae index writes; make it again with that")


def encoder(run, model, recipe, pictured):
    """Make a `predict.Predictor` of codes, and a list into which it puts the pictures that it has encoded, if any."""
    from kerasae import runs
    from pipelines import predict
    from pipelines.finding import pages

    intake, seen = runs.intake(run, model), []
    intake = intake.resizing(recipe.image_size) if recipe.image_size else intake
    encode = predict.compiled(model.encode, intake)

    def codes(x):
        room = max(0, pages.SHOWN - len(seen)) if pictured else 0
        seen.extend(pages.as_pictures(model, x[:room]) if room else ())
        return encode(x).reshape(len(x), -1)

    return predict.Predictor(intake, None, codes, "codes"), seen


def found(index, predictions, n) -> Iterator[Answer]:
    """Search for each code as it comes."""
    import numpy as np

    from pipelines.finding import encoding

    for one in predictions:
        if one.error:
            yield Answer(one.name, error=one.error)
            continue
        query = encoding.as_stored(np.asarray(one.values)[None], index.about.get("thresholds"))
        rows, distances = index.search(query, n)
        yield Answer(one.name, rows[0], distances[0])


def write(file, index, answers) -> list[Answer]:
    """Write a row for each that was found: query, rank, name, class where there are classes, distance, error."""
    from kerasae.results import encodable

    writer, kept = csv.writer(file, lineterminator="\n"), []
    classes = [] if index.classes is None else ["class"]
    for answer in answers:
        if not kept:
            writer.writerow(["query", "rank", "name", *classes, "distance", "error"])
        kept.append(answer._replace(rows=(), distances=()))
        if answer.error:
            writer.writerow(map(encodable, [answer.name, "", "", *[""] * len(classes), "", answer.error]))
        for rank, (row, distance) in enumerate(zip(answer.rows, answer.distances, strict=True), 1):
            own = [index.classes[row]] if classes else []
            writer.writerow(map(encodable, [answer.name, rank, index.names[row], *own, f"{distance:.6g}", ""]))
    return kept
