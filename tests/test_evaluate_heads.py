"""The probes that are trained by small batches: batch norm and a linear layer, and attention over all tokens."""

import doctest
import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import Tokens, attentive_probe, features, linear_probe, sgd_probe, tokens_and_features
from kerasae.evaluate import probe_by_attention as attentive
from kerasae.evaluate.heads import Budget, check_data, orders, train
from kerasae.evaluate.probe_by_sgd import build_linear


def blobs(count, seed, classes=4, width=6):
    """Classes that overlap, on features of very different units."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % classes
    x = 2.5 * np.eye(classes, width)[y] + rng.normal(size=(count, width))
    return (x * np.geomspace(0.01, 100, width) + 7).astype("float32"), y


def unusual(count, seed, noise=0.3):
    """Tokens [N, 9, 8] of which one, anywhere, is marked and holds the label; loud tokens hide it from the mean."""
    rng = np.random.default_rng(seed)
    y, at = np.arange(count) % 4, rng.integers(0, 9, count)
    x = np.concatenate([np.zeros((count, 9, 1)), rng.normal(size=(count, 9, 7)) * 4], axis=2)
    x[np.arange(count), at] = np.concatenate([np.full((count, 1), 4.0), 4 * np.eye(4, 7)[y]], axis=1)
    return (x + noise * rng.normal(size=x.shape)).astype("float32"), y


@pytest.fixture(scope="module")
def masked():
    networks = kerasae.networks.vit((8, 8, 1), 2, width=8, depth=1, heads=2, decoder_width=4, decoder_heads=1)
    return kerasae.models.MaskedAutoencoder(*networks, pixel_max=16)


# ---- the linear head


def test_batch_norm_without_affine_is_numpys():
    head, (x, _) = build_linear(6, 4, seed=0), blobs(50, 0)
    kernel, bias = (np.asarray(w, "float64") for w in head.trainable_weights)  # no affine: no others
    mean, variance = x.mean(0, dtype="float64"), x.var(0, dtype="float64")
    expected = (x - mean) / np.sqrt(variance + 1e-6) @ kernel + bias
    np.testing.assert_allclose(head(x, training=True), expected, rtol=1e-3, atol=1e-5)
    mean, variance = 0.1 * mean, 0.9 + 0.1 * variance  # running averages after the one batch
    expected = (x - mean) / np.sqrt(variance + 1e-6) @ kernel + bias
    np.testing.assert_allclose(head(x, training=False), expected, rtol=1e-3, atol=1e-5)


def test_sgd_probe_takes_the_steps_of_its_docstring():
    """Two steps of the probe's own loop against momentum written out in NumPy."""
    x, y = blobs(8, 0)
    budget = Budget(epochs=2, warmup=0.5, batch_size=8, min_steps=2)
    head = build_linear(6, 4, seed=3)
    w, b = (np.asarray(weight, "float64") for weight in head.trainable_weights)
    optimizer = keras.optimizers.SGD(budget.rate(0.5, 8), momentum=0.9)
    train(head, Tokens.of(x), y, optimizer, budget, seed=0)
    z = (x - x.mean(0, dtype="float64")) / np.sqrt(x.var(0, dtype="float64") + 1e-6)
    velocity = [0.0, 0.0]
    for rate in (0.0, 0.5):  # a warm-up of one step from 0, then the peak
        error = (softmax(z @ w + b, axis=1) - np.eye(4)[y]) / 8
        velocity = [0.9 * v - rate * g for v, g in zip(velocity, (z.T @ error, error.sum(0)), strict=True)]
        w, b = w + velocity[0], b + velocity[1]
    for weight, expected in zip(head.trainable_weights, (w, b), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)


def test_rate_warms_up_and_falls_by_half_a_cosine():
    budget = Budget(epochs=9, warmup=1 / 9, batch_size=10, min_steps=1)
    rate = budget.rate(2.0, 105)
    steps, ramp = 90, 10
    assert budget.steps(105) == steps
    at = np.arange(steps + 1)
    cosine = 1 + np.cos(np.pi * (at - ramp) / (steps - ramp))
    np.testing.assert_allclose([rate(i) for i in at], np.where(at < ramp, 0.2 * at, cosine), atol=1e-5)
    constant = Budget(epochs=1, warmup=0.0, batch_size=10, min_steps=50)
    assert constant.steps(20) == 50 and constant.rate(2.0, 20)(0) == 2.0


def test_orders_visit_every_example_once_per_epoch():
    batches = orders(10, 3, seed=1)
    first, second = ([next(batches) for _ in range(3)] for _ in range(2))
    for epoch in (first, second):
        assert len(set(np.concatenate(epoch))) == 9
    assert not np.array_equal(first, second) and not np.array_equal(first[0], next(orders(10, 3, seed=2)))


@pytest.mark.parametrize("count", [60, 2000])
def test_sgd_probe_is_as_good_as_logistic_regression(count):
    test = blobs(4000, 1)
    reference = linear_probe(*blobs(count, 0), *test)
    found = sgd_probe(*blobs(count, 0), *test)
    assert 0.5 < reference.accuracy < 0.95 and found.accuracy > reference.accuracy - 0.01 - 1.5 / count
    if count == 2000:
        assert abs(found.accuracy - reference.accuracy) < 0.01
        assert abs(found.train_accuracy - reference.train_accuracy) < 0.01
    assert found.accuracy == np.mean(found.predictions == test[1])
    assert f"{count} labels" in found.protocol and "no augmentation" in found.protocol


def test_lars_learns_too_and_takes_another_path():
    data = (*blobs(400, 0), *blobs(400, 1))
    plain, lars = sgd_probe(*data), sgd_probe(*data, optimizer="lars", learning_rate=2.0)
    assert abs(lars.accuracy - plain.accuracy) < 0.03 and "LARS with base rate 2" in lars.protocol
    start = sgd_probe(*data, optimizer="lars", learning_rate=1e-4)  # a step of 1e-7 of the weights: none
    assert start.accuracy < 0.5 < sgd_probe(*data, learning_rate=1e-4).accuracy


def test_sgd_probe_flattens_maps():
    (x, y), (test_x, test_y) = blobs(80, 0), blobs(80, 1)
    flat, maps = sgd_probe(x, y, test_x, test_y), sgd_probe(x.reshape(80, 3, 2), y, test_x.reshape(80, 3, 2), test_y)
    np.testing.assert_array_equal(flat.predictions, maps.predictions)


# ---- attention over tokens


def test_attention_pooling_is_numpys():
    layer, rng = kerasae.layers.AttentionPooling(3), np.random.default_rng(0)
    x = rng.normal(size=(5, 7, 12)).astype("float32")
    layer.build(x.shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    query, key, value = (np.asarray(w, "float64") for w in (layer.query, layer.key, layer.value))
    assert query.shape == (3, 4)
    for i, tokens in enumerate(x.astype("float64")):
        keys, values = tokens @ key, tokens @ value
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            weights = softmax(keys[:, part] @ query[head] / 2.0)  # √4
            assert weights.max() > 0.3
            np.testing.assert_allclose(layer.attention(x)[i, :, head], weights, rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(layer(x)[i, part], weights @ values[:, part], rtol=1e-3, atol=1e-4)


def test_attention_needs_heads_that_divide_the_width():
    with pytest.raises(InputError, match="heads=5"):
        kerasae.layers.AttentionPooling(5)(np.zeros((1, 2, 12), "float32"))
    assert [attentive.default_heads(width) for width in (8, 192, 200, 768)] == [1, 3, 2, 12]


def test_attentive_head_standardises_the_tokens_first():
    x, _ = unusual(300, 0)
    mean, variance = attentive.moments(Tokens.of(x), seed=0)
    np.testing.assert_allclose(mean, x.reshape(-1, 8).mean(0), atol=1e-4)
    np.testing.assert_allclose(variance, x.reshape(-1, 8).var(0), rtol=1e-4)
    head = attentive.build_attentive((9, 8), 4, 2, (mean, variance), seed=0)
    _, pooling, linear = head.layers
    expected = linear(pooling((x - mean) / np.sqrt(variance + 1e-6)), training=False)
    np.testing.assert_allclose(head(x, training=False), expected, rtol=1e-3, atol=1e-4)
    assert len(head.trainable_weights) == 3 + 2


def test_attentive_probe_finds_the_token_that_the_mean_hides():
    (x, y), (test_x, test_y) = unusual(1200, 0), unusual(800, 1)
    mean = linear_probe(x.mean(1), y, test_x.mean(1), test_y)
    found = attentive_probe(x, y, test_x, test_y)
    assert mean.accuracy < 0.6 < 0.95 < found.accuracy
    assert found.accuracy == np.mean(found.predictions == test_y)
    assert "9 frozen tokens of width 8" in found.protocol and "1200 labels" in found.protocol


# ---- what both promise

PROBES = {
    "sgd": lambda *data, **options: sgd_probe(*data, **{"epochs": 3, "min_steps": 20, "batch_size": 20, **options}),
    "attentive": lambda *data, **options: attentive_probe(*data, **{"epochs": 2, "min_steps": 20, **options}),
}


@pytest.fixture(params=PROBES)
def probe(request):
    return PROBES[request.param]


@pytest.fixture(scope="module")
def data():
    return (*unusual(100, 0), *unusual(60, 1))


def test_a_seed_gives_the_same_result(probe, data):
    first = probe(*data, seed=3)
    keras.utils.set_random_seed(99)
    again, other = probe(*data, seed=3), probe(*data, seed=4)
    np.testing.assert_array_equal(first.predictions, again.predictions)
    assert first.as_dict() == again.as_dict()
    assert not np.array_equal(first.predictions, other.predictions)


def test_test_data_have_no_say(probe, data):
    x, y, test_x, test_y = data
    honest, nonsense = probe(*data), probe(x, y, test_x[:30], (test_y[:30] + 1) % 4)
    np.testing.assert_array_equal(nonsense.predictions, honest.predictions[:30])
    assert nonsense.train_accuracy == honest.train_accuracy


def test_half_precision_and_a_policy_change_little(probe, data):
    x, y, test_x, test_y = data
    whole = probe(*data)
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = probe(x.astype("float16"), y, test_x.astype("float16"), test_y)
    assert np.mean(half.predictions == whole.predictions) > 0.9


@pytest.mark.parametrize(
    "change, word",
    [
        ({"train_y": np.zeros(100, int)}, "two classes"),
        ({"train_y": None}, "train_y"),
        ({"train_y": np.arange(99)}, "train_y"),
        ({"test_y": None}, "test_y"),
        ({"test_y": np.full(60, -1)}, "test_y"),
        ({"test_x": np.zeros((60, 9, 7))}, "test_x"),
        ({"train_x": np.full((100, 9, 8), np.nan)}, "finite"),
        ({"test_x": np.full((60, 9, 8), np.inf)}, "finite"),
        ({"epochs": 0}, "epochs"),
        ({"warmup": 1.0}, "warmup"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_mistakes_are_named(probe, data, change, word):
    given = dict(zip(("train_x", "train_y", "test_x", "test_y"), data, strict=True)) | change
    parts = [given.pop(name) for name in ("train_x", "train_y", "test_x", "test_y")]
    with pytest.raises(InputError, match=word):
        probe(*parts, **given)


def test_mistakes_of_one_of_them_are_named(data):
    x, y, test_x, test_y = data
    with pytest.raises(InputError, match="adam"):
        sgd_probe(*data, optimizer="adam")
    with pytest.raises(InputError, match="momentum"):
        sgd_probe(*data, momentum=1.0)
    with pytest.raises(InputError, match=r"\[N, T, D\]"):
        attentive_probe(x.mean(1), y, test_x.mean(1), test_y)
    with pytest.raises(InputError, match="heads=3"):
        attentive_probe(*data, heads=3)


# ---- tokens of a model


def test_tokens_of_a_model_are_cached_as_they_are(masked):
    split = kerasae.data.load("digits").test
    x, y = split.arrays()
    expected = np.asarray(masked.tokens(x))
    assert expected.shape == (360, 17, 8) and expected.std() > 0.1
    for given in (split, x, (x, y)):
        for limit in (2**30, 0):  # in memory; encoded when asked for
            tokens, codes = tokens_and_features(masked, given, batch_size=100, limit=limit)
            assert len(tokens) == 360 and tokens.shape == (17, 8)
            rows = np.array([350, 3, 77])
            picked = tokens.subset(np.arange(0, 360)[::-1]).gather(rows)
            assert picked.dtype == np.float16
            np.testing.assert_allclose(picked, expected[::-1][rows], rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(codes, features(masked, x), rtol=1e-4, atol=1e-5)


def test_probe_of_tokens_on_demand_is_that_of_tokens_in_memory(masked):
    source = kerasae.data.load("digits")
    parts = [split.subset(np.arange(120)) for split in (source.train, source.test)]
    results = []
    for limit in (2**30, 0):
        (x, _), (test_x, _) = (tokens_and_features(masked, part, limit=limit) for part in parts)
        results.append(attentive_probe(x, parts[0].labels, test_x, parts[1].labels, epochs=1, min_steps=20))
    assert np.mean(results[0].predictions == results[1].predictions) > 0.98  # batches round differently


def test_models_without_tokens_and_tokens_beyond_float16_are_refused(masked):
    x = np.zeros((2, 8, 8, 1), "uint8")
    plain = kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), 3, (4,)), pixel_max=16)
    with pytest.raises(InputError, match=r"tokens\(\), received Autoencoder"):
        tokens_and_features(plain, x)

    class Loud:
        def tokens(self, x):
            return tf.cast(x[..., 0], tf.float32) + 1e6

        def pool(self, tokens):
            return tokens[:, 0]

    with pytest.raises(InputError, match="65504"):
        tokens_and_features(Loud(), x)


def test_check_data_keeps_tokens_as_they_are():
    tokens = Tokens.of(np.zeros((4, 2, 3), "float16")).subset([1, 0, 3])
    train_x, train_y, _, _ = check_data(tokens, np.array([0, 1, 0], "uint8"), tokens, np.zeros(3, int))
    assert train_x is tokens and train_y.dtype == np.int64


@pytest.mark.parametrize("module", ["probe_by_attention", "probe_by_sgd", "tokens", "heads"])
def test_examples_run(module):
    failed, tried = doctest.testmod(importlib.import_module(f"kerasae.evaluate.{module}"), extraglobs={"np": np})
    assert failed == 0 and (tried or module == "heads")
