"""Compare guarded steps on two replicas with steps on one device; print the results as JSON.

Run by `test_guard.py` in a separate process: logical devices must be created before TensorFlow starts, and after a
failed collective operation every later strategy of the process fails.
"""

import json

import keras
import numpy as np
import tensorflow as tf

import kerasae
from kerasae.training.checkpoint import state_variables
from kerasae.training.guard import guarded

X = np.random.default_rng(0).random((8, 8, 8, 1)).astype("float32")
Y = np.arange(8) % 3


def autoencoder():
    return kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), 4, (6,)), "bernoulli")


def adversarial():
    return kerasae.models.AdversarialAutoencoder(*kerasae.networks.dense((8, 8, 1), 4, (6,)), "bernoulli")


def classifier():
    return kerasae.models.Classifier(kerasae.networks.dense((8, 8, 1), 4, (6,))[0], 3)


def compiled(build):
    """Compile a model with gradient clipping, whose result depends on gradients being summed before it."""
    keras.utils.set_random_seed(7)
    model = build()
    loss = {"loss": kerasae.models.SmoothedCrossentropy()} if isinstance(model, kerasae.models.Classifier) else {}
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.05), jit_compile=False, **loss)
    return model


def values(variables):
    return [np.asarray(v.numpy() if hasattr(v, "numpy") else v) for v in variables]


def apart(one, other):
    return max(float(np.abs(a.astype(float) - b.astype(float)).max()) for a, b in zip(one, other, strict=True))


def steps(build, strategy):
    """Make two steps, then one with NaN in its last example: return norms, weights, and changes by the last step."""
    with strategy.scope():
        model = compiled(build)
        step = guarded(model)

    @tf.function
    def one(batch):
        return {k: strategy.experimental_local_results(v) for k, v in strategy.run(step, args=(batch,)).items()}

    def given(x):
        return (x, Y) if model.takes_labels else (x,)

    data = tf.data.Dataset.from_tensor_slices(given(X)).batch(8)
    share = strategy.experimental_distribute_dataset
    good = [one(batch) for _ in range(2) for batch in share(data)]
    weights, before = values(model.trainable_variables), values(state_variables(model))
    half = np.where(np.arange(8)[:, None, None, None] < 7, X, np.nan)
    poisoned = tf.data.Dataset.from_tensor_slices(given(half))
    (bad,) = [one(batch) for batch in share(poisoned.batch(8))]
    return {
        "norms": [float(n) for found in good for n in found["norm"]],
        "updated": [bool(u) for found in good for u in found["updated"]],
        "refused": [not bool(f) for f in bad["finite"]],
        "moved": apart(before, values(state_variables(model))),
    }, weights


def compare(build, mirrored):
    one, weights = steps(build, tf.distribute.get_strategy())
    two, others = steps(build, mirrored)
    return {"one": one, "two": two, "apart": apart(weights, others)}


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    print(json.dumps({build.__name__: compare(build, mirrored) for build in (autoencoder, adversarial, classifier)}))
