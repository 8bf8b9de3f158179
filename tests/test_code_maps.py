"""Codes that are maps of codebook entries: the network, the restart of idle entries, the command."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae import models, networks, runs
from kerasae.errors import InputError
from kerasae.layers import Codebook
from pipelines import embed, train

RNG = np.random.default_rng(0)


def test_the_code_is_a_map_and_sizes_come_back():
    encoder, decoder = networks.conv_map((7, 5, 2), 3, (4, 6), blocks=1, pixel_parameters=2)
    x = RNG.normal(size=(2, 7, 5, 2)).astype("float32")
    assert encoder(x).shape == (2, 2, 2, 3) and decoder(encoder(x)).shape == (2, 7, 5, 4)
    assert networks.conv_map((9, 2), 3, (4,))[0].output_shape == (None, 5, 3)


def test_residual_blocks_are_their_transcription(tmp_path):
    """x + conv₁(f(conv₃(f(x)))), by TensorFlow's own operations."""
    encoder, _ = networks.conv_map((4, 4, 1), 2, (3,), blocks=1, activation="tanh", name="row")
    x = RNG.normal(size=(2, 4, 4, 1)).astype("float32")
    kernels = {layer.name.removeprefix("row_"): layer.get_weights() for layer in encoder.layers if layer.weights}

    def convolved(x, name, strides=1):
        kernel, bias = kernels[name]
        return tf.nn.conv2d(x, kernel, strides, "SAME") + bias

    first = tf.tanh(convolved(x, "encode_1", 2))
    wide = tf.tanh(convolved(tf.tanh(first), "encode_block_1_wide"))
    expected = convolved(first + convolved(wide, "encode_block_1_narrow"), "code")
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-4, atol=1e-5)
    encoder.save(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "encoder.keras")(x), encoder(x))


def test_networks_that_cannot_be_are_refused():
    for words, options in {"conv_map: filters must name": {"filters": ()}, "one place already": {"filters": (2,) * 4},
                           "code must be positive": {"code": 0}}.items():  # fmt: skip
        with pytest.raises(InputError, match=words):
            networks.conv_map(**{"shape": (4, 4, 1), "code": 2, **options})


def test_idle_entries_start_anew_from_vectors_of_the_batch():
    book = Codebook(4)
    book.build((None, 2))
    counts, sums = np.float32([9, 0.1, 0, 2.9]), RNG.normal(size=(4, 2)).astype("float32")
    vectors, candidates = RNG.normal(size=(2, 4, 2)).astype("float32")
    state = [(book.counts, counts), (book.sums, sums), (book.vectors, vectors)]
    found = [np.asarray(value) for _, value in book.restarted(state, candidates[:3], 0.5)]  # idle: below 1.5
    np.testing.assert_array_equal(found[0], [9, 3, 3, np.float32(2.9)])
    np.testing.assert_array_equal(found[2], [vectors[0], candidates[0], candidates[1], vectors[3]])
    np.testing.assert_allclose(found[1], [sums[0], 3 * candidates[0], 3 * candidates[1], sums[3]], rtol=1e-6)
    one = [np.asarray(value) for _, value in book.restarted(state, candidates[:1], 0.5)]
    np.testing.assert_array_equal(one[2], [vectors[0], candidates[0], vectors[2], vectors[3]])


def far_codebook(restart):
    """A model of a map whose codebook has one entry near the codes and the others far away, after some steps."""
    keras.utils.set_random_seed(1)
    pair = networks.conv_map((4, 4, 1), 2, (4,), blocks=1)
    model = models.VectorQuantizedAutoencoder(*pair, "bernoulli", entries=6, decay=0.8, restart=restart)
    model.codebook.start(np.concatenate([np.zeros((1, 2)), np.full((5, 2), 100.0)]).astype("float32"))
    model.compile("adam", run_eagerly=True)
    x = RNG.uniform(size=(32, 4, 4, 1)).astype("float32")
    for _ in range(12):
        model.train_on_batch(x)
    return kerasae.evaluate.codebook_use(model, x)["codebook_used"]


def test_restarts_bring_dead_entries_into_use():
    assert far_codebook(0.0) == pytest.approx(1 / 6)
    assert far_codebook(0.1) > 0.8


@pytest.mark.parametrize(
    "options, words",
    [({"restart": 1.0}, "restart must be in"), ({"restart": 0.1, "learning": "gradient"}, "restart needs the counts")],
)
def test_restarts_that_cannot_be_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        models.VectorQuantizedAutoencoder(*networks.conv_map((4, 4, 1), 2, (4,)), **options)


def test_a_codebook_of_more_entries_than_places_is_refused():
    model = models.VectorQuantizedAutoencoder(*networks.conv_map((4, 4, 1), 2, (4,)), entries=50)
    with pytest.raises(InputError, match="entries: expected at most 40, the vectors of 10 examples with 4 places"):
        model.adapt(RNG.uniform(size=(10, 4, 4, 1)).astype("float32"))


def recipe(out, **changes):
    given = {"variant": "vector-quantized", "network": "conv", "pooling": "none", "code": 4, "filters": (4,)}
    given |= {"blocks": 1, "epochs": 1, "options": {"entries": 8, "restart": 0.1}, "out": str(out)}
    return train.Recipe(**{**given, **changes})


@pytest.mark.parametrize("learning", [pytest.param("averages", marks=pytest.mark.slow), "gradient"])
def test_the_command_trains_maps_and_embed_writes_their_indices(tmp_path, learning):
    options = {"entries": 8, "learning": learning}
    run = train.run(recipe(tmp_path / "run", options=options))
    model, source = runs.load_model(run.path), kerasae.data.load("digits")
    assert model.code_shape == (4, 4, 4) and 1 / 8 <= run.figures["test_codebook_used"] <= 1
    embed.run(embed.Recipe(run=str(run.path), to=str(tmp_path / "i.npz"), split="test", indices=True))
    codes, x = np.load(tmp_path / "i.npz")["codes"], source.test.arrays()[0]
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, model.indices(x))
    np.testing.assert_array_equal(model.lookup(codes), model.encode(x))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"options": {"entries": 30_000}}, "entries: expected at most"),
        ({"variant": "plain", "options": {}, "blocks": 2}, "pooling: has no effect"),
        ({"conditional": True}, "conditional: has no effect"),
        ({"pooling": "mean", "blocks": 3}, "blocks: has no effect"),
    ],
)
def test_settings_that_maps_cannot_follow_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        train.run(recipe(tmp_path / "run", **changes))
