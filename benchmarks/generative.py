"""Compare autoencoders and generative models with pythae's: quality at the same network and epochs, and seconds.

    python benchmarks/generative.py --peer-python VENV/bin/python [--data-dir DIR] [--epochs 10]

784-512-16-512-784 with ReLU, Adam at 0.001, batches of 100, 50,000 images of MNIST; those of a likelihood are
thresholded at one half. The peer needs a virtual environment with torch and pythae. Errors and nats are of test images:
the squared error of 10,000, summed over the pixels; −log p of 1,000 with 200 importance samples, by the same formula on
both sides, as pythae's own adds another number of samples.

Measured with --epochs 20, one seed, two CPU cores without AVX-512 that light work shared, seconds an epoch, ours then
pythae's:

    AE         5.2   7.3   1.4 times as fast   squared error  7.04   7.08
    WAE_MMD    8.0  18.6   2.3                 squared error  7.34   7.25
    VAE        6.3  10.2   1.6                 squared error 15.73  15.80   nats  81.19   81.29
    BetaVAE    5.9  10.7   1.8                 squared error 23.05  22.39   nats  91.63   90.07
    IWAE       12.2 16.0   1.3                 squared error 16.05  15.87   nats  80.22   79.75
    VAMP       7.0  13.3   1.9                 squared error 15.03  15.07   nats  76.35   76.19

With --initializer fan_in, which is nearer to PyTorch's first weights: WAE_MMD 7.52, VAE 15.93 and 81.74, BetaVAE 21.66
and 89.29, with 16 dimensions whose means vary by more than 0.01 in place of 12. After 5 epochs the VAE has 89.2 nats
with Glorot's first weights, 87.7 with fan_in (means of three seeds, within 0.4), and 88.0 in pythae.
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
            own = ours(name, file, arguments.epochs, arguments.initializer)
            peer = theirs(arguments.peer_python, name, file, arguments.epochs)
            for figure in own:
                print(f"{name} {figure}: ours {own[figure]:.2f}, pythae {peer[figure]:.2f}", flush=True)
            print(f"{name}: pythae takes {peer['seconds'] / own['seconds']:.2f} times as long", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--initializer", default="glorot_uniform", help="of our networks; see kerasae.networks.dense")
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


def ours(name, file, epochs, initializer):
    """Train one of our models and measure it."""
    kind = "" if name in WITHOUT_LIKELIHOOD else "_binary"
    with np.load(file) as images:
        training, test = (images[part + kind].reshape(-1, 28, 28, 1) for part in ("train", "test"))
    keras.utils.set_random_seed(0)
    posterior = None if name in WITHOUT_LIKELIHOOD else "gaussian"
    options = {"posterior": posterior, "kernel_initializer": initializer}
    encoder, decoder = kerasae.networks.dense((28, 28, 1), CODE, (WIDTH,), **options)
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
