"""Measure the time and memory that `kerasae embed` adds to its model, on the 60,000 images of MNIST.

    python benchmarks/embed.py --data-dir DIR [--data tfds:mnist] [--variant mae] [--rounds 3] [--batch 256]

Compares the medians of two times. The first is the model alone: `encode`, as one graph, over the images as an array in
memory. The second is the command's work after model and data are loaded: gather, encode, write `codes.npz`. Both run in
turns in one process, so that other load on the machine affects both. Memory is the peak of a process that embeds all
images, beside that of a process that embeds a tenth of them. The networks are untrained, which does not change times.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = {"mae": {"patch": 7, "width": 96, "depth": 3, "heads": 3}, "dense": {"widths": (1000, 1000)}}
"""Variant → sizes of its network."""


def main():
    arguments = parse()
    if arguments.worker:
        return print(json.dumps(peak_of(arguments)))
    with tempfile.TemporaryDirectory() as folder:
        model, split = opened(arguments)
        bare, whole = measure(model, split, arguments, Path(folder))
    peaks = [peak_of_process(arguments, share) for share in (0.1, 1.0)]
    print(verdict(len(split), bare, whole, peaks))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="tfds:mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--variant", choices=SIZES, default="mae")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--share", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def opened(arguments):
    """Build the model and load a share of the training images."""
    import numpy as np

    import kerasae

    split = kerasae.data.load(arguments.data, data_dir=arguments.data_dir).train
    if arguments.share < 1:
        split = split.subset(np.arange(int(arguments.share * len(split))))
    if arguments.variant == "dense":
        pair = kerasae.networks.dense(split.shape, 32, **SIZES["dense"])
        return kerasae.models.Autoencoder(*pair), split
    pair = kerasae.networks.vit(split.shape, decoder_depth=1, **SIZES["mae"])
    return kerasae.models.MaskedAutoencoder(*pair), split


def measure(model, split, arguments, folder):
    """Time each round in seconds: the model alone, and the command's work."""
    import numpy as np
    import tensorflow as tf

    signature = [tf.TensorSpec([None, *split.shape], split.dtype)]
    encode, images = tf.function(model.encode, signature, autograph=False), split.arrays()[0]
    places = np.arange(0, len(images), arguments.batch)

    def alone():
        for start in places:
            encode(images[start : start + arguments.batch]).numpy()

    encode(images[: arguments.batch])
    rounds = [(timed(alone), timed(lambda: embed(model, split, arguments, folder))) for _ in range(arguments.rounds)]
    return [list(times) for times in zip(*rounds, strict=True)]


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def embed(model, split, arguments, folder):
    """Embed the images as the command does once model and data are loaded."""
    import numpy as np

    import kerasae
    from pipelines import embed

    count = len(split)
    info = kerasae.data.Info(arguments.data, split.shape, split.dtype, 255, {"train": count})
    about = embed.About(None, split.rows, np.full(count, "train"), None)
    pieces = kerasae.evaluate.embedded(model, split, arguments.batch)
    with kerasae.results.whole_file(folder / "codes.npz") as file:
        embed.write_archive(file, itertools.chain(pieces), about, info)


def peak_of(arguments):
    """Measure the peak MiB of this process, which embeds a share of the images."""
    from process_memory import peak

    model, split = opened(arguments)
    with tempfile.TemporaryDirectory() as folder:
        embed(model, split, arguments, Path(folder))
    return peak()[0]


def peak_of_process(arguments, share):
    """Measure the peak MiB of a new process that embeds a share of the images."""
    given = {"data": arguments.data, "data-dir": arguments.data_dir, "variant": arguments.variant}
    given |= {"batch": arguments.batch, "share": share}
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    command = [sys.executable, __file__, *words, "--worker"]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def verdict(count, bare, whole, peaks):
    alone, embedded = statistics.median(bare), statistics.median(whole)
    rounds = ", ".join(f"{b:.1f}/{w:.1f}" for b, w in zip(bare, whole, strict=True))
    return (
        f"{count} images: model alone {alone:.1f} s, embedded and written {embedded:.1f} s, {embedded / alone:.3f} "
        f"times as long (rounds: {rounds}); peak memory {peaks[1]:.0f} MiB, of a tenth of the images {peaks[0]:.0f} MiB"
    )


if __name__ == "__main__":
    main()
