"""Measure the time of an all-reduce between processes: --network-rate and --hop-seconds of `kerasae plan`.

    python benchmarks/all_reduce.py [--workers 2] [--rounds 7] [--wait]   # processes on this machine, over its loopback
    TF_CONFIG=… python benchmarks/all_reduce.py                           # one process on each of several machines

Fits seconds = bytes sent / rate + hops · delay, to the median times of several sizes, with
2 (N − 1) / N · size bytes sent by each process and 2 (N − 1) hops, as `kerasae plan` counts them. The fit minimises
squared relative errors, with both coefficients ≥ 0.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from pipelines.planner.wire import ring

SIZES = [1 << 12, 1 << 20, 1 << 22, 1 << 24, 1 << 26]
"""Bytes of the summed vectors."""


def main():
    arguments = parse()
    if "TF_CONFIG" in os.environ:
        return work(arguments)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(arguments.workers)]
    workers = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    processes = [start(workers, index) for index in range(arguments.workers)]
    sys.exit(max(process.wait() for process in processes))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--wait", action="store_true", help="wait for a line on standard input before timing")
    return parser.parse_args()


def start(workers, index):
    """Start a worker on this machine."""
    task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
    return subprocess.Popen([sys.executable, __file__, *sys.argv[1:]], env=environment)


def work(arguments):
    """Time the all-reduces in one process; the first process prints."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    sums = [summing(strategy, size) for size in SIZES]
    for add in sums:
        add()
    first = json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
    if arguments.wait and first:  # the next sum makes the others wait for the first
        print("ready", flush=True)
        sys.stdin.readline()
    sums[0]()
    times = [[] for _ in sums]
    for _ in range(arguments.rounds):
        for add, taken in zip(sums, times, strict=True):
            began = time.perf_counter()
            add()
            taken.append(time.perf_counter() - began)
    if first:
        report(strategy.num_replicas_in_sync, [statistics.median(taken) for taken in times])


def summing(strategy, size):
    """Build a function that all-reduces `size` bytes over all processes and waits for the result."""
    import tensorflow as tf

    values = tf.ones(size // 4)

    @tf.function
    def add():
        return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", values))

    return lambda: strategy.experimental_local_results(add())[0].numpy()


def report(members, seconds):
    """Print measured and fitted times, and the flags for a plan."""
    import numpy as np
    from scipy.optimize import nnls

    rows = np.array([[ring(size, members), 2 * (members - 1)] for size in SIZES], "float64")
    weighted = rows / np.array(seconds)[:, None]
    scale = weighted.max(axis=0)
    found = nnls(weighted / scale, np.ones(len(rows)))[0] / scale
    print("| bytes summed | sent by each | measured, ms | fitted, ms | error |\n|---|---|---|---|---|")
    for size, row, taken in zip(SIZES, rows, seconds, strict=True):
        fitted = row @ found
        print(f"| {size:,} | {row[0]:,.0f} | {1e3 * taken:.2f} | {1e3 * fitted:.2f} | {fitted / taken - 1:+.0%} |")
    rate = 1 / found[0] if found[0] else float("inf")
    print(f"{members} workers: --network-rate {rate:.4g} --hop-seconds {found[1]:.3g}")


if __name__ == "__main__":
    main()
