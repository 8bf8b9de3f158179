"""Compare a linear autoencoder with PCA: both span the same subspace (Baldi and Hornik, 1989), so errors agree.

    python benchmarks/pca.py --data-dir DIR

DIR holds MNIST as TensorFlow Datasets prepares it. Prints the mean squared reconstruction error per pixel (pixels in
0…1) over the training images of the autoencoder and of scikit-learn's PCA, and their relative difference.
"""

import argparse
import time

import keras
import numpy as np
from sklearn.decomposition import PCA

import kerasae

CHUNK = 10_000
"""Images per chunk when errors are computed in double precision."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="tfds:mnist", help="data set, as kerasae names it")
    parser.add_argument("--data-dir", help="folder of prepared TensorFlow Datasets")
    parser.add_argument("--dimensions", type=int, default=32, help="length of the code")
    parser.add_argument("--batch", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train(source, options):
    """Train a linear autoencoder on shuffled batches with a cosine-decayed learning rate."""
    keras.utils.set_random_seed(options.seed)
    networks = kerasae.networks.dense(source.info.shape, options.dimensions, widths=())
    model = kerasae.models.Autoencoder(*networks, pixel_max=source.info.max_value)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, options.steps)
    # A short memory of squared gradients: the long one of 0.999 slows Adam down along the weak components.
    model.compile(keras.optimizers.Adam(rate, beta_2=0.9))
    batches = kerasae.data.batches(source.train, options.batch, seed=options.seed)
    model.fit(batches, steps_per_epoch=options.steps, shuffle=False, verbose=0)
    return model


def mean_squared_error(x, reconstruct):
    """Average the squared error of `reconstruct(x)` over all values, in double precision."""
    parts = [x[i : i + CHUNK] for i in range(0, len(x), CHUNK)]
    squares = [np.square(np.asarray(reconstruct(part), dtype=float) - part).sum() for part in parts]
    return sum(squares) / x.size


def main():
    options = arguments()
    source = kerasae.data.load(options.data, data_dir=options.data_dir)
    images, _ = source.train.arrays()
    x = images / source.info.max_value

    start = time.perf_counter()
    model = train(source, options)
    seconds = time.perf_counter() - start
    mine = mean_squared_error(x, model.reconstruct)

    flat = x.reshape(len(x), -1)
    start = time.perf_counter()
    pca = PCA(options.dimensions, svd_solver="covariance_eigh").fit(flat)
    pca_seconds = time.perf_counter() - start
    theirs = mean_squared_error(flat, lambda part: pca.inverse_transform(pca.transform(part)))

    print(f"linear autoencoder  {mine:.9f}  in {seconds:.0f} s")
    print(f"PCA                 {theirs:.9f}  in {pca_seconds:.0f} s")
    print(f"relative difference {mine / theirs - 1:.2e}")


if __name__ == "__main__":
    main()
