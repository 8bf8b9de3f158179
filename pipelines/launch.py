"""Run a command in several processes of this machine that train one model together."""

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

GRACE = 60.0  # seconds that the other processes have to end by themselves after one has failed


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to run, and how often."""

    workers: int = field(default=2, metadata=within("count"))
    """Processes. Each uses all devices that --devices of the command gives it."""
    command: tuple[str, ...] = field(default=(), metadata={"positional": True})
    """The command without `kerasae`, after two dashes: -- mae --recipe mae-mnist."""


def run(recipe: Recipe):
    """Start the processes, wait for all of them, and stop the others where one fails."""
    from pipelines.command_line.main import COMMANDS

    if not recipe.command or recipe.command[0] not in COMMANDS or recipe.command[0] == "launch":
        raise InputError(
            f"launch: write the command after two dashes: {' or '.join(list(COMMANDS)[:4])} … "
            f"Received: {' '.join(recipe.command) or 'nothing'}"
        )
    processes = [start(i, environment, recipe.command) for i, environment in enumerate(environments(recipe.workers))]
    with forwarded(processes):
        status = wait(processes)
    if status:
        raise SystemExit(status)


def environments(workers):
    """The environment of each process: TF_CONFIG with a free port of this machine for each."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    for index in range(workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        yield {**os.environ, "TF_CONFIG": json.dumps(config)}


def free_ports(count):
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(index, environment, command):
    """One process; the first speaks for all, of the others only what goes wrong is shown, with their number."""
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
    """The first status that is not 0, or 0; when one process fails, the others get GRACE seconds to follow."""
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
    """Ctrl-C and SIGTERM go to every process, which save and end; a second Ctrl-C ends them at once."""

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
