"""Compare loss terms of the whole batch on two replicas with those on one device; print the results as JSON.

Run by `test_whole_batch.py` in a separate process: logical devices must be created before TensorFlow starts, and after
a failed collective operation every later strategy of the process fails.
"""

import json
import tempfile

import cases
import keras
import numpy as np
import tensorflow as tf

from kerasae import data, models, networks
from kerasae.training import processes
from kerasae.training.checkpoint import Checkpoints
from kerasae.training.guard import guarded
from kerasae.training.loop import Plan, train

NAMES = ("FactorVariationalAutoencoder",)
"""Rows of `cases.py` to compare."""
STEPS = 3


def steps(case, strategy):
    """Make guarded steps; return the metrics, and the weights before and after."""
    with strategy.scope():
        keras.utils.set_random_seed(7)
        model = case.build()
        # SGD, since Adam is invariant to a gradient that is twice too large.
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), jit_compile=False)
        step = guarded(model)
    before = model.get_weights()

    @tf.function
    def one(batch):
        strategy.run(step, args=(batch,))

    for batch in strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(case.x).unbatch().batch(8)):
        for _ in range(STEPS):
            one(batch)
    figures = {metric.name: float(metric.result()) for metric in model.metrics}
    return figures, before, model.get_weights()


def validated(strategy):
    """Train two epochs, validated on batches of 16 and 9 examples, of which 9 cannot be halved; return figures."""
    digits = data.load("digits").train
    with strategy.scope(), tempfile.TemporaryDirectory() as folder:
        keras.utils.set_random_seed(7)
        pair = networks.dense((8, 8, 1), 3, (12,))
        model = models.WassersteinAutoencoder(*pair, pixel_max=16.0, mmd_weight=100.0)
        model.compile("adam", jit_compile=False)
        rows = []
        train(
            model,
            lambda step, **parts: data.batches(
                digits.subset(np.arange(64)), 16, seed=1, start_step=step, labels=False, **parts
            ),
            Plan(2, 4, monitor="val_mmd", mode="min"),
            Checkpoints(folder),
            validation=lambda: data.in_order(digits.subset(np.arange(100, 125)), 16, labels=False),
            on_epoch=rows.append,
        )
    return [
        {name: row[name] for name in row if name.split("_")[-1] in ("loss", "mmd", "reconstruction")} for row in rows
    ]


def apart(one, other):
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def compare(case, mirrored):
    one, before, after = steps(case, tf.distribute.get_strategy())
    two, other_before, other_after = steps(case, mirrored)
    return {
        "one": one,
        "two": two,
        "start": apart(before, other_before),
        "moved": apart(before, after),
        "apart": apart(after, other_after),
    }


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {case.id: compare(case, mirrored) for case in cases.MODELS if case.id in NAMES}
    with mirrored.scope():
        assert processes.replicas() == 2
    alone, shared = validated(tf.distribute.get_strategy()), validated(mirrored)
    print(json.dumps({**found, "validated": {"one": alone, "two": shared}}))
