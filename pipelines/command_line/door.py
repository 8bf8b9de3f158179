"""Where a recipe comes in: its settings are resolved, and devices and precision set, once around a whole pipeline."""

import os
import sys
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial

from kerasae.errors import InputError, MixedSizes
from pipelines.command_line.voice import complain

INSIDE = ContextVar("inside", default=False)
"""Whether a pipeline is at work, on whose devices those stay that it calls."""


@contextmanager
def entered(recipe):
    """Resolve a recipe, open its data, and set devices, precision, determinism and seed around a pipeline.

    Models that are built inside compute in the recipe's precision. Operations become deterministic, for good, before
    anything is read or built.

    Yields:
        The recipe, in which nothing is left to choose; its data; and a function `begin(command, **options)` that opens
        the run directory. A run keeps `precision` as it was asked for, since it may move to another machine.

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
    """Raise InputError if these are not the data of the run that a recipe starts from, or others of another range."""
    from kerasae import runs

    if recipe.data is None:
        runs.refuse_changed(recipe.run, info, recipe.accept_changed_data)
    elif info.dtype == "float32":
        runs.refuse_other_range(recipe.run, info)


@contextmanager
def on_devices(recipe):
    """Open the devices that a recipe names, unless it names none, or a pipeline or the caller has opened some."""
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
    """Open the devices of a recipe, and watch over the processes that train with this one or prepare its data."""
    from kerasae.training import devices, processes
    from pipelines import data_worker

    with devices.scope(recipe.devices):
        if processes.count() == 1:
            with data_worker.watched(recipe.data_workers):
                yield
            return
        if not processes.writes():  # the first process speaks for all
            sys.stdout = open(os.devnull, "w")
        try:
            with processes.reporting_lost_process(), data_worker.watched(recipe.data_workers):
                yield
                processes.leave()
        except (InputError, OSError) as error:
            complain(f"error: {error}", 2)
            sys.stdout.flush()
            os._exit(2)  # TensorFlow would wait for the others, who may be gone
