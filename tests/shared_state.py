"""Compare steps of models with state (codebook, persistent chains) on two replicas and on one device, as JSON.

Run by tests in a separate process, since logical devices must be created before TensorFlow starts.
"""

import json

import guarded_replicas as replicas
import keras
import numpy as np
import tensorflow as tf

import kerasae
from kerasae.errors import InputError
from kerasae.training.guard import guarded


def quantized(**options):
    pair = kerasae.networks.shape_code(*kerasae.networks.dense((8, 8, 1), 6, (6,)), (3, 2))
    return kerasae.models.VectorQuantizedAutoencoder(*pair, "bernoulli", entries=5, decay=0.5, **options)


def restarting():
    """Quantised autoencoder of which some entries start anew at each step."""
    return quantized(restart=0.9)


def diverging():
    return kerasae.models.RestrictedBoltzmannMachine((8, 8, 1), 4, steps=2)


def persistent(chains=6):
    return kerasae.models.RestrictedBoltzmannMachine((8, 8, 1), 4, steps=2, chains=chains, centring=0.2)


def batch_top_k():
    """Sparse dictionary whose largest values are chosen over both replicas; all latents are idle at first."""
    model = kerasae.models.SparseDictionary((8, 8, 1), 10, activation="batch-top-k", k=1, dead_after=1)
    model.idle.assign(np.full(10, 5))
    return model


def jump_relu():
    return kerasae.models.SparseDictionary((8, 8, 1), 10, activation="jump-relu", k=2, bandwidth=0.5)


def k_sparse():
    return kerasae.models.KSparseAutoencoder(*kerasae.networks.dense((8, 8, 1), 6, ()), "bernoulli", k=5)


def steps(build, strategy):
    """Make three steps; return weights and state before and after."""
    with strategy.scope():
        keras.utils.set_random_seed(7)
        model = build()
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        step = guarded(model)
    one = tf.function(lambda batch: strategy.run(step, args=(batch,)), autograph=False)
    changing = [v for v in model.variables if len(v.shape) and "seed" not in v.path]  # knobs stay, and unused seeds
    before = replicas.values(changing)
    data = tf.data.Dataset.from_tensor_slices(replicas.X).batch(8).repeat(3)
    for batch in strategy.experimental_distribute_dataset(data):
        one(batch)
    return before, replicas.values(changing)


def compare(build, mirrored):
    before, one = steps(build, tf.distribute.get_strategy())
    _, two = steps(build, mirrored)
    moved = min(float(np.abs(a - b).max()) for a, b in zip(before, one, strict=True))
    return {"apart": replicas.apart(one, two), "moved": moved}


def refusal(build, mirrored):
    try:
        steps(build, mirrored)
    except InputError as error:
        return str(error)


BUILDS = (quantized, restarting, diverging, persistent, batch_top_k, jump_relu, k_sparse)


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {build.__name__: compare(build, mirrored) for build in BUILDS}
    print(json.dumps({**found, "odd": refusal(lambda: persistent(5), mirrored)}))
