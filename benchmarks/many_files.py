"""Measure memory and start-up of pretraining from a folder of 200,000 small JPEG files, beside one of 2,000.

    python benchmarks/many_files.py [--many 200000] [--few 2000] [--steps 50] [--folder DIR]

Every start is a new process that runs `kerasae mae` on the folder and ends after --steps steps. The first start checks
every file and caches what it finds; the second start reads the cache. Prints the seconds to the end of the
first step, from the start of the process and from the end of its imports, and the peak memory. Files are 32 × 32 pixels
of noise; a network of width 192 and 2 blocks trains on batches of 128.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = "--patch 4 --width 192 --depth 2 --heads 3 --decoder-width 64 --decoder-depth 1 --decoder-heads 2"


def main():
    arguments = parse()
    if arguments.worker:
        return work(arguments)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = {count: measure(Path(folder), count, arguments) for count in (arguments.few, arguments.many)}
    print(verdict(found, arguments))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--many", type=int, default=200_000)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--folder", help="folder for the temporary files; the system's temporary folder when not given")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)  # folder of images, run directory
    return parser.parse_args()


def measure(folder, count, arguments):
    """Measure a first and a second start on `count` files."""
    images = folder / f"images-{count}"
    write(images, count)
    starts = [start(images, folder / f"run-{count}-{i}", folder / "cache", arguments.steps) for i in (1, 2)]
    for name, found in zip(("first", "second"), starts, strict=True):
        print(f"{count} files, {name} start: {json.dumps(found)}", flush=True)
    return starts


def write(folder, count):
    """Write `count` small JPEG files of random pixels."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    chance = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(chance.integers(0, 256, (32, 32, 3), "uint8")).save(folder / f"{i:06}.jpg", quality=50)


def start(images, run, cache, steps):
    """Start a process; return the figures in its last printed line."""
    command = [sys.executable, __file__, "--steps", str(steps), "--worker", str(images), str(run)]
    environment = {**os.environ, "KERASAE_CACHE": str(cache), "BEGAN": str(time.time())}
    out = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def work(arguments):
    """Train in this process; print the time of the first step's end and the peak memory."""
    import resource

    from kerasae.training import loop
    from pipelines.command_line import main as cli

    imported, first = time.time(), []
    chunk = loop._Loop._run_chunk

    def counted(loop, progress, steps):
        result = chunk(loop, progress, min(steps, 10))
        first.append(time.time())
        if progress.step >= arguments.steps:
            raise loop.Interrupted("enough")
        return result

    loop._Loop._run_chunk = counted
    images, run = arguments.worker
    tokens = f"mae {MODEL} --data folder:{images} --batch-size 128 --epochs 400 --pictures-every 0 --out {run}"
    assert cli.main(tokens.split()) == 130
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    since_start, since_import = first[0] - float(os.environ["BEGAN"]), first[0] - imported
    figures = {"from start": since_start, "from import": since_import, "peak MiB": peak}
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


def verdict(found, arguments):
    """Compare the second starts: memory of many files relative to few, and time to the first step."""
    few, many = (found[count][1] for count in (arguments.few, arguments.many))
    return (
        f"peak memory {many['peak MiB'] / few['peak MiB']:.3f} times that of {arguments.few} files (limit 1.1), "
        f"first step {many['from start']:.1f} s after the second start (limit 10)"
    )


if __name__ == "__main__":
    main()
