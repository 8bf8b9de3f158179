"""Prepare batches for trainings on other machines, which name this one with --data-workers host:port, until Ctrl-C.

For GPUs that take more images than the cores of their machine can read and decode. Trainings send the tf.data graph to
run, and files are read here under the same paths, so storage must be shared. The process listens on all networks of the
machine, and whoever can reach its two ports can make it read, write and compute: use a firewall.
"""

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from kerasae.errors import InputError
from pipelines.command_line.ranges import within

LOOK_SECONDS = 5.0  # between two checks of a training's data workers
SILENT = 3  # failed checks in a row after which the training ends
AGAIN = "start it and this command again: training resumes from the newest checkpoint"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Address at which trainings reach this process."""

    port: int = field(default=5050, metadata=within("port"))
    """Port to which trainings connect; batches are sent from the next higher port."""
    host: str | None = None
    """Name or address of this machine, as trainings can reach it; its host name when not given."""


def run(recipe: Recipe):
    """Serve batches until Ctrl-C or SIGTERM."""
    host, ended = recipe.host or socket.gethostname(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    servers = serve(recipe.port, host)
    print(f"preparing batches for --data-workers {host}:{recipe.port}; Ctrl-C ends it", flush=True)
    ended.wait()
    del servers


def serve(port, host):
    """Start the dispatcher and the worker of a tf.data service; both stop when they are deleted."""
    import tensorflow as tf

    service = tf.data.experimental.service
    tf.config.set_visible_devices([], "GPU")  # trainings on this machine need the GPUs
    check_known(host)
    check_free(port, port + 1)
    try:
        dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
        return dispatcher, service.WorkerServer(
            service.WorkerConfig(f"localhost:{port}", worker_address=f"{host}:{port + 1}", port=port + 1)
        )
    except tf.errors.OpError as error:
        raise InputError(f"port: {port} and {port + 1} must be free: {error.message.splitlines()[0][:200]}") from None


def check_known(host):
    """Raise InputError for a host name that this machine cannot resolve: a training would wait for it for ever."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        raise InputError(
            f"host: expected a name or address of this machine. Received: {host!r}, which cannot be resolved"
        ) from None


def check_free(*ports):
    """Raise InputError for a port in use: TensorFlow would share it, and both processes would answer."""
    for port in ports:
        try:
            socket.create_server(("", port)).close()
        except OSError as error:
            raise InputError(f"port: {port} is not free: {error.strerror}") from None


# ---- in the training


@contextmanager
def watched(workers):
    """End this process when a data worker is lost: TensorFlow would wait for an hour and ignore all signals."""
    ended = threading.Event()
    if workers:
        threading.Thread(target=watch, args=(workers, ended), daemon=True).start()
    try:
        with answering(workers):
            yield
    finally:
        ended.set()


def watch(workers, ended):
    """Check every data worker periodically; end this process after SILENT failed checks of one."""
    from concurrent.futures import ThreadPoolExecutor

    silent = dict.fromkeys(workers, 0)
    with ThreadPoolExecutor(len(workers)) as pool:
        while not ended.wait(LOOK_SECONDS):
            for address, there in zip(workers, pool.map(answers, workers), strict=True):
                silent[address] = 0 if there else silent[address] + 1
            if lost := [address for address, times in silent.items() if times >= SILENT]:
                print(
                    f"kerasae: error: the data worker at {lost[0]} no longer answers; {AGAIN}",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(2)


def answers(address):
    """Tell whether both ports of a data worker accept connections."""
    from kerasae.data.served import doors, reach

    try:
        for door in doors(address):
            reach(door)
    except InputError:
        return False
    return True


@contextmanager
def answering(workers):
    """Turn TensorFlow's errors about a data worker that failed or was restarted into an InputError."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.NotFoundError, tf.errors.UnavailableError, tf.errors.FailedPreconditionError) as error:
        if not workers:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"a data worker sent no batch ({reason[:300]}); {AGAIN}") from error
