"""Hash MNIST to 16, 32 and 64 bits, and find test images among the 60,000 training images, beside other hashes.

python benchmarks/hashing.py --data-dir DIR           # DIR: where TensorFlow Datasets keeps MNIST
"""

import argparse

import keras

import kerasae

PER_CLASS = 100
HELD = 5000
"""Training images that are queries while settings are chosen; the rest is then trained on and searched."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder of prepared TensorFlow Datasets")
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--noise", type=float, default=4.0)
    parser.add_argument("--widths", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choose", action="store_true", help="queries held out of the training images, for settings")
    parser.add_argument("--time", action="store_true", help="print milliseconds of a search, and train nothing")
    return parser.parse_args()


def parts(source, options):
    """Choose the images to learn from and to search, and 100 queries a class."""
    database, queries = source.train, source.test
    if options.choose:
        kept, held = kerasae.data.holdout(source.train.labels, HELD / len(source.train), seed=1)
        database, queries = source.train.subset(kept), source.train.subset(held)
    rows = kerasae.data.balanced_subset(queries.labels, 10 * PER_CLASS, seed=0)
    return database, queries.subset(rows)


def train(data, bits, pairs, options):
    """Train the hash on batches: of pairs where there are any, else plain semantic hashing."""
    keras.utils.set_random_seed(options.seed)
    networks = kerasae.networks.dense((28, 28, 1), bits, options.widths)
    model = kerasae.models.SemanticHashingAutoencoder(*networks, "bernoulli", noise=options.noise)
    steps = options.epochs * (len(data) // 256)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)), jit_compile=True)
    augment = kerasae.data.RandomAffine(shift=0.1, rotate=15.0, scale=0.15, shear=10.0)
    how = {} if pairs is None else {"augment": augment, "mix": pairs}
    split = data if pairs is None else pairs.numbered
    batches = kerasae.data.batches(split, 256, seed=options.seed, labels=pairs is not None, **how)
    model.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0, shuffle=False)
    return model
