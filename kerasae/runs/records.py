"""Read and write the files of a run: recipe, summary, environments and tables."""

import csv
import io
import json
from pathlib import Path

from kerasae.errors import InputError
from kerasae.training.checkpoint import write_atomic

# Fields that other commands read from a recipe, perhaps written by hand: name → (expected kind, test of a value).
READ = {
    **dict.fromkeys(("data", "data_dir", "run", "dest"), ("a text", lambda value: isinstance(value, str))),
    "image_size": ("whole numbers", lambda value: isinstance(value, list) and all(type(n) is int for n in value)),
    **dict.fromkeys(("window", "step", "words", "steps"), ("a whole number", lambda value: type(value) is int)),
    **dict.fromkeys(
        ("center", "min_value", "max_value", "test_share"), ("a number", lambda value: type(value) in (int, float))
    ),
    "bands": ("whole numbers", lambda value: isinstance(value, list) and all(type(n) is int for n in value)),
    **dict.fromkeys(
        ("labels_file", "name_column", "target", "by", "only_class"), ("a text", lambda value: isinstance(value, str))
    ),
    "category_columns": ("texts", lambda value: isinstance(value, list) and all(isinstance(n, str) for n in value)),
    "label_columns": ("texts", lambda value: isinstance(value, list) and all(isinstance(n, str) for n in value)),
    "label_kind": ("class, classes or numbers", lambda value: value in ("class", "classes", "numbers")),
    "text_as": ("words or characters", lambda value: value in ("words", "characters")),
    **dict.fromkeys(
        ("skip_broken", "unlabelled", "binarize"), ("true or false", lambda value: isinstance(value, bool))
    ),
    **dict.fromkeys(("repeats", "epochs", "pretrain_epochs"), ("a whole number", lambda value: type(value) is int)),
}


def read_recipe(path):
    """Read a run's `recipe.json`; raises InputError if `path` is no run, or a value is of the wrong kind."""
    file = Path(path) / "recipe.json"
    try:
        content = read_json(file)
        content = {**content, "command": str(content["command"]), "recipe": dict(content["recipe"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is not a run directory: it has no readable recipe.json") from None
    for name, (expected, holds) in READ.items():
        value = content["recipe"].get(name)
        if value is not None and not holds(value):
            raise InputError(f"{file}: {name}: expected {expected}. Received: {value!r}")
    return content


def read_environments(file):
    """Read the environments of a run from `environment.json`; empty if it is missing or damaged."""
    try:
        return list(read_json(file)["ran_on"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def read_summary(path):
    """Read the figures of a run's `summary.json`; empty if the run has not finished."""
    file = Path(path) / "summary.json"
    try:
        return dict(read_json(file)) if file.exists() else {}
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"{file} is damaged; repeat the command of the run, or remove it") from None


def read_json(file):
    """Read a JSON file; raises OSError for anything but a regular file: reading a pipe would never end."""
    if file.exists() and not file.is_file():
        raise OSError(f"{file} is not a file")
    return json.loads(file.read_text(encoding="utf-8"))


def read_rows(path):
    """Read the rows of `metrics.csv` or `probes.csv` as text; empty if there is no file."""
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (ValueError, csv.Error):
        raise InputError(f"{path.name} is damaged; repair or remove it") from None


def read_epochs(path):
    """Read `metrics.csv`; raises InputError unless all rows have every column, a stage and an epoch."""
    rows = read_rows(path)
    ragged = any(None in row or None in row.values() for row in rows)
    if ragged or not all(row.get("stage") and row.get("epoch", "").isdecimal() for row in rows):
        raise InputError(f"{path} is damaged; repair or remove it")
    return rows


def write_rows(path, rows):
    """Write rows as CSV; the columns are those of all rows, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())
