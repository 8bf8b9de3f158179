"""Measure the training throughput of a plain autoencoder and a VAE, 784-512-16-512-784, batch 100, on MNIST.

    python benchmarks/throughput.py [--data-dir DIR] [--epochs 5]

Trains both models by the pipelines' training loop. Prints seconds per 50,000 images, and the FLOP/s of the steps'
matrix products relative to those of a large fp32 matrix product, measured in the same process.

Measured on two CPU cores, otherwise idle, twice: autoencoder 0.86 s, VAE 1.18 and 1.21 s; 50 % and 36 % of the rate
of a large matrix product. The PyTorch peer pythae, measured in between with the same networks and batch: 2.71 s and
3.29 s (the faster of two epochs), which is 3.2 and 2.7 times as long.
"""

import argparse
import statistics
import tempfile

from kerasae.training import devices

devices.use_onednn()  # must precede the import of TensorFlow

import keras  # noqa: E402
import numpy as np  # noqa: E402
from matrix_rate import matrix_rate  # noqa: E402

import kerasae  # noqa: E402
from kerasae.training.checkpoint import Checkpoints  # noqa: E402
from kerasae.training.loop import Plan, train  # noqa: E402

IMAGES, BATCH, WIDTH, CODE = 50_000, 100, 512, 16


def main():
    arguments = parse()
    split = kerasae.data.load("tfds:mnist", data_dir=arguments.data_dir).train.subset(np.arange(IMAGES))
    for name, outputs in (("autoencoder", 1), ("vae", 2)):
        before = matrix_rate(repeats=5)
        times, work = epochs(build(name), split, arguments.epochs), flops(outputs)
        rate = (before + matrix_rate(repeats=5)) / 2
        middle = statistics.median(times)
        print(
            f"{name}: {middle:.2f} s per 50,000 images (median of {len(times)}, fastest {min(times):.2f}), "
            f"{work / 1e9:.0f} GFLOP of matrix products: {work / middle / rate:.0%} of the measured fp32 "
            f"matrix-product rate, {rate / 1e9:.0f} GFLOP/s"
        )


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=5)
    return parser.parse_args()


def build(name):
    """Build and compile the model."""
    keras.utils.set_random_seed(0)
    variational = name == "vae"
    networks = kerasae.networks.dense((28, 28, 1), CODE, (WIDTH,), posterior="gaussian" if variational else 1)
    cls = kerasae.models.VariationalAutoencoder if variational else kerasae.models.Autoencoder
    model = cls(*networks, "bernoulli" if variational else "gaussian")
    model.compile("adam", jit_compile=True)
    return model


def epochs(model, split, count):
    """Time `count` epochs of the training loop in seconds, after a first epoch that compiles."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            lambda step: kerasae.data.batches(split, BATCH, seed=0, start_step=step),
            Plan(epochs=count + 1, steps_per_epoch=IMAGES // BATCH),
            Checkpoints(folder),
            on_epoch=rows.append,
        )
    return [row["seconds"] for row in rows[1:]]


def flops(outputs):
    """Count the FLOPs of an epoch's matrix products; the first layer computes no gradient of its input."""
    encoder = 784 * WIDTH + WIDTH * CODE * outputs
    decoder = CODE * WIDTH + WIDTH * 784
    return IMAGES * (6 * (encoder + decoder) - 2 * 784 * WIDTH)


if __name__ == "__main__":
    main()
