"""Train three epochs with batch norm and an odd hold-out on one replica, on two, and on two with an interruption.

Run by `test_replicas.py` in a separate process; prints figures and weights as JSON.
"""

import json
import os
import signal
import tempfile

import keras
import numpy as np
import tensorflow as tf

import kerasae
from kerasae import models, networks
from kerasae.training.checkpoint import Checkpoints
from kerasae.training.loop import Interrupted, Plan, train

BATCH, STEPS, EPOCHS = 8, 4, 3


def normalised():
    """Build a variational autoencoder with batch norm, whose forward pass draws numbers and updates state."""
    x = keras.Input((8, 8, 1))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(6)(keras.layers.Flatten()(x)))
    encoder = keras.Model(x, keras.layers.Dense(4)(hidden))
    decoder = networks.dense((8, 8, 1), 2, (6,))[1]
    return models.VariationalAutoencoder(encoder, decoder, "bernoulli", 16.0, free_bits=0.5)


def compiled():
    keras.utils.set_random_seed(7)
    model = normalised()
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), metrics=["mse"], jit_compile=False)
    return model


def trained(folder, strategy, validate_every=1, stop_after=None):
    """Train a run, optionally interrupted after a step and resumed; return figures and weights."""
    train_split = kerasae.data.load("digits").train
    split, held = train_split.subset(np.arange(BATCH * STEPS)), train_split.subset(np.arange(100, 121))
    rows = []

    def interrupt(progress, wait):
        if stop_after and progress.step >= stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    def once(on_chunk):
        with strategy.scope():
            model = compiled()
            train(
                model,
                lambda step, **parts: kerasae.data.batches(
                    split, BATCH, seed=1, start_step=step, labels=False, **parts
                ),
                Plan(EPOCHS, STEPS, validate_every=validate_every),
                Checkpoints(folder),
                validation=lambda: kerasae.data.in_order(held, 16, labels=False),  # 16, then 5
                on_epoch=rows.append,
                on_chunk=on_chunk,
            )
        return model

    if stop_after:
        try:
            once(interrupt)
        except Interrupted:
            pass
    model = once(lambda *_: None)
    names = ("loss", "reconstruction", "kl", "mse")
    figures = [{n: row[n] for n in [*names, *(f"val_{n}" for n in names)] if n in row} for row in rows]
    return figures, [np.asarray(w, dtype=float).ravel().tolist() for w in model.get_weights()]


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one = tf.distribute.get_strategy()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "one": trained(f"{folder}/one", one),
            "two": trained(f"{folder}/two", mirrored),
            "seldom": trained(f"{folder}/seldom", mirrored, validate_every=3),
            "resumed": trained(f"{folder}/resumed", mirrored, stop_after=6),
        }
    print(json.dumps(found))
