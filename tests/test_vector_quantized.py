"""Vector quantisation, against NumPy and a codebook moved by hand."""

import types

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import kerasae
from kerasae import models, networks
from kerasae.errors import InputError
from kerasae.layers import Codebook

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(12, 6)).astype("float32")


def model(**options):
    keras.utils.set_random_seed(3)
    pair = networks.shape_code(*networks.dense((6,), 6, (5,), activation="tanh"), (3, 2))
    return models.VectorQuantizedAutoencoder(*pair, "gaussian", **{"entries": 5, **options})


def nearest(z, entries):
    """Numbers of the entries, by a loop over all pairs."""
    far = [[((v - e) ** 2).sum() for e in entries] for v in z.reshape(-1, z.shape[-1])]
    return np.argmin(far, axis=1).reshape(z.shape[:-1])


def test_objective_is_its_transcription():
    vq = model(beta=0.3)
    z = np.asarray(vq.encoder(X), dtype=float)
    entries = np.asarray(vq.codebook.vectors, dtype=float)
    chosen = nearest(z, entries)
    quantised = entries[chosen]
    rebuilt = np.asarray(vq.decoder(quantised.astype("float32")), dtype=float)
    found = vq(vq.prepare(X), training=True)
    expected = (0.5 * (rebuilt - X) ** 2 + 0.5 * np.log(2 * np.pi)).sum(1)
    np.testing.assert_allclose(found.terms["reconstruction"], expected, rtol=1e-5)
    np.testing.assert_allclose(found.terms["commitment"], ((z - quantised) ** 2).sum(-1).mean(1), rtol=1e-4)
    np.testing.assert_array_equal(vq.indices(X), chosen)
    np.testing.assert_allclose(vq.encode(X), quantised, rtol=1e-6)
    np.testing.assert_allclose(vq.lookup(chosen), quantised, rtol=1e-6)


def test_the_gradient_goes_straight_through():
    book = Codebook(4)
    z = tf.Variable(RNG.normal(size=(3, 2)).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(book(z) * tf.constant([[1.0, 2.0]]))
    np.testing.assert_array_equal(tape.gradient(loss, z), np.tile([[1.0, 2.0]], (3, 1)))


def moved_by_hand(vq, x):
    """Counts, sums and entries after a step, by loops: appendix A.1."""
    book, decay = vq.codebook, float(vq.decay)
    counts, sums, entries = (np.asarray(v, dtype=float) for v in (book.counts, book.sums, book.vectors))
    z = np.asarray(vq.encoder(x), dtype=float).reshape(-1, 2)
    n, m = np.zeros(len(entries)), np.zeros_like(entries)
    for vector, k in zip(z, nearest(z, entries), strict=True):
        n[k] += 1
        m[k] += vector
    counts, sums = decay * counts + (1 - decay) * n, decay * sums + (1 - decay) * m
    smooth = (counts + 1e-5) * counts.sum() / (counts.sum() + len(counts) * 1e-5)
    return counts, sums, sums / smooth[:, None]


@pytest.mark.parametrize("options", [{}, {"micro_batches": 3}, {"jit_compile": True}], ids=str)
def test_the_codebook_moves_by_the_whole_batch(options):
    vq = model(decay=0.8)
    vq.adapt(X)
    vq.compile("sgd", **options)
    for _ in range(2):
        expected = moved_by_hand(vq, X)
        vq.train_on_batch(X)
        found = (vq.codebook.counts, vq.codebook.sums, vq.codebook.vectors)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_adapt_starts_from_vectors_of_the_data():
    vq = model()
    vq.adapt(X)
    z = np.asarray(vq.encoder(X)).reshape(-1, 2)
    assert len(np.unique(vq.codebook.vectors, axis=0)) == 5
    assert all((np.abs(z - entry).max(1) < 1e-6).any() for entry in np.asarray(vq.codebook.vectors))
    with pytest.raises(InputError, match="give only .* different vectors"):
        model(entries=3).adapt(np.tile(X[:1], (4, 1))[:, :] * 0)
    assert 1.0 <= vq.perplexity() <= 5.0


def test_a_shape_of_another_size_is_refused():
    with pytest.raises(InputError, match="shape must have the 6 values"):
        networks.shape_code(*networks.dense((6,), 6), (4, 2))
    with pytest.raises(InputError, match="size must be a positive whole number"):
        model(entries=0)


def test_learns_digits_from_few_bits(tmp_path):
    """16 choices of 32 entries, 80 bits, against the mean image and against one choice of 32 by k-means."""
    from sklearn.cluster import KMeans

    images, _ = kerasae.data.load("digits").train.arrays()
    keras.utils.set_random_seed(1)
    pair = networks.shape_code(*networks.dense((8, 8, 1), 32, (128,)), (16, 2))
    vq = models.VectorQuantizedAutoencoder(*pair, "gaussian", 16.0, entries=32, decay=0.9)
    vq.adapt(images)
    vq.compile(keras.optimizers.Adam(2e-3))
    vq.fit(images, batch_size=64, epochs=12, verbose=0)
    x = images / 16.0
    flat = x.reshape(len(x), -1)
    means = KMeans(32, n_init=1, random_state=0).fit(flat)
    one = np.mean((flat - means.cluster_centers_[means.labels_]) ** 2)
    error = np.mean((np.asarray(vq.reconstruct(images)) - x) ** 2)
    assert error < 0.8 * one < np.mean((x - x.mean(0)) ** 2), (error, one)
    assert vq.perplexity() > 8
    vq.save(tmp_path / "vq.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "vq.keras").indices(images), vq.indices(images))


def test_codebook_use_counts_the_entries_and_the_entropy_of_their_shares():
    chosen = np.array([[0, 0], [0, 2], [2, 2], [5, 0]])
    stub = types.SimpleNamespace(indices=lambda x: x, codebook=types.SimpleNamespace(size=8))
    found = kerasae.evaluate.codebook_use(stub, chosen, batch_size=3)
    assert found["codebook_used"] == 3 / 8
    assert found["codebook_perplexity"] == pytest.approx(np.exp(scipy.stats.entropy([4, 3, 1])))


def test_entries_learn_by_the_gradient_of_eq_3():
    """Each entry moves by the rate times 2 (e − z), mean over the vectors that choose it; the encoder does not."""
    one = model(learning="gradient", beta=0.0)
    z, chosen = np.asarray(one.encoder(X)), np.asarray(one.indices(X)).ravel()
    before = np.asarray(one.codebook.vectors)
    one.compile(keras.optimizers.SGD(0.5))
    found = one.train_on_batch(X, return_dict=True)
    vectors = z.reshape(-1, 2)
    assert float(found["codebook"]) == pytest.approx(np.mean(np.sum((vectors - before[chosen]) ** 2, -1)), rel=1e-5)
    gradient = np.stack([2 * np.sum(before[k] - vectors[chosen == k], 0) for k in range(5)]) / len(vectors)
    np.testing.assert_allclose(one.codebook.vectors, before - 0.5 * gradient, rtol=1e-4, atol=1e-6)
    assert not one.codebook.non_trainable_weights
    with pytest.raises(InputError, match="codebook_use"):
        one.perplexity()


def test_another_way_to_learn_is_refused():
    with pytest.raises(InputError, match="learning must be averages or gradient"):
        model(learning="adam")
