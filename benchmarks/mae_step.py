"""Training step of a masked autoencoder: ViT-T 192×12 h3, patch 4 at 32×32, decoder 192×4 h3, three quarters hidden.

    python benchmarks/mae_step.py [--batch 128] [--steps 3] [--rounds 5] [--only bf16]

Runs whole training steps in fp32 and mixed_bfloat16, with XLA and without, taking turns, and prints images per second
(median of the rounds, and the fastest) and which share of the machine's rate of matrix products of that type,
measured in the same rounds, the step's matrix products reach.
"""

import argparse
import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from matrix_rate import matrix_rate

import kerasae

SIDE, PATCH, WIDTH, DEPTH, DECODER_DEPTH, HIDDEN = 32, 4, 192, 12, 4, 0.75
POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16"}


def main():
    arguments = parse()
    images = np.random.default_rng(0).integers(0, 256, (arguments.batch, SIDE, SIDE, 3)).astype("uint8")
    variants = [f"{kind}{xla}" for kind in POLICIES for xla in ("", " XLA")]
    steps = {name: step_of(name, images) for name in variants if name.startswith(arguments.only)}
    rates, speeds = {kind: [] for kind in POLICIES}, {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for kind in rates:
            rates[kind].append(matrix_rate("float32" if kind == "fp32" else "bfloat16", repeats=3))
        for name, step in steps.items():
            speeds[name].append(arguments.batch / seconds(step, arguments.steps))
    for name, values in speeds.items():
        rate = statistics.median(rates[name.split()[0]])
        middle = statistics.median(values)
        print(
            f"{name:<9} {middle:6.1f} images/s (median of {len(values)}, fastest {max(values):.1f}): "
            f"{middle * flops() / rate:.0%} of the measured matrix-product rate, {rate / 1e9:.0f} GFLOP/s"
        )


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="variants whose name starts with this")
    return parser.parse_args()


def step_of(name, images):
    """A function that trains one step and waits for its end; compiled and warm."""
    kind, *xla = name.split()
    keras.config.set_dtype_policy(POLICIES[kind])
    keras.utils.set_random_seed(0)
    model = kerasae.models.MaskedAutoencoder(*kerasae.networks.vit_tiny((SIDE, SIDE, 3), PATCH), HIDDEN)
    model.compile(keras.optimizers.AdamW(1e-4, weight_decay=0.05, beta_2=0.95), jit_compile=bool(xla))
    batch = tf.constant(images)
    for _ in range(2):
        model.train_on_batch(batch)
    return lambda: model.train_on_batch(batch)


def seconds(step, count):
    """Seconds of one of `count` steps."""
    began = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - began) / count


def flops():
    """Matrix products of one image's forward and backward pass; a backward pass has two for each of the forward's."""
    patches, values = (SIDE // PATCH) ** 2, PATCH * PATCH * 3
    visible = int(patches * (1 - HIDDEN))
    encoder, decoder = (
        depth * (12 * tokens * WIDTH**2 + 2 * tokens**2 * WIDTH)
        for depth, tokens in ((DEPTH, visible + 1), (DECODER_DEPTH, patches + 1))
    )
    ends = (visible + patches + 1) * values * WIDTH + (visible + 1) * WIDTH**2
    return 6 * (encoder + decoder + ends)


if __name__ == "__main__":
    main()
