"""Run by `test_mask_and_prior_replicas.py` in a process of its own: guarded steps on one device and on two replicas.

Logical devices must be made before TensorFlow starts: hence the process.
"""

import json

import keras
import numpy as np
import tensorflow as tf

from kerasae import models, networks
from kerasae.training.guard import guarded

RNG = np.random.default_rng(0)
X = RNG.random((8, 6, 2)).astype("float32")
LENGTHS = np.array([6, 2, 3, 5, 1, 6, 4, 6])
PADDED = np.where((np.arange(6) < LENGTHS[:, None])[..., None], X, np.nan)
HOLES = np.where(RNG.random((8, 12)) < 0.5, X.reshape(8, 12), np.nan)
Y = np.arange(8) % 3


def auto_rec():
    regularizer = keras.regularizers.L2(0.01)
    pair = networks.dense((12,), 3, (), code_activation="sigmoid", kernel_regularizer=regularizer)
    return models.AutoRec(*pair), HOLES


def recurrent():
    return models.RecurrentAutoencoder(*networks.lstm((6, 2), 3, (4,))), PADDED


def vamp_prior():
    pair = networks.dense((6, 2), 2, (5,), posterior="gaussian")
    return models.VariationalAutoencoder(*pair, prior=models.VampPrior(4)), X


def conditional():
    return models.VariationalAutoencoder(*networks.dense((6, 2), 2, (5,), posterior="gaussian", condition=3)), (X, Y)


def hyperspherical():
    pair = networks.dense((6, 2), 3, (5,), posterior="von_mises_fisher")
    return models.VariationalAutoencoder(*pair, posterior="von_mises_fisher"), X


def steps(build, strategy):
    """Weights after two steps, and the loss that was logged."""
    with strategy.scope():
        keras.utils.set_random_seed(7)
        model, data = build()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        step = guarded(model)
    before = model.get_weights()

    @tf.function(autograph=False)
    def one(batch):
        return strategy.experimental_local_results(strategy.run(step, args=(batch,))["updated"])

    batches = tf.data.Dataset.from_tensors(data).unbatch().batch(8).repeat(2)
    updated = [bool(u) for batch in strategy.experimental_distribute_dataset(batches) for u in one(batch)]
    return all(updated), float(model.get_metrics_result()["loss"]), before, model.get_weights()


def apart(one, other):
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def compare(build, mirrored):
    updated, loss, before, weights = steps(build, tf.distribute.get_strategy())
    both, other, _, others = steps(build, mirrored)
    found = {"updated": updated and both, "loss": abs(loss - other) / abs(loss), "moved": apart(before, weights)}
    return {**found, "apart": apart(weights, others)}


BUILDS = (auto_rec, recurrent, vamp_prior, conditional, hyperspherical)


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    print(json.dumps({build.__name__: compare(build, mirrored) for build in BUILDS}))


if __name__ == "__main__":
    main()
