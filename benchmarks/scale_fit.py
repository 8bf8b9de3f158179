"""Fit the step-time model of `kerasae plan` to steps measured on this machine, CPU or GPU.

    python benchmarks/scale_fit.py [--rounds 5] [--wait] [--jit] [--write FILE]
    python benchmarks/scale_fit.py --memory
    python benchmarks/scale_fit.py --decode

The first command trains masked autoencoders of several widths, depths, decoders and batches in turns, in float32 and
bfloat16. It fits the following model by least squares of relative errors, with no rate above that of a large matrix
product or of a copy in memory:

    seconds = FLOPs / rate + bytes / bandwidth + blocks · seconds per block

with FLOPs, bytes and blocks as `pipelines/planner/cost.py` counts them. It prints measured and fitted seconds
of every point, including points held out of the fit, and the flags of `kerasae plan` for this machine. A point is the
fastest of its rounds. `--wait` waits for a line on standard input between warm-up and timing, so that other load can be
stopped first; `--only float32` leaves the other number format out.

`--memory` compares the measured growth of a process's peak memory per image with the counted one, on CPU only.
`--decode` times reading, decoding and cropping photos as the pipeline does, on one core.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kerasae.training import devices
from pipelines.planner.cost import SIZES, Network

FEW = {"depth": 4, "decoder_depth": 2}
FITTED = [
    # size, changes, side, patch, batch
    ("tiny", FEW, 32, 4, 64),
    ("tiny", FEW, 32, 4, 16),
    ("tiny", FEW, 32, 4, 2),
    ("tiny", {"width": 96, **FEW}, 32, 4, 64),
    ("tiny", FEW, 64, 4, 8),
    ("tiny", {"depth": 10, "decoder_depth": 2}, 32, 4, 8),
    ("tiny", {"decoder": "cross", **FEW}, 32, 4, 64),
    ("small", FEW, 32, 4, 16),
]
HELD_OUT = [("tiny", {}, 32, 4, 64), ("base", FEW, 224, 16, 4)]
PRECISIONS = {"float32": 4, "bfloat16": 2}


def main():
    arguments = parse()
    devices.use_onednn()
    if arguments.peak:
        return print(peak(json.loads(arguments.peak)))
    if arguments.memory:
        return memory()
    if arguments.decode:
        return decode()
    precisions = [name for name in PRECISIONS if name.startswith(arguments.only)]
    points = [(precision, *point) for precision in precisions for point in FITTED + HELD_OUT]
    steps = [step_of(*point, arguments.jit) for point in points]
    if arguments.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    times, rates = take_turns(steps, arguments.rounds)
    if arguments.write:
        Path(arguments.write).write_text(json.dumps({"points": points, "seconds": times, "rates": rates}))
    fastest, ceilings = [min(taken) for taken in times], {name: max(found) for name, found in rates.items()}
    for precision in precisions:
        report(precision, points, fastest, ceilings)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wait", action="store_true", help="wait for a line on standard input before timing")
    parser.add_argument("--only", default="", help="float32 or bfloat16")
    parser.add_argument("--jit", action="store_true", help="compile the steps with XLA")
    parser.add_argument("--write", help="keep the measured seconds in this JSON file")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--decode", action="store_true")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- steps and their time


def step_of(precision, size, changes, side, patch, batch, jit=False):
    """Build a function that trains one step and waits for its end; it has been compiled and run twice."""
    import keras
    import numpy as np
    import tensorflow as tf

    import kerasae

    keras.config.set_dtype_policy("float32" if precision == "float32" else "mixed_bfloat16")
    keras.utils.set_random_seed(0)
    networks = getattr(kerasae.networks, f"vit_{size}")((side, side, 3), patch, **changes)
    variants = {"cross": kerasae.models.CrossMaskedAutoencoder, "linear": kerasae.models.SimMIM}
    model = variants.get(changes.get("decoder"), kerasae.models.MaskedAutoencoder)(*networks)
    model.compile(kerasae.optimizers.LayerwiseAdamW(1e-4, 0.05, beta_2=0.95), jit_compile=jit)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (batch, side, side, 3)).astype("uint8"))
    for _ in range(2):
        model.train_on_batch(images)
    return lambda: model.train_on_batch(images)


def take_turns(steps, rounds):
    """Time every step in every round, and measure each round's rates of matrix products and of memory."""
    from matrix_rate import copy_rate, matrix_rate

    times, rates = [[] for _ in steps], {name: [] for name in (*PRECISIONS, "memory")}
    for _ in range(rounds):
        for precision in PRECISIONS:
            rates[precision].append(matrix_rate(precision, repeats=3))
        rates["memory"].append(copy_rate(repeats=3))
        for step, taken in zip(steps, times, strict=True):
            began = time.perf_counter()
            step()
            taken.append(time.perf_counter() - began)
    return times, rates


# ---- the fit


def network(size, changes, side, patch):
    """Build the plan's `Network` of the same masked autoencoder."""
    patches = (side // patch) ** 2
    seen = int(patches * (0.4 if changes.get("decoder") == "linear" else 0.25))
    kind = {"patches": patches, "values": 3 * patch**2, "visible": seen, "predicted": round(patches / 4)}
    return Network(**kind, **{**SIZES[size], **changes})


def row(precision, size, changes, side, patch, batch):
    """Count FLOPs, bytes and blocks of a step."""
    net = network(size, changes, side, patch)
    return [batch * net.flops, net.moved(batch, PRECISIONS[precision]), net.blocks]


def fit(rows, seconds, least):
    """Fit seconds per FLOP, per byte and per block, none below `least`, by least squares of relative errors."""
    import numpy as np
    from scipy.optimize import lsq_linear

    weighted = np.array(rows, "float64") / np.array(seconds)[:, None]
    scale = weighted.max(axis=0)
    return lsq_linear(weighted / scale, np.ones(len(rows)), (np.array(least) * scale, np.inf)).x / scale


def report(precision, points, seconds, ceilings):
    """Print one precision's points, the fitted coefficients, and the flags for a plan."""
    mine = [(point, taken) for point, taken in zip(points, seconds, strict=True) if point[0] == precision]
    rows = [row(*point) for point, _ in mine]
    count = len(FITTED)
    least = [1 / ceilings[precision], 1 / ceilings["memory"], 0.0]
    found = fit(rows[:count], [taken for _, taken in mine[:count]], least)
    print(
        f"\n{precision}; this machine: products {ceilings[precision]:.4g} FLOP/s, memory {ceilings['memory']:.4g} B/s"
    )
    print("| size | changes | image | patch | batch | GFLOP | GB | blocks | measured, ms | fitted, ms | error |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for place, ((point, taken), counted) in enumerate(zip(mine, rows, strict=True)):
        print(line(point, counted, taken, sum(c * f for c, f in zip(counted, found, strict=True)), place >= count))
    rate, bandwidth = 1 / found[:2]
    print(f"rate {rate:.4g} FLOP/s, bandwidth {bandwidth:.4g} B/s, {found[2]:.3g} s per block")
    flag = f"--{precision}-rate {ceilings[precision]:.4g} --rate-share {rate / ceilings[precision]:.3g}"
    share = bandwidth / ceilings["memory"]
    print(f"{flag} --memory-rate {ceilings['memory']:.4g} --memory-share {share:.3g} --block-seconds {found[2]:.3g}")


def line(point, counted, taken, fitted, held_out):
    _, size, changes, side, patch, batch = point
    name = f"{size}, held out" if held_out else size
    text = ", ".join(f"{key} {value}" for key, value in changes.items()) or "–"
    work = f"{counted[0] / 1e9:.3g} | {counted[1] / 1e9:.3g} | {counted[2]}"
    times = f"{1e3 * taken:.1f} | {1e3 * fitted:.1f} | {fitted / taken - 1:+.0%}"
    return f"| {name} | {text} | {side} | {patch} | {batch} | {work} | {times} |"


# ---- memory and decoding


def memory():
    """Compare the measured growth of peak memory per image with the counted one."""
    for precision, value_bytes in PRECISIONS.items():
        for size, changes in (("tiny", FEW), ("small", FEW), ("tiny", {"decoder": "linear", "depth": 4})):
            few, many = (measured_peak(precision, size, changes, 32, 4, batch) for batch in (64, 320))
            counted = network(size, changes, 32, 4).memory(1, value_bytes)
            kept, work = counted["kept for backward"], counted["at work"]
            print(
                f"{precision}, {size} {changes}: {(many - few) / 256:.0f} bytes an image measured, "
                f"{kept + work} counted, of them {kept} kept for backward",
                flush=True,
            )


def measured_peak(*point):
    """Measure the peak bytes of a new process that trains three steps."""
    command = [sys.executable, __file__, "--peak", json.dumps(point)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def peak(point):
    step_of(*point)()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def decode(batch=64, batches=6):
    """Measure the images/s of a core that reads scikit-learn's two photos from a folder as `kerasae mae` does."""
    import kerasae

    crop = kerasae.data.Chain(kerasae.data.RandomResizedCrop((0.2, 1.0)), kerasae.data.RandomFlip())
    with tempfile.TemporaryDirectory() as folder:
        size = photos(Path(folder), batch)
        split = kerasae.data.load(f"folder:{folder}", image_size=(224, 224)).train
        for name, augment in (("decode, resize", None), ("decode, resize, random crop, flip", crop)):
            images = iter(kerasae.data.batches(split, batch, seed=0, augment=augment))
            next(images)
            began = time.process_time()
            for _ in range(batches):
                next(images)
            rate = batch * batches / (time.process_time() - began)
            print(f"{name}: {rate:.0f} images/s of a core; 427×640 pixels, {size:.0f} bytes on average")


def photos(folder, count):
    """Write 2 · `count` copies of the photos as JPEG; return their mean size in bytes."""
    import tensorflow as tf
    from sklearn.datasets import load_sample_images

    encoded = [tf.io.encode_jpeg(photo, quality=95).numpy() for photo in load_sample_images().images]
    for i in range(2 * count):
        (folder / f"{i}.jpg").write_bytes(encoded[i % 2])
    return statistics.mean(map(len, encoded))


if __name__ == "__main__":
    main()
