"""Compile the training steps of a model into one TensorFlow function that runs many of them."""

import time

import tensorflow as tf

from kerasae.training import processes
from kerasae.training.guard import guarded
from kerasae.training.step_counts import Tally


def compiled(model):
    """Compile `test(batch)` and `steps(iterator, n, tally) -> steps made, seconds waited, tally`.

    The steps end before the first that is not finite, though its batch has been drawn.
    """
    # Without AutoGraph: rewriting the model's Python takes seconds, and Keras's `fit` does without.
    strategy, step = processes.strategy(), guarded(model)
    if (
        model.jit_compile is True and processes.replicas() == 1
    ):  # TensorFlow does not compile steps that sum over devices
        step = tf.function(step, jit_compile=True, autograph=False)

    def another(iterator, done, waited, tally):
        before = clock()
        batch = next(iterator)
        waited += clock() - before
        found = strategy.run(step, args=(batch,))
        found = {name: strategy.experimental_local_results(value)[0] for name, value in found.items()}
        going = found["finite"]
        tally = Tally(*(tf.where(going, new, old) for new, old in zip(tally.next(found), tally, strict=True)))
        return going, done + tf.cast(going, tf.int32), waited, tally

    @tf.function(reduce_retracing=True, autograph=False)
    def steps(iterator, n, tally):
        start = tf.constant(True), tf.constant(0), tf.constant(0.0, tf.float64), tally
        _, done, waited, tally = tf.while_loop(
            lambda going, done, *_: going & (done < n), lambda _, *found: another(iterator, *found), start
        )
        return done, waited, tally

    return steps, processes.split_over_devices(model.test_step)


def clock():
    """Read the clock when a TensorFlow function gets here: seconds, float64."""
    return tf.timestamp() if has_clock() else tf.ensure_shape(tf.numpy_function(time.perf_counter, [], tf.float64), [])


def has_clock():
    """Tell whether `tf.timestamp` works: deterministic operations forbid it."""
    try:
        with tf.init_scope():
            tf.timestamp()
    except tf.errors.FailedPreconditionError:
        return False
    return True
