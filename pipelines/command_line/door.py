"""Set up a pipeline from its recipe: resolve settings, open data, set devices, precision and seed."""

import os
import sys
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial

from kerasae.errors import InputError, MixedSizes
from pipelines.command_line.voice import complain

INSIDE = ContextVar("inside", default=False)
"""True while a pipeline runs; pipelines that it calls compute on its devices."""


@contextmanager
def entered(recipe):
    """Resolve a recipe, open its data, and set devices, precision, determinism and seed around a pipeline.

    Models that are built inside compute in the recipe's precision. With `deterministic`, operations are deterministic
    from then on, also after the pipeline has ended.

    Yields:
        The recipe with all defaults filled in; its data; and a function `begin(command, **options)` that opens the run
        directory. The run directory records `precision` as it was asked for, since it may move to another machine.

    Raises:
        InputError: data, devices or a run to start from that cannot be used.
    """
    with on_devices(recipe):
        import keras
        import tensorflow as tf

        from kerasae import runs
        from kerasae.training import precision

        if recipe.deterministic:
            tf.config.experimental.enable_op_determinism()
        asked = recipe.resolved()
        chosen = precision.with_precision_chosen(asked)
        with precision.computing_in(getattr(chosen, "precision", "float32")):
            asked, source = with_data(asked)
            chosen = replace(chosen, image_size=asked.image_size)
            if getattr(recipe, "run", None):
                compare_data(recipe, source.info)
            keras.utils.set_random_seed(recipe.seed)
            yield chosen, source, partial(runs.Run, getattr(asked, "out", None), recipe=asked, data=source.info)


def with_data(recipe):
    """Open the data of a recipe, at the size that it chooses for them if it names none: the recipe and the source."""
    try:
        source = recipe.source()
        size = None if recipe.image_size else recipe.size_for(source.info.shape)
    except MixedSizes:
        size = recipe.size_for(None)
        if size is None:
            raise
    if size is None:
        return recipe, source
    recipe = replace(recipe, image_size=size)
    return recipe, recipe.source()


def compare_data(recipe, info):
    """Raise InputError if the data of the recipe's run have changed, or if other data have another range of values."""
    from kerasae import runs

    if recipe.data is None:
        runs.refuse_changed(recipe.run, info, recipe.accept_changed_data)
    else:
        runs.refuse_other_range(recipe.run, info)


@contextmanager
def on_devices(recipe):
    """Open the devices that a recipe names, unless a calling pipeline or a strategy's scope has set them."""
    import tensorflow as tf

    wanted = hasattr(recipe, "devices") and not INSIDE.get() and not tf.distribute.has_strategy()
    token = INSIDE.set(True)
    try:
        with opened(recipe) if wanted else ExitStack():
            yield
    finally:
        INSIDE.reset(token)


@contextmanager
def opened(recipe):
    """Open a recipe's devices, and end this process when a training process or a data worker is lost."""
    from kerasae.training import devices, processes
    from pipelines import data_worker

    with devices.scope(recipe.devices):
        if processes.count() == 1:
            with data_worker.watched(recipe.data_workers):
                yield
            return
        if not processes.writes():  # only the first process prints
            sys.stdout = open(os.devnull, "w")
        try:
            with processes.reporting_lost_process(), data_worker.watched(recipe.data_workers):
                yield
                processes.leave()
        except (InputError, OSError) as error:
            complain(f"error: {error}", 2)
            sys.stdout.flush()
            os._exit(2)  # TensorFlow would wait for the other processes, which may have ended
