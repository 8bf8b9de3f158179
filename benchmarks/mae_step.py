"""Compare the training step of a masked autoencoder with transformers' ViTMAE in PyTorch: images/s and memory.

    python benchmarks/mae_step.py [--size tiny|base] [--batch N] [--steps 2] [--rounds 7] [--peer-python PYTHON]
    python benchmarks/mae_step.py --size base --steps 1 --only fp32   # six processes of three to five GiB

Tiny is ViT-T 192×12 h3 with patches of 4 at 32×32 and a decoder 192×4, base is ViT-B/16 at 224×224 with a decoder
512×8; three quarters of the patches are hidden, targets normalised, AdamW. Both run in fp32 and
bf16. kerasae runs without options, with XLA, with the batch in two halves (`micro_batches=2`: the same update for less
memory), and in quarters, eighths and sixteenths (of at least two images), computed in parallel on one core each.

Every variant is a separate process; they take turns, a few steps each round, so that other load on the machine affects
all. Prints for each the median images per second, the FLOP/s of its matrix products relative to those of a large
product (measured in the same rounds), and the peak memory, with and without pages of libraries' files. kerasae computes
the decoder's last block for the tokens in the loss only, the peer for all tokens; FLOP/s count what each computes.

The peer needs torch and transformers, in this environment or in that of --peer-python; without them kerasae runs alone.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from kerasae.training import devices
from pipelines.planner import cost
from pipelines.planner.cost import Network

SIZES = {"tiny": (32, 4, 128), "base": (224, 16, 16)}
"""Side, patch, images of a batch."""
CORES = os.cpu_count()
SETTINGS = {
    "": {},
    " XLA": {"jit_compile": True},
    " halves": {"micro_batches": 2},
    " quarters": {"micro_batches": 4, "at_once": min(4, CORES)},
    " eighths": {"micro_batches": 8, "at_once": min(8, CORES)},
    " sixteenths": {"micro_batches": 16, "at_once": min(16, CORES)},
}
"""Suffix of a variant's name → how kerasae's step is compiled."""
OURS = tuple(kind + how for kind in ("fp32", "bf16") for how in SETTINGS)
PEERS = ("fp32", "bf16")
HIDDEN = 0.75


def main():
    arguments = parse()
    if arguments.worker:
        return work(arguments.worker, arguments.size, arguments.batch)
    devices.use_onednn()  # also for the rate of matrix products
    batch = arguments.batch or SIZES[arguments.size][-1]
    variants = [name for name in OURS if name.startswith(arguments.only) and 2 * parts(name) <= batch]
    workers = {f"ours {name}": ours(name, arguments.size, batch) for name in variants}
    workers |= {f"peer {name}": peer(arguments, name, batch) for name in PEERS if name.startswith(arguments.only)}
    workers = {name: worker for name, worker in workers.items() if started(name, worker)}
    speeds, rates = take_turns(workers, arguments, batch)
    for name, worker in workers.items():
        print(line(name, speeds[name], rates, arguments.size, *map(float, ask(worker, "peak").split())))
    print(ceiling(rates, arguments.size, batch))
    print(verdict(speeds))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--batch", type=int, help="images of a step; 128, and 16 for base, when not given")
    parser.add_argument("--steps", type=int, default=2, help="steps of a variant in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="variants whose name starts with this: fp32 or bf16")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has torch and transformers")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- the processes


def parts(name):
    return SETTINGS[name[4:]].get("micro_batches", 1)


def ours(name, size, batch):
    return start([sys.executable, __file__, "--worker", name, "--size", size, "--batch", str(batch)])


def peer(arguments, name, batch):
    script = str(Path(__file__).with_name("mae_peer.py"))
    return start([arguments.peer_python, script, arguments.size, name, "eager", str(batch)])


def start(command):
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def started(name, worker):
    """Wait until a process has made its first steps; report on stderr if it fails."""
    if worker.stdout.readline().strip() == "ready":
        return True
    print(f"{name}: could not be started", file=sys.stderr)
    return False


def ask(worker, question):
    worker.stdin.write(f"{question}\n")
    worker.stdin.flush()
    return worker.stdout.readline()


def take_turns(workers, arguments, batch):
    """Measure images per second of every worker and round, and FLOP/s of matrix products by number format."""
    from matrix_rate import matrix_rate

    speeds, rates = {name: [] for name in workers}, {kind: [] for kind in PEERS}
    for _ in range(arguments.rounds):
        for kind in rates:
            rates[kind].append(matrix_rate("float32" if kind == "fp32" else "bfloat16", repeats=3))
        for name, worker in workers.items():
            speeds[name].append(batch * arguments.steps / float(ask(worker, arguments.steps)))
    return speeds, {kind: statistics.median(values) for kind, values in rates.items()}


def work(name, size, batch):
    """Serve step times from one process; see `mae_peer.py` for the protocol."""
    from process_memory import peak

    step = step_of(name, size, batch)
    print("ready", flush=True)
    for request in sys.stdin:
        if request.strip() == "peak":
            print(*peak(), flush=True)
            continue
        began = time.perf_counter()
        for _ in range(int(request)):
            step()
        print(time.perf_counter() - began, flush=True)


def step_of(name, size, batch):
    """Build a function that trains one step and waits for its end; it has been compiled and run twice."""
    kind, settings = name.split()[0], {"jit_compile": False, **SETTINGS[name[4:]]}
    devices.use_onednn()
    if "at_once" in settings:
        devices.one_core_each()
    import keras
    import numpy as np
    import tensorflow as tf

    import kerasae

    side, patch = SIZES[size][:2]
    keras.config.set_dtype_policy("float32" if kind == "fp32" else "mixed_bfloat16")
    keras.utils.set_random_seed(0)
    networks = getattr(kerasae.networks, f"vit_{size}")((side, side, 3), patch)
    model = kerasae.models.MaskedAutoencoder(*networks, HIDDEN)
    optimizer = kerasae.optimizers.LayerwiseAdamW(1e-4, 0.05, beta_2=0.95)
    model.compile(optimizer, **settings)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (batch, side, side, 3)).astype("uint8"))
    for _ in range(2):
        model.train_on_batch(images)
    return lambda: model.train_on_batch(images)


# ---- the figures


def line(name, speeds, rates, size, peak, files):
    who, kind, *_ = name.split()
    middle = statistics.median(speeds)
    memory = f"peak {peak:.0f} MiB ({peak - files:.0f} its own)"
    share = middle * (published_flops if who == "peer" else flops)(size) / rates[kind]
    share = f"{share:.0%} of the matrix products' {rates[kind] / 1e9:.0f} GFLOP/s"
    return f"{name:<18} {middle:7.1f} img/s (fastest {max(speeds):.1f}), {memory}, {share}"


def ceiling(rates, size, batch):
    """Measure the share of the matrix-product rate that the linear layers' products reach in their own sizes."""
    from matrix_rate import layer_rate

    layers = [(batch * rows, *rest) for rows, *rest in linear_layers(network(size))]
    reached = {kind: layer_rate(layers, "float32" if kind == "fp32" else "bfloat16", repeats=5) for kind in rates}
    shares = ", ".join(f"{kind} {reached[kind] / rate:.0%}" for kind, rate in rates.items())
    return f"share of it that the linear layers' matrix products reach by themselves, in the layers' sizes: {shares}"


def linear_layers(network):
    """Yield (rows, inputs, outputs) of every linear layer, per image."""
    for part in network.parts:
        if isinstance(part, cost.Linear):
            yield part.rows, part.inputs, part.outputs
        elif isinstance(part, cost.Block):
            width = part.width
            yield part.tokens, width, 3 * width
            for inputs, outputs in ((1, 1), (1, cost.MLP), (cost.MLP, 1)):
                yield part.queries, inputs * width, outputs * width


def verdict(speeds):
    """Compare kerasae's best median with the peer's best median."""
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    best = {who: max((v for n, v in medians.items() if n.startswith(who)), default=0.0) for who in ("ours", "peer")}
    if not best["peer"]:
        return f"ours {best['ours']:.1f} img/s; the peer was not measured: it needs torch and transformers"
    return f"ours {best['ours']:.1f} img/s, peer {best['peer']:.1f} img/s, ratio {best['ours'] / best['peer']:.2f}"


def flops(size):
    """Count the FLOPs of one image's matrix products, forward and backward, as kerasae computes them."""
    return network(size).flops


def published_flops(size):
    """Count the FLOPs as published: with all tokens in the decoder's last block, also those without a loss."""
    counted = network(size)
    *_, block, _, layer = counted.parts
    whole = replace(block, last=None), replace(layer, rows=block.tokens)
    return counted.flops + 2 * sum(part.products for part in whole) - 2 * (block.products + layer.products)


def network(size):
    """Build the masked autoencoder and count its products."""
    side, patch = SIZES[size][:2]
    patches = (side // patch) ** 2
    return Network(patches=patches, values=3 * patch**2, visible=int(patches * (1 - HIDDEN)), **cost.SIZES[size])


if __name__ == "__main__":
    main()
