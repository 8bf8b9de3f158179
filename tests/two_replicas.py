"""Run by `test_replicas.py` in a process of its own: trains every model on one device and on two, prints the results.

After one failed collective every later strategy of a process fails, and logical devices must be made before TensorFlow
starts: hence the process.
"""

import json

import cases
import keras
import numpy as np
import tensorflow as tf

STEPS, SHARE = 2, 2


def batches(case):
    """The same examples either way; replicas share what the single device gets as a whole."""
    rows = np.arange(STEPS * SHARE * 2)
    data = case.x[rows] if case.y is None else (case.x[rows], case.y[rows])
    return tf.data.Dataset.from_tensor_slices(data).batch(len(rows) // STEPS, drop_remainder=True)


def train(case, strategy):
    """Losses, and the weights before and after."""
    with strategy.scope():
        keras.utils.set_random_seed(7)
        model = case.build()
        # Not Adam, which hides a gradient that is twice too large.
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
