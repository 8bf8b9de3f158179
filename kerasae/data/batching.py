"""From a split to batches: shuffle, gather, augment, in one chain that is a pure function of the step.

Because batch s depends on (seed, s) only, training that stopped after k steps continues exactly with
`start_step=k`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kerasae.data.checks import SEED_LIMIT, seed_number, whole
from kerasae.data.crops import leading_crop
from kerasae.data.served import in_turn
from kerasae.errors import InputError

PREFETCH = 2

plain_python = tf.autograph.experimental.do_not_convert  # to rewrite a function for TensorFlow takes seconds


def batches(
    split,
    batch_size: int,
    *,
    seed: int,
    start_step: int = 0,
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    mix: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None,
    replicas: int = 1,
    own: range | None = None,
    passes: int = 1,
    workers: Sequence[str] = (),
    labels: bool = True,
) -> tf.data.Dataset:
    """Endless shuffled batches `(images [B, ...], labels [B] int64)`, a pure function of (seed, step).

    Step s belongs to epoch s // steps_per_epoch; an epoch visits its examples in the order of one
    permutation, the pseudo-random bijection `tf.random.experimental.index_shuffle` keyed by (seed, epoch),
    and drops the rest that does not fill a batch. The batch is clipped to the length of the split.

    Args:
        split: a `Split`.
        batch_size: examples per step.
        seed: 0 to 2**31 - 1.
        start_step: the first step to give, for resuming.
        augment: `augment(images, seeds) -> images`, with `seeds` int32 [B, 2] = (seed, number of the sample
            since step 0): it must be stateless.
        mix: `mix(images, labels, seeds) -> images, targets`, after `augment`, such as `kerasae.data.Mixing`; the
            batches then hold its targets [B, K] in place of labels. As it sees the whole batch, every machine
            prepares the whole batch for it.
        replicas: equal parts that each batch is cut into, one for a device; it must divide the batch.
        own: numbers of the parts that are given, one element each, all of them by default. Other parts are not read.
        passes: equal parts that a device cuts its part into again, one after the other (`micro_batches` of `compile`).
            Examples are dealt so that all devices together make each pass on those that a single device would.
        workers: addresses host:port of tf.data services that prepare the batches in turn; none for this process.
        labels: False for batches `(images,)`, which a model without labels takes.

    Raises:
        InputError: an argument is out of range, or a worker does not answer.

    Example:
        >>> data = kerasae.data.batches(source.train, 64, seed=0)
        >>> images, labels = next(iter(data))
    """
    batch = _clip(split, batch_size)
    seed = seed_number(seed)
    whole("start_step", start_step, 0, 2**40)
    own = _own(batch, replicas, own, passes)
    for name, function, form in (
        ("augment", augment, "(images, seeds) -> images"),
        ("mix", mix, "(images, labels, seeds) -> images, targets"),
    ):
        if function is not None and not callable(function):
            raise InputError(f"{name}: expected a function {form}, or None; received {function!r}.")

    crop, rest = leading_crop(augment) if split.encoded else (None, augment)
    size = batch // replicas
    places = _dealt(batch, replicas, passes)[own.start * size : own.stop * size]

    def ours(x):
        return x if replicas == 1 else tf.gather(x, places)

    @plain_python
    def at(step):
        seeds, rows = _sample_seeds(step, batch, seed), _shuffled(step, batch, len(split), seed)
        if mix is None:
            seeds, rows = ours(seeds), ours(rows)
        images, given = split.gather(rows, crop, seeds)
        if rest is not None:
            images = rest(images, seeds)
        found = (images, given) if mix is None else tuple(ours(x) for x in mix(images, given, seeds))
        return found if labels else found[:1]

    # How many cores a data worker has only its own TensorFlow knows.
    calls = tf.data.AUTOTUNE if workers else split.parallel_calls

    def prepared_from(first, stride=1):
        return tf.data.Dataset.counter(first, stride).map(at, num_parallel_calls=calls, deterministic=True)

    if workers and not split.portable:
        raise InputError(
            "data_workers: records of tfds, arrays of more than a gibibyte, and images that need Pillow (anything but "
            "JPEG and opaque PNG of 8 bits) are read by this process only; give a folder of such images."
        )
    prepared = in_turn(prepared_from, start_step, workers) if workers else prepared_from(start_step)
    return _plain(prepared if replicas == 1 else _cut(prepared, len(own), size))


def in_order(split, batch_size: int, labels: bool = True) -> tf.data.Dataset:
    """Every example once, in order, as `(images [B, ...], labels [B])`, or `(images,)`; the last may be smaller."""
    batch, count = _clip(split, batch_size), len(split)

    @plain_python
    def at(start):
        found = split.gather(tf.range(start, tf.minimum(start + batch, count)))
        return tuple(found) if labels else tuple(found)[:1]

    starts = tf.data.Dataset.range(0, count, batch)
    return _plain(starts.map(at, num_parallel_calls=split.parallel_calls, deterministic=True))


def steps_per_epoch(split, batch_size: int) -> int:
    """Full batches in one pass over the split, at least 1."""
    return len(split) // _clip(split, batch_size)


def _clip(split, batch_size: int) -> int:
    if not hasattr(split, "gather"):
        raise InputError(f"split: expected a Split such as load(…).train; received {type(split).__name__}; choose one.")
    return min(whole("batch_size", batch_size, 1), len(split))


def _own(batch: int, replicas: int, own: range | None, passes: int) -> range:
    """The parts to give, as a range within `replicas`."""
    parts = whole("replicas", replicas, 1) * whole("passes", passes, 1)
    if batch % parts:
        among = f"{replicas} device{'s'[: replicas > 1]}" + (f" in {passes} passes" if passes > 1 else "")
        raise InputError(
            f"batch_size: a batch of {batch} examples cannot be shared evenly by {among}; give a multiple of {parts}."
        )
    own = range(replicas) if own is None else own
    if own.step != 1 or not 0 <= own.start < own.stop <= replicas:
        raise InputError(f"own: expected consecutive numbers from 0 to {replicas - 1}; received {own}.")
    return own


def _dealt(batch: int, replicas: int, passes: int) -> np.ndarray:
    """Places [B] in the batch, device by device; each device's are its parts of the passes, in turn."""
    return np.arange(batch).reshape(passes, replicas, -1).swapaxes(0, 1).reshape(-1)


def _cut(dataset: tf.data.Dataset, parts: int, size: int) -> tf.data.Dataset:
    """Each batch as `parts` elements of `size` examples, in order."""
    return dataset.map(lambda *batch: [tf.reshape(x, [parts, size, *x.shape[1:]]) for x in batch]).unbatch()


def _shuffled(step: tf.Tensor, batch: int, count: int, seed: int) -> tf.Tensor:
    """Indices [B] of the examples of a step."""
    steps = count // batch
    positions = (step % steps) * batch + tf.range(batch, dtype=tf.int64)
    return tf.random.experimental.index_shuffle(positions, tf.stack([seed, step // steps]), count - 1)


def _sample_seeds(step: tf.Tensor, batch: int, seed: int) -> tf.Tensor:
    """Seeds int32 [B, 2] of the samples of a step; the counter wraps around after 2**31 samples."""
    counter = (step * batch + tf.range(batch, dtype=tf.int64)) % SEED_LIMIT
    return tf.stack([tf.fill([batch], tf.constant(seed, tf.int32)), tf.cast(counter, tf.int32)], axis=1)


def _plain(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Fix parallelism and prefetch by hand: tf.data's autotuner can delay an iterator's end by a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.prefetch(PREFETCH).with_options(options)
