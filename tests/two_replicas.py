"""Train models on one device and on two replicas; print losses and differences of weights as JSON.

Run by `test_replicas.py` in a separate process: logical devices must be created before TensorFlow starts, and after a
failed collective operation every later strategy of the process fails.
"""

import json

import cases
import keras
import numpy as np
import tensorflow as tf

STEPS, SHARE = 2, 2


def batches(case):
    """Batch the examples; two replicas divide the batch that one device gets."""
    rows = np.arange(STEPS * SHARE * 2)
    data = case.x[rows] if case.y is None else (case.x[rows], case.y[rows])
    return tf.data.Dataset.from_tensor_slices(data).batch(len(rows) // STEPS, drop_remainder=True)


def train(case, strategy):
    """Train a model; return losses, and weights before and after."""
    with strategy.scope():
        keras.utils.set_random_seed(7)
        model = case.build()
        # SGD, since Adam is invariant to a gradient that is twice too large.
        model.compile(**{**case.compiled(), "optimizer": keras.optimizers.SGD(0.05, momentum=0.9)})
    before = model.get_weights()
    history = model.fit(batches(case), shuffle=False, verbose=0).history
    return history, before, model.get_weights()


def compare(case, mirrored):
    one, before, after = train(case, tf.distribute.get_strategy())
    two, other_before, other_after = train(case, mirrored)
    return {
        "one": one,
        "two": two,
        "start": max(np.abs(a - b).max() for a, b in zip(before, other_before, strict=True)).item(),
        "moved": max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)).item(),
        "apart": max(np.abs(a - b).max() for a, b in zip(after, other_after, strict=True)).item(),
    }


def main(*asked):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    print(json.dumps({case.id: compare(case, mirrored) for case in cases.MODELS if case.id in asked}))
