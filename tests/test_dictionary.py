"""Sparse dictionaries: activations and gradients against NumPy, recovery of a known dictionary, dead latents."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from kerasae.errors import InputError
from kerasae.evaluate import dictionary_measures
from kerasae.models import SparseDictionary
from kerasae.networks.sizes import checked
from kerasae.ops import jump_relu, step_above

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6)).astype("float32")


def model_of(activation="top-k", **options):
    keras.utils.set_random_seed(3)
    model = SparseDictionary((6,), 10, activation=activation, **{"k": 3, **options})
    model.dictionary.center.assign(np.linspace(-0.3, 0.4, 6))
    model.dictionary.bias.assign(np.linspace(-0.2, 0.3, 10))
    return model


def weights_of(model):
    layer = model.dictionary
    return (np.asarray(w, dtype=float) for w in (layer.kernel, layer.bias, layer.atoms, layer.center))


def inputs(model):
    kernel, bias, _, center = weights_of(model)
    return (X - center) @ kernel + bias


def rebuilt(model, z):
    _, _, atoms, center = weights_of(model)
    return z @ atoms + center


def largest_of(values, k):
    """The k largest positive values of an array of any shape, in NumPy."""
    kept, order = np.zeros_like(values).ravel(), np.argsort(-values, axis=None)[:k]
    kept[order] = np.maximum(values.ravel()[order], 0)
    return kept.reshape(values.shape)


# ---- activations


def test_top_k_is_its_transcription():
    model = model_of()
    z = np.stack([largest_of(a, 3) for a in inputs(model)])
    np.testing.assert_allclose(model.encode(X), z, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.reconstruct(X), rebuilt(model, z), rtol=1e-4, atol=1e-5)
    expected = np.square(X - rebuilt(model, z)).sum(1)
    np.testing.assert_allclose(model.score(X), expected, rtol=1e-4)
    terms = model.objective(model.prepare(X)).terms
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-4)
    np.testing.assert_allclose(model.feature_encoder()(X), model.encode(X), rtol=1e-6)


def test_batch_top_k_takes_the_largest_of_the_batch_and_then_their_running_threshold():
    model = model_of("batch-top-k", k=2)
    z = largest_of(inputs(model), 2 * len(X))
    found = model.objective(model.prepare(X), training=True)
    np.testing.assert_allclose(found.terms["reconstruction"], np.square(X - rebuilt(model, z)).sum(1), rtol=1e-4)
    least = z[z > 0].min()
    model.compile(keras.optimizers.SGD(0.0))
    model.train_on_batch(X)
    np.testing.assert_allclose(model.gate.thresholds, np.full(10, least), rtol=1e-5)
    expected = np.where(inputs(model) > least * (1 + 1e-5), inputs(model), 0)  # without the smallest itself
    np.testing.assert_allclose(model.encode(X), expected, rtol=1e-4, atol=1e-6)
    model.train_on_batch(2 * X)  # with other inputs, the mean goes on from the first value
    doubled = (2 * X - list(weights_of(model))[3]) @ list(weights_of(model))[0] + list(weights_of(model))[1]
    z = largest_of(doubled, 2 * len(X))
    np.testing.assert_allclose(model.gate.thresholds, np.full(10, 0.999 * least + 0.001 * z[z > 0].min()), rtol=1e-5)


def test_jump_relu_passes_what_lies_above_its_threshold():
    model = model_of("jump-relu")
    thresholds = np.linspace(0.0, 0.9, 10)
    model.gate.thresholds.assign(thresholds)
    a = inputs(model)
    z = np.where(a > thresholds, a, 0)
    np.testing.assert_allclose(model.encode(X), z, rtol=1e-4, atol=1e-6)
    terms = model.objective(model.prepare(X)).terms
    assert float(terms["sparsity"].value) == pytest.approx(((z != 0).sum(1).mean() / 3 - 1) ** 2, rel=1e-4)
    assert model.terms == ("reconstruction", "sparsity") and model.statistics == ("sparsity",)


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_of_the_threshold_are_those_of_the_paper(jit):
    x, theta, width = RNG.normal(size=(50, 4)).astype("float32"), np.float32([0.1, 0.4, 0.8, 1.2]), 0.6
    upstream = RNG.normal(size=(50, 4)).astype("float32")

    @tf.function(jit_compile=jit)
    def gradients(x, theta):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, theta])
            values = jump_relu(x, theta, width), step_above(x, theta, width)
            sums = [tf.reduce_sum(value * upstream) for value in values]
        return values, [tape.gradient(s, [x, theta], unconnected_gradients="zero") for s in sums]

    (value, step), ((to_x, to_theta), (step_to_x, step_to_theta)) = gradients(tf.constant(x), tf.constant(theta))
    above, window = x > theta, (np.abs((x - theta) / width) < 0.5) / width
    np.testing.assert_allclose(value, x * above, rtol=1e-6)
    np.testing.assert_array_equal(step, above)
    np.testing.assert_allclose(to_x, above * upstream, rtol=1e-6)
    np.testing.assert_allclose(to_theta, (-theta * window * upstream).sum(0), rtol=1e-4)
    np.testing.assert_array_equal(step_to_x, np.zeros_like(x))
    np.testing.assert_allclose(step_to_theta, (-window * upstream).sum(0), rtol=1e-4)
    assert np.all(window.sum(0) > 0)


# ---- atoms and dead latents


def test_the_encoder_starts_as_the_transposed_atoms_also_where_memory_is_counted_first():
    model = checked(model_of, lambda size: None)
    np.testing.assert_allclose(model.dictionary.kernel, np.transpose(model.dictionary.atoms), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(model.dictionary.atoms, axis=1), np.ones(10), rtol=1e-5)


def test_atoms_keep_their_length_in_training():
    model = model_of()
    model.compile(keras.optimizers.Adam(0.1))
    start = np.asarray(model.dictionary.atoms).copy()
    for _ in range(5):
        model.train_on_batch(X)
    np.testing.assert_allclose(np.linalg.norm(model.dictionary.atoms, axis=1), np.ones(10), rtol=1e-5)
    np.testing.assert_allclose(model.atoms(), model.dictionary.atoms, rtol=1e-5)
    assert np.abs(np.asarray(model.dictionary.atoms) - start).max() > 0.1


def test_the_auxiliary_term_rebuilds_the_residual_from_dead_latents():
    model = model_of(dead_after=4)
    model.idle.assign([0, 9, 4, 3, 0, 8, 5, 4, 4, 4])
    dead = np.asarray(model.idle) >= 4
    a = inputs(model)
    error = X - rebuilt(model, np.stack([largest_of(row, 3) for row in a]))
    z = np.stack([largest_of(np.where(dead, row, 0), 3) for row in a])
    _, _, atoms, _ = weights_of(model)
    terms = model.objective(model.prepare(X), training=True).terms
    np.testing.assert_allclose(terms["auxiliary"], np.square(error - z @ atoms).sum(1), rtol=1e-4)
    model.idle.assign(np.zeros(10))
    np.testing.assert_array_equal(model.objective(model.prepare(X)).terms["auxiliary"], np.zeros(len(X)))


def test_latents_are_idle_since_they_were_last_active():
    model = model_of(k=1)
    used = (np.stack([largest_of(row, 1) for row in inputs(model)]) > 0).any(0)
    model.compile(keras.optimizers.SGD(0.0), micro_batches=3)
    for _ in range(2):
        model.train_on_batch(X)
    np.testing.assert_array_equal(model.idle, np.where(used, 0, 2))
    assert 0 < used.sum() < 10


def test_adapt_centers_on_the_geometric_median():
    x = np.concatenate([X, X[:2] + 30]).astype(float)
    expected = minimize(lambda m: np.linalg.norm(x - m, axis=1).sum(), x.mean(0), tol=1e-9).x
    model = model_of()
    model.adapt(x)
    np.testing.assert_allclose(model.dictionary.center, expected, atol=1e-3)


def synthetic(width, examples=8000, atoms=48, active=3):
    """Sums of a few random directions with positive coefficients, and the directions."""
    rng = np.random.default_rng(1)
    known = rng.normal(size=(atoms, width))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    codes = np.zeros((examples, atoms))
    for row in codes:
        row[rng.choice(atoms, active, replace=False)] = rng.uniform(0.5, 1.5, active)
    return (codes @ known).astype("float32"), known


def trained(x, rate, first_bias=0.0, **options):
    keras.utils.set_random_seed(1)
    model = SparseDictionary(x.shape[1:], 48, k=3, dead_after=20, **options)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, 1200)))
    model.dictionary.bias.assign(np.where(np.arange(48) % 2, 0.0, first_bias))
    model.fit(x, batch_size=200, epochs=30, verbose=0)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "top-k", "penalty_weight": 1.0},
        pytest.param({"activation": "batch-top-k", "penalty_weight": 1.0}, marks=pytest.mark.slow),
        {"activation": "jump-relu", "penalty_weight": 0.1, "bandwidth": 0.1},
    ],
    ids=lambda options: options["activation"],
)
def test_a_known_dictionary_is_recovered(options):
    x, known = synthetic(width=32)
    model = trained(x, 5e-3, **options)
    found, cosines = dictionary_measures(model, x[:2000]), known @ np.asarray(model.atoms()).T
    print("mean of greatest cosine", cosines.max(1).mean(), found)
    assert cosines.max(1).mean() >= 0.95 and found["alive"] > (0.95 if "auxiliary" in model.terms else 0.9)
    assert found["explained"] > 0.9 and 2.5 < found["l0"] < 4


def test_the_auxiliary_term_revives_dead_latents():
    """Of latents, half of which begin below zero, fewer than 5 % are dead with the term, and more without."""
    x, _ = synthetic(width=24)
    with_term, without = (
        dictionary_measures(trained(x, 1e-2, -0.5, penalty_weight=weight), x[:2000])["alive"] for weight in (1.0, 0.0)
    )
    print("alive with", with_term, "without", without)
    assert with_term > 0.95 and without < 0.9


# ---- measures, errors


def test_measures_are_their_definitions():
    model = model_of()
    z, made = np.asarray(model.encode(X)), np.asarray(model.reconstruct(X), dtype=float)
    expected = {
        "l0": (z != 0).sum(1).mean(),
        "alive": (z != 0).any(0).mean(),
        "explained": 1 - ((X - made) ** 2).sum() / ((X - X.mean(0)) ** 2).sum(),
        "cosine": np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(X, made, strict=True)]),
        "bias": (made**2).sum() / (X * made).sum(),
    }
    assert dictionary_measures(model, X, batch_size=5) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"activation": "relu"}, "activation must be one of top-k, batch-top-k, jump-relu. Received: 'relu'"),
        ({"k": 0}, "k must be ≥ 1.0"),
        ({"k": 11}, "k must be at most latents, 10"),
        ({"dead_after": 0}, "dead_after must be positive"),
        ({"bandwidth": 0.0}, "bandwidth > 0"),
        ({"penalty_weight": -1.0}, "penalty_weight must be ≥ 0.0"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)


@pytest.mark.parametrize("activation", ["batch-top-k", "jump-relu"])
def test_micro_batches_are_refused_where_the_batch_counts(activation):
    with pytest.raises(InputError, match="statistic of the whole batch"):
        model_of(activation).compile("adam", micro_batches=2)
