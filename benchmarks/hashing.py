"""Hash MNIST to 16, 32 and 64 bits, and find test images among the 60,000 training images, beside other hashes.

    python benchmarks/hashing.py --data-dir DIR           # DIR: where TensorFlow Datasets keeps MNIST
    python benchmarks/hashing.py --data-dir DIR --choose  # queries from training images that were held out
    python benchmarks/hashing.py --data-dir DIR --time    # milliseconds of a search

Queries are 100 test images of each class, the database is all 60,000 training images, and an image is relevant where
its class is the query's; no method sees a class. Networks learn from 55,000 of the training images. The others chose
noise, widths, batch, rate and neighbours, by mAP at 32 bits after 4 or 8 epochs of seven settings, from 38.5 to 54.8.

"Ours" sees an image shifted, turned, scaled and sheared, and reconstructs one of its 20 nearest in pixels, undistorted.
Plain semantic hashing is the same network with the same noise and steps on the images themselves. PCA-ITQ, LSH and PCA
are fitted to the same 55,000.

Measured, mAP in percent, seed 0, one seed, on two CPU cores that other work kept busy, 2.3 to 4.2 minutes of training
for each network, and 3.5 minutes for the neighbours, once; the raw pixels reach 42.12:

    bits    ours   plain semantic hashing   PCA-ITQ     LSH   PCA, floats
      16   53.08                    39.83     42.62   23.56         44.51
      32   56.83                    42.82     43.83   28.30         43.94
      64   61.91                    46.39     45.68   32.20         42.96

A search for the 10 nearest of 200 test images among 60,000, by usearch's graph, of bits of PCA-ITQ and of principal
components: the median and the 99 % quantile in milliseconds, the share of the 10 nearest distances that was found, and
the seconds to build the graph:

    bits     ms  99 %  found  built   floats     ms  99 %   found  built
      16   0.32  0.56   96.5      4       16   0.57  0.75   100.0      5
      32   0.51  0.77  100.0      3       32   0.55  4.74   100.0     11
      64   0.65  4.80  100.0      6       64   1.00  3.85    99.7     15
"""

import argparse
import time

import keras
import numpy as np

import kerasae
from kerasae.evaluate import mean_average_precision, pca_itq, principal_components, random_hyperplanes, raw_input
from kerasae.evaluate.retrieval import distances

PER_CLASS = 100
HELD = 5000
"""Training images that nothing is trained on: while settings are chosen, queries are drawn from them."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder of prepared TensorFlow Datasets")
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--noise", type=float, default=4.0)
    parser.add_argument("--widths", type=int, nargs="+", default=[1024, 512])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choose", action="store_true", help="queries held out of the training images, for settings")
    parser.add_argument("--time", action="store_true", help="print milliseconds of a search, and train nothing")
    return parser.parse_args()


def parts(source, options):
    """Choose the images to learn from, those to search, and 100 queries a class."""
    kept, held = kerasae.data.holdout(source.train.labels, HELD / len(source.train), seed=1)
    learned, queries = source.train.subset(kept), source.train.subset(held) if options.choose else source.test
    rows = kerasae.data.balanced_subset(queries.labels, 10 * PER_CLASS, seed=0)
    return learned, learned if options.choose else source.train, queries.subset(rows)


def train(data, bits, pairs, options):
    """Train the hash on batches: of pairs where there are any, else plain semantic hashing."""
    keras.utils.set_random_seed(options.seed)
    networks = kerasae.networks.dense((28, 28, 1), bits, options.widths)
    model = kerasae.models.SemanticHashingAutoencoder(*networks, "bernoulli", noise=options.noise)
    steps = options.epochs * (len(data) // options.batch_size)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)), jit_compile=True
    )
    augment = kerasae.data.RandomAffine(shift=0.1, rotate=15.0, scale=0.15, shear=10.0)
    how = {} if pairs is None else {"augment": augment, "mix": pairs}
    split = data if pairs is None else pairs.numbered
    batches = kerasae.data.batches(split, options.batch_size, seed=options.seed, labels=pairs is not None, **how)
    model.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0, shuffle=False)
    return model


def hashes(learned, data, queries, bits, pairs, options):
    """Measure mAP in percent of every way to hash to so many bits, and of as many principal components."""
    vectors = [raw_input(part, 255.0) for part in (learned, queries, data)]

    def score(queries_and_data, metric="hamming"):
        return 100 * mean_average_precision(*queries_and_data, queries.labels, data.labels, metric)

    found = {}
    for name, given in (("ours", pairs), ("plain semantic hashing", None)):
        start = time.perf_counter()
        model = train(learned, bits, given, options)
        print(f"{bits} bits, {name}: {time.perf_counter() - start:.0f} seconds of training", flush=True)
        found[name] = score([np.asarray(model.hash(part.arrays()[0])) for part in (queries, data)])
    for name, method in (("PCA-ITQ", pca_itq), ("LSH", random_hyperplanes)):
        found[name] = score(method(*vectors, bits=bits, seed=options.seed))
    floats = principal_components(*vectors, count=bits, seed=options.seed)
    return {**found, "PCA, floats": score(floats, "euclidean")}


def raw(data, queries):
    """Measure mAP in percent of the raw pixels."""
    vectors = [raw_input(part, 255.0) for part in (queries, data)]
    return 100 * mean_average_precision(*vectors, queries.labels, data.labels, "euclidean")


def milliseconds(data, queries, bits):
    """Time a search for the 10 nearest of one query among all, and the share of the 10 nearest distances it finds."""
    vectors = [raw_input(part, 255.0) for part in (data, queries)]
    hashed = pca_itq(vectors[0], *vectors, bits=bits)
    numbers = principal_components(vectors[0], *vectors, count=bits)
    for name, metric, (database, asked) in (("bits", "hamming", hashed), ("floats", "euclidean", numbers)):
        start = time.perf_counter()
        index = kerasae.applications.SearchIndex(database, metric, range(len(database)))
        built, times, right = time.perf_counter() - start, [], []
        for query in asked[:200]:
            start = time.perf_counter()
            found = index.search(query[None], 10).distances[0]
            times.append(1000 * (time.perf_counter() - start))
            exact = np.sort(distances(query[None], database, metric)[0])[9]
            right.append(np.mean(found <= (np.sqrt(exact) if metric == "euclidean" else exact) * (1 + 1e-4)))
        print(
            f"{bits} {name} among {len(database)}: median {np.median(times):.2f} ms, 99 % under "
            f"{np.quantile(times, 0.99):.2f} ms, {100 * np.mean(right):.1f} % of the 10 nearest; built in {built:.0f} s"
        )


def main():
    options = arguments()
    learned, data, queries = parts(kerasae.data.load("tfds:mnist", data_dir=options.data_dir), options)
    if options.time:
        return [milliseconds(data, queries, bits) for bits in options.bits]
    print(
        f"mAP in percent, {len(queries)} queries, {len(data)} images; raw pixels {raw(data, queries):.2f}", flush=True
    )
    pairs = kerasae.data.NeighbourPairs(learned, options.neighbours)
    for bits in options.bits:
        row = hashes(learned, data, queries, bits, pairs, options)
        print(f"{bits} bits: " + ", ".join(f"{name} {value:.2f}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
