"""Open the data of a run again from its recipe."""

import logging

import kerasae

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
    size, center = tuple(recipe.get("image_size") or ()) or None, recipe.get("center")
    source = kerasae.data.load(
        recipe["data"],
        data_dir=data_dir or recipe.get("data_dir"),
        image_size=size[0] if size and len(size) == 1 else size,
        center=1.0 if center is None else center,
        # A run that refuses broken images would not have started, so that skipping them is safe.
        skip_broken=recipe["data"].startswith("folder:"),
    )
    if count := source.info.skipped:
        logger.warning("%s: %s broken image%s skipped", recipe["data"], count, "s"[: count > 1])
    return source
