"""Prepare batches for trainings on other machines, until Ctrl-C: they name this one with --data-workers host:port.

For machines whose GPUs want more images than their own cores can read and decode. Trainings send what is to be done,
and files are read here under the same paths, so storage must be shared. Whoever can reach the port can have this
process read and compute: listen only where everybody is trusted.
"""

import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from kerasae.errors import InputError
from pipelines.ranges import within

LOOK_SECONDS = 5.0  # between two looks at the workers of a training;
SILENT = 3  # so many in vain, and it ends


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where to listen."""

    port: int = field(default=5050, metadata=within("port"))
    """Port that trainings ask at; what was prepared leaves by the next one."""
    host: str | None = None
    """Name or address under which trainings reach this machine; its own name when not given."""


def run(recipe: Recipe):
    """Serve until Ctrl-C or SIGTERM."""
    host = recipe.host or own_name()
    servers = serve(recipe.port, host)
    print(f"preparing batches for --data-workers {host}:{recipe.port}; Ctrl-C ends it", flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    del servers


def own_name():
    """The name of this machine in its network."""
    import socket

    return socket.gethostname()


def serve(port, host):
    """The two servers of a tf.data service: one answers, the other works. They live as long as they are kept."""
    import tensorflow as tf

    service = tf.data.experimental.service
    tf.config.set_visible_devices([], "GPU")  # trainings on this machine need them
    try:
        dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
        return dispatcher, service.WorkerServer(
            service.WorkerConfig(f"localhost:{port}", worker_address=f"{host}:{port + 1}", port=port + 1)
        )
    except tf.errors.OpError as error:
        raise InputError(f"port: {port} and {port + 1} must be free: {error.message.splitlines()[0][:200]}") from None


# ---- in the training


@contextmanager
def watched(workers):
    """End this process where a data worker has gone: TensorFlow would wait for it for an hour, deaf to all signals."""
    ended = threading.Event()
    threading.Thread(target=watch, args=(workers, ended), daemon=True).start()
    try:
        with answering(workers):
            yield
    finally:
        ended.set()


def watch(workers, ended):
    """Look at every worker again and again; end the process when one was silent so often."""
    from kerasae.data.served import reach

    silent = dict.fromkeys(workers, 0)
    while workers and not ended.wait(LOOK_SECONDS):
        for address in workers:
            try:
                reach(address)
                silent[address] = 0
            except InputError:
                silent[address] += 1
        if gone := [address for address, times in silent.items() if times >= SILENT]:
            print(f"kerasae: error: {lost(gone[0])}", file=sys.stderr, flush=True)
            os._exit(2)


@contextmanager
def answering(workers):
    """Turn what TensorFlow says of a worker that was started anew into an InputError."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.NotFoundError, tf.errors.UnavailableError, tf.errors.FailedPreconditionError) as error:
        if not workers:
            raise
        raise InputError(lost(" or ".join(workers))) from error


def lost(address):
    return (
        f"the data worker at {address} has gone, or another has come in its place; start it and this command again: "
        "training goes on from the newest checkpoint"
    )
