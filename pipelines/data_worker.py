"""Prepare batches for trainings on other machines, until Ctrl-C: they name this one with --data-workers host:port.

For machines whose GPUs want more images than their own cores can read and decode. Trainings send what is to be done,
and files are read here under the same paths, so storage must be shared. It listens on all networks of the machine, and
whoever can reach its two ports can have it read, write and compute: use a firewall.
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

LOOK_SECONDS = 5.0  # between two looks at the workers of a training;
SILENT = 3  # so many in vain, and it ends
AGAIN = "start it and this command again: training goes on from the newest checkpoint"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where trainings find this process."""

    port: int = field(default=5050, metadata=within("port"))
    """Port that trainings ask at; what was prepared leaves by the next one."""
    host: str | None = None
    """Name or address that trainings are told; it must lead them to this machine, whose own name it is when not
    given."""


def run(recipe: Recipe):
    """Serve until Ctrl-C or SIGTERM."""
    host, ended = recipe.host or socket.gethostname(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    servers = serve(recipe.port, host)
    print(f"preparing batches for --data-workers {host}:{recipe.port}; Ctrl-C ends it", flush=True)
    ended.wait()
    del servers


def serve(port, host):
    """The two servers of a tf.data service: one answers, the other works. They live as long as they are kept."""
    import tensorflow as tf

    service = tf.data.experimental.service
    tf.config.set_visible_devices([], "GPU")  # trainings on this machine need them
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
    """Raise InputError for a name that not even this machine knows: a training that is told it would wait for ever."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        raise InputError(f"host: nothing is known under {host!r}; give the name or address of this machine") from None


def check_free(*ports):
    """Raise InputError for a port that another process has: TensorFlow would share it, and both would answer."""
    for port in ports:
        try:
            socket.create_server(("", port)).close()
        except OSError as error:
            raise InputError(f"port: {port} is not free: {error.strerror}") from None


# ---- in the training


@contextmanager
def watched(workers):
    """End this process where a data worker has gone: TensorFlow would wait for it for an hour, deaf to all signals."""
    ended = threading.Event()
    if workers:
        threading.Thread(target=watch, args=(workers, ended), daemon=True).start()
    try:
        with answering(workers):
            yield
    finally:
        ended.set()


def watch(workers, ended):
    """Look at every worker again and again; end the process when one was silent so often."""
    from concurrent.futures import ThreadPoolExecutor

    silent = dict.fromkeys(workers, 0)
    with ThreadPoolExecutor(len(workers)) as pool:
        while not ended.wait(LOOK_SECONDS):
            for address, there in zip(workers, pool.map(answers, workers), strict=True):
                silent[address] = 0 if there else silent[address] + 1
            if gone := [address for address, times in silent.items() if times >= SILENT]:
                print(f"kerasae: error: the data worker at {gone[0]} has gone; {AGAIN}", file=sys.stderr, flush=True)
                os._exit(2)


def answers(address):
    """Whether both doors of a data worker are open."""
    from kerasae.data.served import doors, reach

    try:
        for door in doors(address):
            reach(door)
    except InputError:
        return False
    return True


@contextmanager
def answering(workers):
    """Turn what TensorFlow says of a worker that cannot serve, or was started anew, into an InputError."""
    import tensorflow as tf

    try:
        yield
    except (tf.errors.NotFoundError, tf.errors.UnavailableError, tf.errors.FailedPreconditionError) as error:
        if not workers:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"no batch came from a data worker ({reason[:300]}); {AGAIN}") from error
