"""Open the data of a run again from its recipe."""

import logging

import kerasae
from kerasae.runs import data_record, directory

logger = logging.getLogger(__name__)


def open_source(recipe, data_dir=None):
    """Open the data set that a run read, as a `kerasae.data.Source`.

    Args:
        recipe: the values in the run's `recipe.json`, as `read_recipe` returns them; only fields about data are read.
        data_dir: folder in which TensorFlow Datasets keeps its data sets; None takes the recipe's.

    Raises:
        InputError: data that cannot be used.
        OSError: data that cannot be read.

    Example:
        >>> source = open_source(read_recipe("runs/mae")["recipe"])
    """
    source = kerasae.data.load(recipe["data"], **reading(recipe, data_dir))
    source = kerasae.data.binarized(source) if recipe.get("binarize") else source
    source = kerasae.data.only_class(source, recipe["only_class"]) if recipe.get("only_class") else source
    if count := source.info.skipped:
        logger.warning("%s: %s broken image%s skipped", recipe["data"], count, "s"[: count > 1])
    return source


def intake(path, model):
    """What the model of a run takes: examples read as the run has read its data.

    Args:
        path: directory of the run.
        model: its model.

    Returns:
        A `kerasae.data.Intake`, also of a run whose data are gone.
    """
    record = data_record.read(path) or {}
    value_range, dtype = record.get("value_range"), record.get("dtype")
    if dtype not in ("uint8", "uint16", "float32"):  # a run that has no record of it
        dtype = "float32" if value_range else "uint8" if model.pixel_max <= 255 else "uint16"
    recipe, scale = directory.read_recipe(path)["recipe"], model.standardization
    dtype = dtype if scale is None else "float32"
    further = {"standardized": scale is not None, "missing": scale is not None and scale.missing}
    further |= {"columns": data_record.table_columns(path) or (), "target": recipe.get("target")}
    return kerasae.data.Intake.as_read(recipe, model.example_shape, dtype, model.pixel_max, value_range, **further)


def reading(recipe, data_dir=None):
    """Arguments of `kerasae.data.load` beside the name of the data set, as a run's recipe gives them."""
    size = tuple(recipe.get("image_size") or ()) or None
    return {
        "data_dir": data_dir or recipe.get("data_dir"),
        "image_size": size[0] if size and len(size) == 1 else size,
        "center": recipe.get("center") or 1.0,
        # A run that refused broken images would not have come to have anything to look at.
        "skip_broken": recipe["data"].startswith("folder:"),
        "unlabelled": bool(recipe.get("unlabelled")),
        "min_value": recipe.get("min_value"),
        "max_value": recipe.get("max_value"),
        "bands": tuple(recipe.get("bands") or ()) or None,
        "target": recipe.get("target"),
        "by": recipe.get("by"),
        "window": recipe.get("window"),
        "step": recipe.get("step"),
        "test_share": recipe.get("test_share"),
        "words": recipe.get("words"),
        "text_as": recipe.get("text_as"),
        "steps": recipe.get("steps"),
        "sequences": bool(recipe.get("sequences")),
        "category_columns": tuple(recipe.get("category_columns") or ()) or None,
        "labels_file": recipe.get("labels_file"),
        "name_column": recipe.get("name_column"),
        "label_columns": tuple(recipe.get("label_columns") or ()) or None,
        "label_kind": recipe.get("label_kind"),
    }
