"""Pages of what was found: answers to queries, near-duplicates and outliers, with thumbnails of images."""

import numpy as np

from kerasae.errors import InputError
from kerasae.report import Cell, Section, page_of_gallery

SHOWN = 200
"""Most queries, or pairs, on a page."""


def of_answers(index, answers, model, seen, recipe) -> bytes:
    """Write the page of a search: a section for each query, whose picture comes first."""
    shown, pictures, places, missing = answers[:SHOWN], [*seen], {}, ""
    if seen:
        wanted = sorted({int(row) for answer in shown for row in answer.rows})
        stored, missing = stored_pictures(index, model, wanted, recipe.data_dir)
        places = dict(zip(wanted, range(len(seen), len(seen) + len(stored)), strict=False))
        pictures += stored
    sections, read = [], 0
    for answer in shown:
        own = read if seen and not answer.error else None
        read += not answer.error
        cells = [Cell([answer.error or "query"], own)]
        cells += [found_cell(index, *pair, places) for pair in zip(answer.rows, answer.distances, strict=True)]
        sections.append(Section(answer.name, "", [cells]))
    about = [f"{len(answers)} queries, {len(index)} examples of {index.about['data']['data']}; {unit(index)}"]
    about += [f"the first {SHOWN} are shown"] * (len(answers) > SHOWN) + [missing] * bool(missing)
    return page_of_gallery("Found", sections, np.stack(pictures) if pictures else None, about)


def found_cell(index, row, distance, places):
    """Make the cell of a row that was found."""
    classes = [] if index.classes is None else [index.classes[row]]
    return Cell([index.names[row], *classes, f"{distance:.4g}"], places.get(int(row)))


def unit(index) -> str:
    """Say what the distances of an index are."""
    if index.metric == "hamming":
        return f"distances: how many of {index.dimension} bits differ"
    return f"distances: {index.metric}, of {index.dimension} numbers"


def are_pictures(model) -> bool:
    """Tell whether examples of a model can be shown as pictures."""
    return len(model.example_shape) == 3 and model.standardization is None


def as_pictures(model, x, y=None):
    """Turn stored images, of which a conditional model needs the classes y, into pictures [N, H, W, C] in [0, 1]."""
    return np.asarray(model.restored(model.prepare(x, y if model.needs_condition else None).x), np.float32)


def stored_pictures(index, model, rows, data_dir):
    """Read the pictures of rows of an index from its data, and say why there are none, or ""."""
    from kerasae import runs
    from pipelines import embed

    try:
        source = runs.open_source(index.about["data"], data_dir)
        parts = [part for part, _ in embed.chosen(source, index.about["split"])]
        if sum(map(len, parts)) != len(index):
            raise InputError("the data have changed since the index was made")
        return [*as_pictures(model, gathered(parts, rows))], ""
    except (InputError, OSError, TypeError, AttributeError) as error:  # of a header by hand
        return [], f"no thumbnails of what was found: {error}"


def gathered(parts, rows):
    """Read rows, sorted, of parts that follow each other: [n, *shape]."""
    found, start, rows = [], 0, np.asarray(rows)
    for part in parts:
        own = rows[(rows >= start) & (rows < start + len(part))] - start
        found += [part.subset(own).arrays()[0]] if len(own) else []
        start += len(part)
    return np.concatenate(found)


def of_duplicates(recipe, found, duplicates, outliers, model, lines) -> bytes:
    """Write the page of near-duplicates and outliers."""
    (numbers, means), pairs = outliers, duplicates.pairs[:SHOWN]
    wanted = sorted({*pairs.ravel().tolist(), *numbers.tolist()})
    pictures = [*as_pictures(model, gathered(found.splits, wanted))] if are_pictures(model) and wanted else []
    places = dict(zip(wanted, range(len(pictures)), strict=False))

    def cell(i, *further):
        return Cell([found.names[i], *further], places.get(int(i)))

    distances = duplicates.distances
    rows = [[cell(a), cell(b, f"{d:.4g}")] for (a, b), d in zip(pairs, distances, strict=False)]
    far = [[cell(i, f"{mean:.4g}") for i, mean in zip(numbers, means, strict=True)]]
    note = f"the first {SHOWN} are shown" if len(duplicates.pairs) > SHOWN else "" if len(pairs) else "none"
    sections = [
        Section("Near-duplicates, the nearest first", note, rows),
        Section("Outliers, the farthest first", "", far),
    ]
    images = np.stack(pictures) if pictures else None
    return page_of_gallery(
        "Near-duplicates and outliers", sections, images, [f"{recipe.data}, codes of {recipe.run}", *lines]
    )
