"""Compute losses and gradients by Keras on JAX, without TensorFlow, for `test_jax_backend.py`, which runs this script.

`python on_jax.py IN OUT` reads weights, images and noise from IN, and writes losses and gradients to OUT.
"""

import sys

import numpy as np

SMALL = {"width": 16, "depth": 2, "heads": 4, "decoder_width": 12, "decoder_depth": 2, "decoder_heads": 3}


def build(name):
    """Build a small model by its name."""
    from kerasae import layers, models, networks

    if name == "plain":
        return models.Autoencoder(*networks.dense((4, 8, 2), 3, (5,), activation="tanh"), "bernoulli")
    cls, decoder = {
        "mae": (models.MaskedAutoencoder, "deep"),
        "cross": (models.CrossMaskedAutoencoder, "cross"),
        "simmim": (models.SimMIM, "linear"),
    }[name]
    pair = networks.vit((4, 8, 2), 2, decoder=decoder, learned_positions=name == "cross", layer_scale=0.5, **SMALL)
    return cls(*pair, mask_ratio=0.5, mask_group=1 if name == "mae" else 2, target=layers.LowVariance(0.5))


def weights_of(name, data):
    """Read the weights of a model from a file, in order."""
    return [data[f"{name}/{i}"] for i in range(sum(key.startswith(f"{name}/") for key in data.files))]


def loss_of(model, x, noise):
    """Compute the mean loss of a training pass; masks follow from `noise`."""
    from keras import ops

    if hasattr(model, "forward"):
        return ops.mean(model.forward(x, noise, training=True)["loss"])
    return ops.mean(model.objective(model.prepare(x), training=True)["reconstruction"])


def differentiate(model, x, noise):
    """Compute the loss and its gradients by JAX."""
    import jax
    import keras

    def loss(values):
        with keras.StatelessScope(zip(model.trainable_variables, values, strict=True)):
            return loss_of(model, x, noise)

    return jax.jit(jax.value_and_grad(loss))([variable.value for variable in model.trainable_variables])


def results(name, data):
    """Compute a model's loss, gradients, outputs, scores, and losses in `fit`."""
    import keras

    model = build(name)
    model.set_weights(weights_of(name, data))
    x = data["x"]
    loss, gradients = differentiate(model, x, data["noise"])
    found = {f"{name}/gradient/{i}": gradient for i, gradient in enumerate(gradients)} | {f"{name}/loss": loss}
    found |= {f"{name}/{part}": getattr(model, part)(x) for part in ("encode", "reconstruct", "score")}
    if name == "plain":  # the others draw masks, which differ between JAX and TensorFlow
        model.compile(keras.optimizers.SGD(0.1))
        found["plain/step"] = model.train_on_batch(x, return_dict=True)["loss"]
        found |= {f"plain/after/{i}": weight for i, weight in enumerate(model.get_weights())}
    model.compile(keras.optimizers.Adam(0.01))
    found[f"{name}/fit"] = model.fit(x, epochs=30, batch_size=4, verbose=0).history["loss"]
    found[f"{name}/evaluate"] = model.evaluate(x, batch_size=3, verbose=0, return_dict=True)["loss"]
    found[f"{name}/scores"] = model.score(x)
    return found


def main(source, destination):
    sys.modules["tensorflow"] = None
    with np.load(source) as data:
        found = {}
        for name in ("plain", "mae", "cross", "simmim"):
            found |= {key: np.asarray(value) for key, value in results(name, data).items()}
    np.savez(destination, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
