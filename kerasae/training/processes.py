"""Share data and decisions among the processes and devices that train one model."""

from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.layers import draws
from kerasae.layers.draws import replicas

ERRORS = tf.errors
GONE = (
    ERRORS.AbortedError,
    ERRORS.CancelledError,
    ERRORS.DeadlineExceededError,
    ERRORS.FailedPreconditionError,
    ERRORS.InternalError,
    ERRORS.UnavailableError,
)
"""Errors that TensorFlow raises in a sum over processes if one of them is gone."""


def strategy():
    """Return the distribution strategy in whose scope the caller is."""
    return tf.distribute.get_strategy()


def count() -> int:
    """Count the processes that train together, on this machine and others."""
    resolver = strategy().cluster_resolver
    spec = resolver.cluster_spec().as_dict() if resolver is not None else {}
    return max(1, len(spec.get("worker", [])) + len(spec.get("chief", [])))


def writes() -> bool:
    """Tell whether this process writes the files; all others only compute."""
    return strategy().extended.should_checkpoint


def mean(*values: float) -> list[float]:
    """Average each number over all processes, which must all make the same calls in the same order."""
    if count() == 1:
        return list(values)
    given = tf.constant(values, tf.float64)
    return np.asarray(_mean(given)).tolist()


@tf.function(autograph=False)
def _mean(values):
    return strategy().reduce("MEAN", strategy().run(tf.identity, args=(values,)), axis=None)


@contextmanager
def reporting_lost_process():
    """Turn TensorFlow's errors about a lost process into one InputError."""
    try:
        yield
    except GONE as error:
        reason = cause(error)[:200]
        raise InputError(
            f"another process of this run stopped answering ({reason}); start all of them again: the same command goes "
            "on from the newest checkpoint"
        ) from error


def cause(error):
    """Find the line of a TensorFlow error that says what happened, behind the names of the nodes where it did."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    nodes = [i for i, line in enumerate(lines) if line.startswith(("Graph execution error", "Detected at node"))]
    after = lines[nodes[-1] + 1 :] if nodes else lines
    return next((line for line in after if not line.startswith(("File ", "<stack"))), type(error).__name__)


def wait() -> None:
    """Wait until all processes get here."""
    mean(0.0)


def leave() -> None:
    """Wait until all processes are about to end.

    The first to end takes its part of a collective operation with it, perhaps before others have read the result. So
    that this can only be the last operation, whose result nobody needs, its failure is ignored; those before it were
    read by all that take part in it.
    """
    wait()
    try:
        wait()
    except GONE:
        return


def check_equal(name: str, value: float) -> None:
    """Raise InputError unless all processes hold the same value, such as the step to resume from."""
    if mean(value)[0] != value or mean(value**2)[0] != value**2:
        raise InputError(f"{name}: this process found {value:g} and another something else; give all the same folder")


def data(batches):
    """Distribute a data set over the devices.

    Args:
        batches: function of `replicas` and `own`, as `kerasae.data.batches` takes them, → a data set.
    """
    if replicas() == 1:
        return batches()

    def own(context):
        local = replicas() // context.num_input_pipelines
        first = context.input_pipeline_id * local
        return batches(replicas=replicas(), own=range(first, first + local))

    return strategy().distribute_datasets_from_function(own)


def split_over_devices(step):
    """Compile a function that splits a batch evenly over the devices and runs `step` on each part.

    A batch that cannot be split evenly goes to the first device as a whole.
    """

    def part(batch):
        context = tf.distribute.get_replica_context()
        size = tf.shape(tf.nest.flatten(batch)[0])[0] // replicas()
        start = size * context.replica_id_in_sync_group
        step(tf.nest.map_structure(lambda x: x[start : start + size], batch))

    def whole(batch):
        def alone():
            with draws.as_only_replica():
                step(batch)
            return 0

        context = tf.distribute.get_replica_context()
        tf.cond(tf.equal(context.replica_id_in_sync_group, 0), alone, lambda: 0)

    def compiled(function):
        return tf.function(function, reduce_retracing=True, autograph=False)

    if replicas() == 1:
        return compiled(step)
    evenly = compiled(lambda batch: strategy().run(part, args=(batch,)))
    at_one = compiled(lambda batch: strategy().run(whole, args=(batch,)))
    return lambda batch: (at_one if len(tf.nest.flatten(batch)[0]) % replicas() else evenly)(batch)
