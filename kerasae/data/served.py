"""Batches that other processes prepare, on machines with cores to spare, by the tf.data service."""

import socket
from collections.abc import Callable, Sequence

import tensorflow as tf

from kerasae.errors import InputError

ANSWER_SECONDS = 2.0


def in_turn(prepared: Callable[[int, int], tf.data.Dataset], first: int, workers: Sequence[str]) -> tf.data.Dataset:
    """Batch after batch from one data worker after the other, so that their order is what it is without them.

    Args:
        prepared: function of a step and a stride → the batches of that step and of every stride-th after it.
        first: the step of the first batch.
        workers: addresses host:port of `kerasae data-worker`, each with the port behind it; they find files under the
            same paths as this process.

    Raises:
        InputError: a worker does not answer.
    """
    service = tf.data.experimental.service
    parts = []
    for place, address in enumerate(workers):
        for door in doors(address):
            reach(door)
        own = prepared(first + place, len(workers))
        parts.append(own.apply(service.distribute(service.ShardingPolicy.OFF, f"grpc://{address}")))
    return tf.data.Dataset.choose_from_datasets(parts, tf.data.Dataset.range(len(parts)).repeat())


def doors(address: str) -> list[tuple[str, int]]:
    """Where the service of an address host:port listens: there it is asked, and batches leave by the next port."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65535:
        raise InputError(f"data_workers: expected host:port, such as feeder-1:5050. Received: {address!r}")
    return [(host, int(port)), (host, int(port) + 1)]


def reach(door: tuple[str, int]) -> None:
    """Raise InputError unless somebody listens at a host and port."""
    host, port = door
    try:
        socket.create_connection(door, ANSWER_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"data_workers: nobody answers at {host}:{port} ({error}); is `kerasae data-worker` running there?"
        ) from None
