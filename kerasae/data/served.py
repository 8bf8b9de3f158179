"""Batches that other processes prepare, on machines with cores to spare, by the tf.data service."""

import socket
from collections.abc import Callable, Sequence

import tensorflow as tf

from kerasae.errors import InputError

ANSWER_SECONDS = 10.0


def in_turn(prepared: Callable[[int, int], tf.data.Dataset], first: int, workers: Sequence[str]) -> tf.data.Dataset:
    """Batch after batch from one data worker after the other, so that their order is what it is without them.

    Args:
        prepared: function of a step and a stride → the batches of that step and of every stride-th after it.
        first: the step of the first batch.
        workers: addresses host:port of tf.data services, such as of `kerasae data-worker`, which find files under the
            same paths as this process.

    Raises:
        InputError: a worker does not answer.
    """
    service = tf.data.experimental.service
    parts = []
    for place, address in enumerate(workers):
        reach(address)
        own = prepared(first + place, len(workers))
        parts.append(own.apply(service.distribute(service.ShardingPolicy.OFF, f"grpc://{address}")))
    return tf.data.Dataset.choose_from_datasets(parts, tf.data.Dataset.range(len(parts)).repeat())


def reach(address: str) -> None:
    """Raise InputError unless somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"data_workers: expected host:port, such as feeder-1:5050. Received: {address!r}")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"data_workers: nobody answers at {address} ({error}); start `kerasae data-worker --port {port}` there"
        ) from None
