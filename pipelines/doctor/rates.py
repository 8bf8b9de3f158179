"""Measure how fast each kind of device multiplies matrices, in each precision."""

import time

from kerasae.training import devices
from kerasae.training.precision import POLICIES
from pipelines.doctor.finding import Finding

SMALLEST, LARGEST = 256, {"CPU": 2048, "GPU": 8192}
BUDGET = 0.3  # seconds of multiplying that a measurement aims at
CLEARLY = 1.5  # factor by which a precision must be faster to be recommended


def check():
    """Measure the matrix rates of the CPU and the first GPU, in GFLOP/s, and compare them with `--precision auto`."""
    import tensorflow as tf

    kinds = [kind for kind in LARGEST if tf.config.list_physical_devices(kind)]
    measured = {kind: {precision: measure(kind, precision) for precision in POLICIES} for kind in kinds}
    return judge(measured, "bfloat16" if devices.multiply_bfloat16() else "float32")


def judge(measured, auto):
    """Name the rates (kind → precision → FLOP/s), what `auto` chooses, and what is faster on the device that trains."""
    parts = [f"{kind} {', '.join(f'{p} {rate / 1e9:,.0f}' for p, rate in by.items())}" for kind, by in measured.items()]
    last = list(measured.values())[-1]
    other = "float32" if auto == "bfloat16" else "bfloat16"
    says = f"GFLOP/s: {'; '.join(parts)}. `--precision auto` is {auto} here"
    faster = last[other] > CLEARLY * last[auto]
    return Finding("products", True, says, f"`--precision {other}` multiplies faster here; try it" if faster else "")


def measure(kind, precision):
    """Return the FLOP/s of a square matrix product, of the largest size that the budget allows."""
    import tensorflow as tf

    size = SMALLEST
    with tf.device(f"{kind}:0"):
        while True:
            seconds = product_seconds(size, precision, 1)
            if size == LARGEST[kind] or 8 * seconds > BUDGET / 2:
                break
            size *= 2
        repeats = max(1, int(BUDGET / max(seconds, 1e-6)))
        return 2 * size**3 / product_seconds(size, precision, min(repeats, 50))


def product_seconds(size, precision, repeats):
    """Return the mean seconds of so many products [size, size] × [size, size], after one that does not count."""
    import tensorflow as tf

    a = tf.cast(tf.random.stateless_normal((size, size), (0, 0)), precision)
    (a @ a)[0, 0].numpy()
    began = time.perf_counter()
    for _ in range(repeats):
        product = a @ a
    product[0, 0].numpy()  # waits for all
    return (time.perf_counter() - began) / repeats
