"""Batches and splits: the order against a scalar transcription, resuming bit for bit, one copy of data."""

import numpy as np
import pytest
import tensorflow as tf

from kerasae.data import batches, in_order, load, steps_per_epoch
from kerasae.data.splits import ArrayStore, Split
from kerasae.errors import InputError


def numbered(count, labelled=True):
    """A split whose example i is the number i, so that batches show what was drawn."""
    images = np.arange(count, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    return Split(ArrayStore(images), np.arange(count) % 7 if labelled else None)


def taken(dataset, count):
    return [(images.numpy(), labels.numpy()) for images, labels in dataset.take(count)]


def noisy(images, seeds):
    return images + tf.cast(seeds, tf.float32) @ [[0.0], [1e-3]]


def test_order_is_the_documented_function_of_seed_epoch_and_position():
    count, batch, seed = 23, 5, 9
    drawn = taken(batches(numbered(count), batch, seed=seed), 9)
    for step, (images, labels) in enumerate(drawn):
        epoch, position = divmod(step, count // batch)
        expected = [
            int(tf.random.experimental.index_shuffle(position * batch + i, [seed, epoch], count - 1))
            for i in range(batch)
        ]
        np.testing.assert_array_equal(images[:, 0], expected)
        np.testing.assert_array_equal(labels, np.asarray(expected) % 7)


@pytest.mark.parametrize(("count", "batch"), [(23, 5), (20, 5), (7, 7), (1, 1)])
def test_an_epoch_repeats_no_example_and_epochs_differ(count, batch):
    steps = count // batch
    seen = np.concatenate([images[:, 0] for images, _ in taken(batches(numbered(count), batch, seed=0), 2 * steps)])
    first, second = np.split(seen, 2)
    assert len(set(first)) == len(set(second)) == steps * batch
    assert set(seen) <= set(range(count))
    assert count == 1 or list(first) != list(second)


def test_starting_at_a_step_continues_bit_for_bit_across_epochs_with_augmentation():
    split = numbered(23)
    whole = taken(batches(split, 5, seed=4, augment=noisy), 12)
    for start in (1, 4, 7):
        later = taken(batches(split, 5, seed=4, start_step=start, augment=noisy), 12 - start)
        for (a, b), (c, d) in zip(whole[start:], later, strict=True):
            assert a.tobytes() == c.tobytes() and b.tobytes() == d.tobytes()


def mirrored(images, labels, seeds):
    """A mixing: every example with its mirror place in the batch."""
    return images + 100 * tf.reverse(images, [0]), tf.cast(seeds, tf.float32)


@pytest.mark.parametrize("mix", [None, mirrored])
def test_parts_of_batches_for_devices(mix):
    """Machines of one, two and three devices together get the batches that a single device gets, and no more."""
    options = {"seed": 4, "augment": noisy, "mix": mix, "start_step": 2}
    split = numbered(40)
    whole = taken(batches(split, 12, **options), 5)
    machines = [range(0, 1), range(1, 3), range(3, 6)]
    parts = [taken(batches(split, 12, **options, replicas=6, own=own), 5 * len(own)) for own in machines]
    for step, batch in enumerate(whole):
        shared = [p for own, part in zip(machines, parts, strict=True) for p in part[step * len(own) :][: len(own)]]
        for k in (0, 1):
            np.testing.assert_array_equal(np.concatenate([p[k] for p in shared]), batch[k])


@pytest.mark.parametrize("mix", [None, mirrored])
def test_devices_make_each_pass_on_the_examples_of_a_single_device(mix):
    options = {"seed": 4, "augment": noisy, "mix": mix, "passes": 2}
    split = numbered(40)
    whole = taken(batches(split, 12, **options), 3)
    first, second = (taken(batches(split, 12, **options, replicas=2, own=range(i, i + 1)), 3) for i in (0, 1))
    for alone, one, other in zip(whole, first, second, strict=True):
        for k in (0, 1):
            passes = zip(np.split(alone[k], 2), np.split(one[k], 2), np.split(other[k], 2), strict=True)
            for expected, *parts in passes:
                np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"replicas": 3, "passes": 8}, "12 examples cannot be shared evenly by 3 devices in 8 passes; give a multiple"),
        ({"replicas": 5}, "batch_size: a batch of 12 .* 5 devices; give a multiple of 5"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": 2, "own": range(1, 3)}, "own: expected consecutive numbers from 0 to 1"),
        ({"replicas": 2, "own": range(0)}, "own"),
    ],
)
def test_parts_that_cannot_be(options, says):
    with pytest.raises(InputError, match=says):
        batches(numbered(40), 12, seed=0, **options)


def test_seeds_differ_and_augmentation_gets_seed_and_sample_counter():
    split = numbered(64)
    a, b = (taken(batches(split, 16, seed=seed), 1)[0][0] for seed in (1, 2))
    assert not np.array_equal(a, b)
    seeds = []
    for images, _ in batches(split, 16, seed=2**31 - 1, start_step=3, augment=lambda x, s: s).take(2):
        assert images.dtype == tf.int32
        seeds.append(images.numpy())
    seeds = np.concatenate(seeds)
    assert set(seeds[:, 0]) == {2**31 - 1}
    np.testing.assert_array_equal(seeds[:, 1], np.arange(48, 80))


def test_the_batch_is_clipped_static_and_endless():
    dataset = batches(numbered(6), 100, seed=0)
    assert dataset.element_spec[0].shape == (6, 3)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert steps_per_epoch(numbered(6), 100) == 1
    assert steps_per_epoch(numbered(23), 5) == 4


def test_autotune_is_off_everywhere():
    source = load("digits")
    datasets = [batches(source.train, 8, seed=0), in_order(source.train, 8), source.tfdata("test")]
    assert [dataset.options().autotune.enabled for dataset in datasets] == [False] * 3


def test_in_order_gives_everything_once_with_the_rest():
    drawn = list(in_order(numbered(11), 4))
    assert [len(images) for images, _ in drawn] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([images[:, 0] for images, _ in drawn]), np.arange(11))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in drawn]), np.arange(11) % 7)


def test_subset_of_a_subset_and_arrays():
    split = numbered(50).subset(np.array([9, 3, 40, 8])).subset(np.array([2, 0, 2]))
    x, y = split.arrays()
    np.testing.assert_array_equal(x[:, 0], [40, 9, 40])
    np.testing.assert_array_equal(y, [5, 2, 5])
    np.testing.assert_array_equal(split.labels, y)
    images, labels = split.gather(tf.constant([1]))
    assert (images.numpy()[0, 0], labels.numpy()[0]) == (9, 2)


def test_arrays_are_copies_that_a_user_may_change():
    split = numbered(4)
    x, y = split.arrays()
    x[:], y[:] = -1, -1
    np.testing.assert_array_equal(split.arrays()[0][:, 0], np.arange(4))
    np.testing.assert_array_equal(split.arrays()[1], np.arange(4))


def test_without_labels_gather_says_minus_one():
    split = numbered(5, labelled=False)
    assert split.gather([0, 4])[1].numpy().tolist() == [-1, -1]
    assert split.arrays()[1] is None and split.subset(np.array([1])).labels is None


def test_the_data_is_not_copied_into_the_graph():
    split = Split(ArrayStore(np.zeros((1000, 1000), np.uint8)))
    graph = tf.function(split.gather).get_concrete_function(tf.TensorSpec([None], tf.int64)).graph
    assert len(graph.as_graph_def().SerializeToString()) < 20_000


@pytest.mark.parametrize("indices", [[], [[0]], [0.5], [-1], [5]])
def test_subset_refuses_indices_outside(indices):
    with pytest.raises(InputError, match="indices"):
        numbered(5).subset(np.array(indices))


def test_a_whole_source_is_no_split():
    with pytest.raises(InputError, match="split: expected a Split .*received Source"):
        batches(load("digits"), 8, seed=0)


def test_labels_cannot_be_changed_behind_the_graph():
    with pytest.raises(ValueError, match="read-only"):
        numbered(5).labels[0] = 3


@pytest.mark.parametrize(
    ("word", "arguments"),
    [
        ("batch_size", {"batch_size": 0, "seed": 0}),
        ("batch_size", {"batch_size": 2.0, "seed": 0}),
        ("batch_size", {"batch_size": True, "seed": 0}),
        ("seed", {"batch_size": 2, "seed": -1}),
        ("seed", {"batch_size": 2, "seed": 2**31}),
        ("start_step", {"batch_size": 2, "seed": 0, "start_step": -1}),
        ("augment", {"batch_size": 2, "seed": 0, "augment": "flip"}),
    ],
)
def test_batches_names_the_wrong_argument(word, arguments):
    with pytest.raises(InputError, match=f"{word}: expected .*received"):
        batches(numbered(5), **arguments)


@pytest.mark.parametrize("address", ["", "feeder", "feeder:", ":5050", "feeder:x", "feeder:0", "feeder:65535"])
def test_data_workers_have_a_host_and_a_port(address):
    with pytest.raises(InputError, match="data_workers: expected host:port"):
        batches(numbered(5), 2, seed=0, workers=[address])


def test_a_data_worker_that_is_not_there_is_named():
    with pytest.raises(InputError, match="nobody answers at 127.0.0.1:1 "):
        batches(numbered(5), 2, seed=0, workers=["127.0.0.1:1"])


def test_records_are_not_served():
    split = numbered(5)
    split._store.portable = False
    with pytest.raises(InputError, match="data_workers: records of tfds"):
        batches(split, 2, seed=0, workers=["127.0.0.1:1"])
