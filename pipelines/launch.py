"""Run a command in several processes of this machine, which train one model together."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from kerasae.errors import InputError
from pipelines.command_line.ranges import within

GRACE = 60.0  # seconds for the other processes to end by themselves after one has failed


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Command to run, and number of processes."""

    workers: int = field(default=2, metadata=within("count"))
    """Number of processes; each uses all devices that the command's --devices names."""
    command: tuple[str, ...] = field(default=(), metadata={"positional": True})
    """The command without `kerasae`, after two dashes: -- mae --recipe mae-mnist."""


def run(recipe: Recipe):
    """Start the processes and wait for all of them; if one fails, stop the others."""
    from pipelines.command_line.main import COMMANDS

    if not recipe.command or recipe.command[0] not in COMMANDS or recipe.command[0] == "launch":
        raise InputError(
            "launch: expected a command after two dashes, such as: kerasae launch -- mae --recipe mae-mnist. "
            f"Received: {' '.join(recipe.command) or 'nothing'}"
        )
    processes = [start(i, environment, recipe.command) for i, environment in enumerate(environments(recipe.workers))]
    with forwarded(processes):
        status = wait(processes)
    if status:
        raise SystemExit(status)


def environments(workers):
    """Yield the environment of each process: its TF_CONFIG, which gives every process a free port of this machine."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    for index in range(workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        yield {**os.environ, "TF_CONFIG": json.dumps(config)}


def free_ports(count):
    """Find free TCP ports; another program may take them before they are used."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(index, environment, command):
    """Start one process; the first prints as usual, of the others only stderr is shown, marked with their number."""
    words = [sys.executable, "-m", "pipelines.command_line.main", *command]
    if index == 0:
        return subprocess.Popen(words, env=environment, start_new_session=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    process = subprocess.Popen(words, env=environment, start_new_session=True, **quiet)
    threading.Thread(target=relay, args=(index, process.stderr), daemon=True).start()
    return process


def relay(index, stream):
    for line in stream:
        print(f"[{index}] {line}", end="", file=sys.stderr, flush=True)


def wait(processes):
    """Wait for all processes, after a failure for at most GRACE seconds; return the first exit status that is not 0."""
    deadline = None
    while any(process.poll() is None for process in processes):
        if deadline is None and any(process.poll() for process in processes):
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.1)
    failed = [process.returncode for process in processes if process.returncode]
    return abs(failed[0]) if failed else 0


@contextmanager
def forwarded(processes):
    """Forward Ctrl-C and SIGTERM to every process, which saves and ends; a second Ctrl-C ends them at once."""

    def forward(number, frame):
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {n: signal.signal(n, forward) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
