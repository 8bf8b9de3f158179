"""Every property of layers, networks, likelihoods and losses on every row of `cases.py`."""

import cases
import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasae import layers


def rows(table):
    return pytest.mark.parametrize("case", table, ids=lambda case: case.id)


def through_serialisation(thing):
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))


# ---- layers


def with_same_seed(case, **changes):
    keras.utils.set_random_seed(3)
    return case.ready(case.target(**case.arguments(), **changes))


@rows(cases.LAYERS)
def test_layer_comes_back_from_its_config(case):
    layer = case.build()
    again = through_serialisation(layer)
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    given = case.arguments()
    for name in set(given) - {"activation"}:
        assert getattr(again, name) == given[name]
    assert set(layer.get_config()) >= set(given)


@rows(cases.LAYERS)
def test_layer_draws_anew_at_each_call_and_repeats_for_the_same_seed(case):
    layer, twin = with_same_seed(case), with_same_seed(case)
    first, second = np.asarray(layer(case.x)), np.asarray(layer(case.x))
    assert np.array_equal(first, second) == case.deterministic
    np.testing.assert_array_equal(first, twin(case.x))
    np.testing.assert_array_equal(second, twin(case.x))


@rows(cases.LAYERS)
def test_layer_gives_the_shape_that_it_promises_for_any_batch(case):
    layer = case.build()
    inputs = tf.nest.map_structure(lambda x: keras.Input(x.shape[1:]), case.x)
    model = keras.Model(inputs, layer(inputs))
    for count in (1, 4):
        part = tf.nest.map_structure(lambda x: x[:count], case.x)  # noqa: B023 (called at once)
        out = model(part)
        assert out.shape == (count, *model.output_shape[1:]) and np.isfinite(out).all()


@rows(cases.LAYERS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_layer_computes_in_the_type_of_its_policy(case, policy):
    keras.config.set_dtype_policy(policy)
    layer = with_same_seed(case)
    low = layer(case.x)
    assert low.dtype == layer.compute_dtype == policy.removeprefix("mixed_")
    assert all(weight.dtype == layer.variable_dtype for weight in layer.trainable_weights)
    keras.config.set_dtype_policy("float32")
    if policy != "float64":  # doubles draw other numbers
        np.testing.assert_allclose(tf.cast(low, "float32"), with_same_seed(case)(case.x), rtol=0.01, atol=0.03)


@rows(cases.LAYERS)
def test_layer_runs_compiled(case):
    layer = case.build()
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    first, second = compiled(case.x), compiled(case.x)
    assert np.array_equal(first, second) == case.deterministic
    if case.deterministic:
        np.testing.assert_allclose(first, layer(case.x), rtol=1e-5, atol=1e-6)


@rows([case for case in cases.LAYERS if not case.deterministic])
def test_layer_without_a_seed_follows_the_global_seed(case):
    arguments = {**case.arguments(), "seed": None}
    results = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        results.append(np.asarray(case.target(**arguments)(case.x)))
    np.testing.assert_array_equal(results[0], results[1])
    assert np.any(results[0] != results[2])


# ---- networks


def ready_pair(case):
    encoder, decoder = case.target(**case.arguments())
    layers.tie_all(decoder, encoder)
    return encoder, decoder


def called(network, x):
    """What a network gives for x and, where it takes one, a condition."""
    others = [tf.ones((len(x), *other.shape[1:])) for other in network.inputs[1:]]
    return network([tf.convert_to_tensor(x), *others] if others else x)


@rows(cases.NETWORKS)
def test_network_has_the_shapes_that_were_asked_for(case):
    given = case.arguments()
    shape, code = given["shape"], given["code"]
    encoder, decoder = ready_pair(case)
    assert encoder.inputs[0].shape == (None, *shape) and decoder.inputs[0].shape == (None, code)
    for part in (encoder, decoder):
        others = [(other.name, other.shape) for other in part.inputs[1:]]
        assert others == ([("condition", (None, given["condition"]))] if given.get("condition") else [])
    encoded = called(encoder, case.x)
    assert encoded.shape == (len(case.x), code * (1 if given.get("posterior") is None else 2))
    decoded = called(decoder, encoded[:, :code])
    assert decoded.shape == (len(case.x), *shape[:-1], shape[-1] * given.get("pixel_parameters", 1))


@rows(cases.NETWORKS)
def test_network_comes_back_from_a_file(case, tmp_path):
    for part, x in zip(ready_pair(case), (case.x, np.ones((2, 2), "float32")), strict=True):
        part.save(tmp_path / "part.keras")
        again = keras.saving.load_model(tmp_path / "part.keras")
        if tied := [layer for layer in again.layers if isinstance(layer, layers.TiedDense)]:
            assert not any(layer.tied for layer in tied)
            layers.tie_all(again, ready_pair(case)[0])
            assert again.count_params() == part.count_params()
        else:
            np.testing.assert_array_equal(called(again, x), called(part, x))


@rows(cases.NETWORKS)
def test_network_names_every_layer_and_treats_examples_apart(case):
    for part in ready_pair(case):
        assert part.name.startswith("row_")
        named = [layer.name for layer in part.layers if not isinstance(layer, keras.layers.InputLayer)]
        assert all(name.startswith("row_") for name in named)
    encoder, _ = ready_pair(case)
    np.testing.assert_allclose(called(encoder, case.x)[2:3], called(encoder, case.x[2:3]), rtol=1e-4, atol=1e-5)


@rows(cases.NETWORKS)
def test_network_uses_the_activations_that_were_asked_for(case):
    encoder, decoder = case.target(**case.arguments())
    dense = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose, layers.TiedDense)
    used = [[layer.activation.__name__ for layer in part.layers if isinstance(layer, dense)]
            for part in (encoder, decoder)]  # fmt: skip
    assert set(used[0][:-1]) == {"tanh"} and used[0][-1] == "sigmoid"
    assert set(used[1][:-1]) == {"tanh"} and used[1][-1] == "linear"


# ---- likelihoods


def raw_parameters(case, likelihood):
    shape = (len(case.x), *likelihood.parameters_shape(case.x.shape[1:]))
    return np.random.default_rng(1).normal(size=shape).astype("float32")


@rows(cases.LIKELIHOODS)
def test_likelihood_comes_back_from_its_config(case):
    likelihood = case.build()
    again = through_serialisation(likelihood)
    assert type(again) is type(likelihood) and again.get_config() == likelihood.get_config()
    assert likelihood.get_config() == case.arguments()
    raw = raw_parameters(case, likelihood)
    np.testing.assert_array_equal(again.log_prob(raw, case.x), likelihood.log_prob(raw, case.x))


@rows(cases.LIKELIHOODS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_likelihood_is_float32_per_example_and_its_mean_in_range(case, dtype):
    likelihood = case.build()
    raw = tf.cast(raw_parameters(case, likelihood), dtype)
    mean, log_p = likelihood.mean(raw), likelihood.log_prob(raw, case.x)
    # Ids have a test of their own; see test_sequences.py.
    assert mean.shape == case.x.shape and np.min(mean) < np.max(mean)
    assert likelihood.any_value or (np.min(mean) >= 0 and np.max(mean) <= 1)
    assert log_p.shape == (len(case.x),) and log_p.dtype == "float32"
    exact = likelihood.log_prob(tf.cast(raw, "float32"), case.x)
    np.testing.assert_allclose(log_p, exact, rtol=1e-5)
    np.testing.assert_allclose(log_p[1:2], likelihood.log_prob(raw[1:2], case.x[1:2]), rtol=1e-5)


@rows(cases.LIKELIHOODS)
def test_likelihood_is_finite_with_a_gradient_at_extreme_parameters(case):
    likelihood = case.build()
    raw = tf.Variable(200.0 * raw_parameters(case, likelihood))
    with tf.GradientTape() as tape:
        log_p = likelihood.log_prob(raw, case.x)
    assert np.isfinite(log_p).all() and np.isfinite(tape.gradient(log_p, raw)).all()


# ---- losses


@rows(cases.LOSSES)
def test_loss_comes_back_from_its_config(case):
    loss = case.build()
    again = through_serialisation(loss)
    assert again.get_config() == loss.get_config()
    assert {name: getattr(again, name) for name in case.arguments()} == case.arguments()
    logits = np.random.default_rng(0).normal(size=(*np.shape(case.y)[: 3 if np.ndim(case.y) == 3 else 1], 3))
    np.testing.assert_array_equal(again(case.y, logits), loss(case.y, logits))
