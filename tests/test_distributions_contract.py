"""Every property of posteriors and priors on every row of `cases.py`."""

import cases
import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasae.distributions import GaussianPosterior
from kerasae.layers.draws import Draws
from kerasae.models import VampPrior


def rows(table):
    return pytest.mark.parametrize("case", table, ids=lambda case: case.id)


def through_serialisation(thing):
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))


PLAIN = [case for case in cases.PRIORS if case.x is not None]
SAVED = [case for case in cases.PRIORS if case.id != "PosteriorMixture"]
"""All but what lives for one step only."""


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


# ---- posteriors


@rows(cases.POSTERIORS)
def test_posterior_comes_back_from_its_config(case):
    posterior = case.build()
    again = through_serialisation(posterior)
    assert type(again) is type(posterior) and again.get_config() == posterior.get_config() == case.arguments()
    np.testing.assert_array_equal(again.draw(case.x, Draws(1)), posterior.draw(case.x, Draws(1)))


@rows(cases.POSTERIORS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_posterior_is_float32_per_example(case, dtype):
    posterior = case.build()
    encoded = tf.cast(case.x, dtype)
    mean, z, many = posterior.mean(encoded), posterior.draw(encoded, Draws(1)), posterior.draw(encoded, Draws(1), 7)
    assert posterior.outputs(mean.shape[-1]) == case.x.shape[-1]
    assert mean.shape == z.shape and many.shape == (7, *z.shape)
    density = posterior.log_prob(encoded, many)
    assert density.shape == (7, len(case.x)) and {mean.dtype, z.dtype, density.dtype} == {tf.float32}
    np.testing.assert_allclose(posterior.log_prob(encoded[1:2], z[1:2]), posterior.log_prob(encoded, z)[1:2], rtol=1e-5)
    np.testing.assert_array_equal(posterior.draw(encoded, Draws(1)), z)
    assert np.any(posterior.draw(encoded, Draws(2)) != z)


@rows(cases.POSTERIORS)
def test_posterior_is_finite_with_gradients_far_out(case):
    posterior = case.build()
    for scale in (0.0, 1.0, 30.0):
        encoded = tf.Variable(scale * case.x)
        with tf.GradientTape() as tape:
            z = posterior.draw(encoded, Draws(1))
            total = tf.reduce_sum(z) + tf.reduce_sum(posterior.log_prob(encoded, z))
        assert np.isfinite(total) and np.isfinite(tape.gradient(total, encoded)).all()


@rows(cases.POSTERIORS)
def test_divergence_from_its_own_prior_is_positive_and_from_others_unknown(case):
    posterior = case.build()
    known = {prior.id: posterior.kl(case.x, prior.build()) for prior in cases.PRIORS}
    ((own, kl),) = [(name, kl) for name, kl in known.items() if kl is not None]
    assert own == type(posterior.usual_prior()).__name__
    assert kl.dtype == tf.float32 and np.sum(kl, axis=-1).min() > 0


# ---- priors


@rows(SAVED)
def test_prior_comes_back_from_its_config(case):
    prior = case.build()
    again = through_serialisation(prior)
    assert type(again) is type(prior) and again.get_config() == prior.get_config()
    assert set(prior.get_config()) >= set(case.arguments())


@rows(PLAIN)
@pytest.mark.parametrize("axes", [1, 2])
def test_prior_is_float32_per_example_and_draws_what_it_calls_likely(case, axes):
    prior = case.build()
    if case.id == "PosteriorMixture" and axes == 2:
        pytest.skip("its rows are of one axis")
    z = prior.draw((300, *[2] * (axes - 1), 6), Draws(3))
    density = prior.log_prob(z, axes)
    assert z.shape == (300, *[2] * (axes - 1), 6) and density.shape == (300,)
    assert {z.dtype, density.dtype} == {tf.float32} and np.isfinite(density).all()
    np.testing.assert_allclose(prior.log_prob(z[1:2], axes), density[1:2], rtol=1e-4)
    np.testing.assert_array_equal(prior.draw(z.shape, Draws(3)), z)
    far = unit(z) if case.id == "UniformSphere" else 10 * z
    assert np.mean(prior.log_prob(far, axes)) <= np.mean(density) + 1e-5


@rows(PLAIN)
def test_a_prior_that_encodes_nothing_is_bound_to_itself(case):
    prior = case.build()
    assert prior.bind(GaussianPosterior(), None) is prior and not prior.of_encoder


def test_a_prior_of_the_encoder_is_bound_to_its_mixture():
    prior = VampPrior(3, seed=4)
    prior.build((None, 6))
    bound = prior.bind(GaussianPosterior(), lambda x: tf.concat([x, -x], -1))
    assert prior.of_encoder and bound.encoded.shape == (3, 12)
    for seed in (4, 5):
        twin = VampPrior(3, seed=seed)
        twin.build((None, 6))
        assert np.array_equal(twin.pseudo_inputs(), prior.pseudo_inputs()) == (seed == 4)
