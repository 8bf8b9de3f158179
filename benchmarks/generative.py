"""Compare autoencoders and generative models with pythae's: quality at the same network and epochs, and seconds.

    python benchmarks/generative.py --peer-python VENV/bin/python [--data-dir DIR] [--epochs 10]

784-512-16-512-784 with ReLU, Adam at 0.001, batches of 100, 50,000 images of MNIST; those of a likelihood are
thresholded at one half. The peer needs a virtual environment with torch and pythae. Errors and nats are of test images:
the squared error of 10,000, summed over the pixels; −log p of 1,000 with 200 importance samples, by the same formula on
both sides, as pythae's own adds another number of samples.

Measured with --epochs 5, one seed, two idle CPU cores without AVX-512, seconds an epoch, ours then pythae's:

    AE         4.3   7.5   1.7 times as fast   squared error  9.06   9.06
    WAE_MMD    6.1  14.5   2.4                 squared error  9.13   8.84
    VAE        5.6   9.3   1.7                 squared error 18.51  18.11   nats  89.16   88.04
    BetaVAE    5.2   9.0   1.7                 squared error 26.36  25.22   nats 101.00   98.38

After so few epochs pythae is a little better but for AE. IWAE, VAMP and longer training were not measured.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from kerasae.training import devices

devices.use_onednn()  # must precede the import of TensorFlow

import keras  # noqa: E402
import numpy as np  # noqa: E402

import kerasae  # noqa: E402
from kerasae.models import (  # noqa: E402
    Autoencoder,
    ImportanceWeightedAutoencoder,
    VampPrior,
    VariationalAutoencoder,
    WassersteinAutoencoder,
)
from kerasae.training.checkpoint import Checkpoints  # noqa: E402
from kerasae.training.loop import Plan, train  # noqa: E402

IMAGES, BATCH, WIDTH, CODE = 50_000, 100, 512, 16
PEER = Path(__file__).with_name("generative_peer.py")
MODELS = {
    "AE": lambda *networks: Autoencoder(*networks, "gaussian", 1.0),
    # Half of pythae's weight, as a Gaussian's −log p has half the squared error.
    "WAE_MMD": lambda *networks: WassersteinAutoencoder(*networks, "gaussian", 1.0, mmd_weight=5.0),
    "VAE": lambda *networks: VariationalAutoencoder(*networks, "bernoulli", 1.0),
    "BetaVAE": lambda *networks: VariationalAutoencoder(*networks, "bernoulli", 1.0, beta=4.0),
    "IWAE": lambda *networks: ImportanceWeightedAutoencoder(*networks, "bernoulli", 1.0, samples=5),
    "VAMP": lambda *networks: VariationalAutoencoder(*networks, "bernoulli", 1.0, prior=VampPrior(50, seed=0)),
}
WITHOUT_LIKELIHOOD = ("AE", "WAE_MMD")


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        file = write_images(Path(folder), arguments.data_dir)
        for name in arguments.models:
            own, peer = ours(name, file, arguments.epochs), theirs(arguments.peer_python, name, file, arguments.epochs)
            for figure in own:
                print(f"{name} {figure}: ours {own[figure]:.2f}, pythae {peer[figure]:.2f}", flush=True)
            print(f"{name}: pythae takes {peer['seconds'] / own['seconds']:.2f} times as long", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    return parser.parse_args()


def write_images(folder, data_dir):
    """Write the images that both sides read, grey and thresholded; return the file."""
    source = kerasae.data.load("tfds:mnist", data_dir=data_dir)
    parts = {"train": source.train.gather(np.arange(IMAGES))[0], "test": source.test.gather(np.arange(10_000))[0]}
    grey = {name: np.asarray(x).reshape(len(x), 784).astype(np.float32) / 255 for name, x in parts.items()}
    binary = {f"{name}_binary": (x > 0.5).astype(np.float32) for name, x in grey.items()}
    np.savez(folder / "images.npz", **grey, **binary)
    return folder / "images.npz"


def ours(name, file, epochs):
    """Train one of our models and measure it."""
    kind = "" if name in WITHOUT_LIKELIHOOD else "_binary"
    with np.load(file) as images:
        training, test = (images[part + kind].reshape(-1, 28, 28, 1) for part in ("train", "test"))
    keras.utils.set_random_seed(0)
    posterior = None if name in WITHOUT_LIKELIHOOD else "gaussian"
    encoder, decoder = kerasae.networks.dense((28, 28, 1), CODE, (WIDTH,), posterior=posterior)
    if posterior is None:  # pythae's decoder ends in a sigmoid
        decoder = keras.Model(decoder.input, keras.layers.Activation("sigmoid")(decoder.output))
    model = MODELS[name](encoder, decoder)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=True)
    figures = {"seconds": statistics.median(fit(model, training, epochs)[1:])}
    figures["squared_error"] = 784 * kerasae.evaluate.reconstruction_error(model, test)["mse"]
    if posterior:
        figures["nll"] = float(kerasae.evaluate.importance_nll(model, test[:1000], samples=200).mean())
    return figures


def fit(model, images, epochs):
    """Train by the library's loop; return the seconds of every epoch."""
    rows, split = [], kerasae.data.Split.of(images)
    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            lambda step: kerasae.data.batches(split, BATCH, seed=0, start_step=step, labels=False),
            Plan(epochs=epochs, steps_per_epoch=len(images) // BATCH),
            Checkpoints(folder),
            on_epoch=rows.append,
        )
    return [row["seconds"] for row in rows]


def theirs(python, name, file, epochs):
    """Train pythae's model in its own environment; return its figures."""
    done = subprocess.run([python, PEER, file, str(epochs), name], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
