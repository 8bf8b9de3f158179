"""Measure how fast a model trains, and leave it as it was."""

import time
from typing import NamedTuple

import keras
import tensorflow as tf

from kerasae.training import processes
from kerasae.training.checkpoint import state_variables
from kerasae.training.compiled_steps import compiled
from kerasae.training.step_counts import Tally


class Pace(NamedTuple):
    """Seconds: `spent` on measuring; to the `start` of a training, until its first step has ended; for each `step`."""

    spent: float
    start: float
    step: float


def measure(model, batches, seconds):
    """Measure the pace of a compiled model: run steps on real batches for some seconds, then restore its state.

    Weights, seeds, running statistics, metrics and optimisers are as before. The data set is opened anew by the
    training that follows, so that its batches are the same too. All processes must call this, and get the same pace.

    Args:
        model: a compiled model, as `kerasae.training.train` takes it.
        batches: function of the first step that returns endless batches, as `kerasae.training.train` takes it.
        seconds: how long the steps after the first are measured, at least.

    Returns:
        A `Pace`. The start holds opening the data, compiling and the first step.

    Example:
        >>> batches = lambda step: kerasae.data.batches(split, 64, seed=0, start_step=step, labels=False)
        >>> spent, start, step = measure(model, batches, seconds=3)
    """
    began = time.perf_counter()
    model.check(next(iter(batches(0))))
    steps, _ = compiled(model)
    iterator = iter(processes.data(lambda **parts: batches(0, **parts)))
    steps.get_concrete_function(iterator, tf.constant(1), Tally().tensors())  # makes the variables of the metrics
    variables = state_variables(model)
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    _chunk(steps, iterator, 1)
    (start,) = processes.mean(time.perf_counter() - began)
    try:
        step, spent = _seconds_per_step(steps, iterator, seconds)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    return Pace(start + spent, start, step)


def _seconds_per_step(steps, iterator, seconds):
    """Run twice as many steps each time, so that the last chunk, which counts, is about half of all.

    Returns the seconds of one step, and of all steps.
    """
    chunk, spent = 1, 0.0
    while True:
        took = _chunk(steps, iterator, chunk)
        spent += took
        if spent >= seconds:
            return took / chunk, spent
        chunk *= 2


def _chunk(steps, iterator, n):
    """Run n steps, those that are not finite too; returns the seconds, averaged over the processes."""
    began, left = time.perf_counter(), n
    while left > 0:
        done = int(steps(iterator, tf.constant(left), Tally().tensors())[0])
        left -= done if done == left else done + 1  # a step that is not finite has drawn its batch
    return processes.mean(time.perf_counter() - began)[0]
