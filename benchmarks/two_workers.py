"""Measure the share of a training step that two processes of this machine spend on summing gradients.

    python benchmarks/two_workers.py [--workers 2] [--rounds 9] [--steps 6] [--batch 128] [--size tiny]

Each process trains a ViT-T masked autoencoder, 192×12 with patches of 4 at 32×32, on its part of the batch, by the step
of the pipelines. The same step without the sum runs in turns with it in the same processes. Only the share of the sum
is of interest: processes that share the cores of one machine train no faster than one process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from overhead import SIZES, model_of, split_of

from kerasae.training import devices


def main():
    arguments = parse()
    devices.use_onednn()
    if "TF_CONFIG" in os.environ:
        return work(arguments)
    from pipelines import launch

    command = [sys.executable, __file__, *sys.argv[1:]]
    started = [subprocess.Popen(command, env={**os.environ, **e}) for e in launch.environments(arguments.workers)]
    sys.exit(max(process.wait() for process in started))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=6, help="steps of a round")
    parser.add_argument("--batch", type=int, default=128, help="images of a step, of all processes together")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.set_defaults(precision="float32")
    return parser.parse_args()


def work(arguments):
    """Time the steps in one process; the first process prints."""
    from kerasae.training import guard, processes

    with devices.scope("cpu"):
        runs = {"summed": stepper(arguments)}
        guard.sum_over_replicas = list
        runs["apart"] = stepper(arguments)
        times = {name: [] for name in runs}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                processes.wait()
                times[name].append(run())
        if processes.writes():
            print(verdict(times))


def stepper(arguments):
    """Build a function that runs the steps of a round and returns the seconds of a step."""
    import tensorflow as tf

    import kerasae
    from kerasae.training import processes
    from kerasae.training.guard import guarded

    model, split = model_of(arguments), split_of(arguments)
    model.build_training()
    step, strategy = tf.autograph.experimental.do_not_convert(guarded(model)), processes.strategy()
    iterator = iter(processes.data(lambda **parts: kerasae.data.batches(split, arguments.batch, seed=0, **parts)))

    @tf.function
    def steps(iterator, n):
        norm = tf.constant(0.0)
        for _ in tf.range(n):
            found = strategy.run(step, args=(next(iterator),))
            norm = strategy.experimental_local_results(found["norm"])[0]
        return norm

    def run(n=arguments.steps):
        began = time.perf_counter()
        float(steps(iterator, tf.constant(n)))
        return (time.perf_counter() - began) / n

    run(1)
    return run


def verdict(times):
    """Format the median step times and the all-reduce's share of a step."""
    summed, apart = (statistics.median(times[name]) for name in ("summed", "apart"))
    share = 1 - statistics.median(a / s for a, s in zip(times["apart"], times["summed"], strict=True))
    return f"a step {1e3 * summed:.0f} ms, without the sum {1e3 * apart:.0f} ms: all-reduce {share:.1%} of a step"


if __name__ == "__main__":
    main()
