"""Compare the training step of kerasae's masked autoencoder (Keras on JAX) with transformers' ViTMAE on a GPU.

    python benchmarks/mae_step_gpu.py [--size base] [--batch 256] [--steps 20] [--rounds 7]

Base is ViT-B/16 at 224×224 with a decoder 512×8; three quarters of the patches are hidden, targets normalised, AdamW,
bfloat16 with weights and sums in float32. The peer runs eagerly and through torch.compile. Each is a separate process
with its images on the GPU; they take turns, `--steps` steps each round, and wait for the GPU once a round. Prints for
each the median images per second, the FLOP/s of its matrix products relative to those of a square product of size 8192
(measured in the same rounds), and the peak of the allocated memory. kerasae computes the decoder's last block for the
tokens in the loss only, the peer for all tokens; FLOP/s count what each computes.

Needs jax with a GPU and keras, no TensorFlow; the peer needs torch and transformers.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

from mae_step import HIDDEN, SIZES, ask, flops, published_flops, start, started, verdict

OURS = "ours bf16"
PEERS = ("eager", "compile")
PRODUCT = 8192


def main():
    arguments = parse()
    if arguments.worker:
        return work(arguments.size, arguments.batch)
    sizes = arguments.size, str(arguments.batch)
    workers = {OURS: start([sys.executable, __file__, "--worker", "--size", sizes[0], "--batch", sizes[1]])}
    for mode in PEERS:
        script = str(Path(__file__).with_name("mae_peer.py"))
        workers[f"peer bf16 {mode}"] = start([sys.executable, script, sizes[0], "bf16", mode, sizes[1], "cuda"])
    workers = {name: worker for name, worker in workers.items() if started(name, worker)}
    if OURS not in workers:
        sys.exit(1)
    speeds, rate = take_turns(workers, arguments)
    for name, worker in workers.items():
        print(line(name, speeds[name], rate, arguments.size, float(ask(worker, "peak").split()[0])))
    print(verdict(speeds))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--batch", type=int, default=256, help="images of a step")
    parser.add_argument("--steps", type=int, default=20, help="steps of a variant in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def take_turns(workers, arguments):
    """Measure images per second of every worker and round, and the median FLOP/s of matrix products."""
    speeds, rates = {name: [] for name in workers}, []
    for _ in range(arguments.rounds):
        rates.append(float(ask(workers[OURS], "rate")))
        for name, worker in workers.items():
            speeds[name].append(arguments.batch * arguments.steps / float(ask(worker, arguments.steps)))
    return speeds, statistics.median(rates)


def line(name, speeds, rate, size, peak):
    middle = statistics.median(speeds)
    share = middle * (flops if name == OURS else published_flops)(size) / rate
    share = f"{share:.0%} of the matrix products' {rate / 1e12:.0f} TFLOP/s"
    return f"{name:<18} {middle:7.0f} img/s (fastest {max(speeds):.0f}), peak {peak:.0f} MiB, {share}"


# ---- the process of kerasae


def work(size, batch):
    """Serve step times from one process by the protocol of `mae_peer.py`; `rate` asks for the FLOP/s of a product."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the GPU is shared with the peers
    import jax

    steps = steps_of(size, batch)
    steps(2)
    print("ready", flush=True)
    for request in sys.stdin:
        if request.strip() == "rate":
            print(matrix_rate(), flush=True)
        elif request.strip() == "peak":
            print(jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20, flush=True)
        else:
            began = time.perf_counter()
            steps(int(request))
            print(time.perf_counter() - began, flush=True)


def steps_of(size, batch):
    """Build a function that trains a number of steps by `fit` and waits for the last."""
    import jax
    import keras
    import numpy as np

    import kerasae

    side, patch = SIZES[size][:2]
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    networks = getattr(kerasae.networks, f"vit_{size}")((side, side, 3), patch)
    model = kerasae.models.MaskedAutoencoder(*networks, HIDDEN)
    model.compile(kerasae.optimizers.LayerwiseAdamW(1e-4, 0.05, beta_2=0.95))
    images = jax.device_put(np.random.default_rng(0).integers(0, 256, (batch, side, side, 3)).astype("uint8"))

    def steps(count):
        model.fit(((images,) for _ in range(count)), steps_per_epoch=count, verbose=0)
        jax.block_until_ready(model.trainable_variables[0].value)

    return steps


def matrix_rate(repeats=20):
    """Measure the FLOP/s of a square matrix product in bfloat16, of random numbers."""
    import jax

    a = jax.random.normal(jax.random.key(0), (PRODUCT, PRODUCT), "bfloat16")
    product = jax.jit(lambda a, b: a @ b)
    product(a, a).block_until_ready()
    began = time.perf_counter()
    for _ in range(repeats):
        result = product(a, a)
    result.block_until_ready()
    return repeats * 2 * PRODUCT**3 / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
