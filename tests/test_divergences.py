"""Divergences and densities of Gaussians, against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate
from scipy.stats import norm

from kerasae.distributions import free_bits, gaussian_kl, gaussian_log_density

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mean", [-2.0, 0.0, 0.7])
@pytest.mark.parametrize("log_var", [-3.0, 0.0, 1.2])
def test_kl_is_the_integral_of_its_definition(mean, log_var):
    q = norm(mean, np.exp(log_var / 2))
    expected, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - norm.logpdf(z)), -30, 30, points=[mean])
    assert float(gaussian_kl([[mean]], [[log_var]])[0, 0]) == pytest.approx(expected, abs=1e-5)


def test_kl_is_per_dimension_float32_and_zero_only_at_the_prior():
    mean, log_var = RNG.normal(size=(2, 50, 4)).astype("float16")
    kl = np.asarray(gaussian_kl(mean, log_var))
    assert kl.shape == (50, 4) and kl.dtype == np.float32 and kl.min() > 0
    m, v = mean.astype(float), np.exp(log_var.astype(float))
    np.testing.assert_allclose(kl, 0.5 * (m**2 + v - 1 - np.log(v)), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(gaussian_kl(np.zeros((1, 2)), np.zeros((1, 2))), 0)


def test_log_density_is_scipys():
    z, mean, log_var = RNG.normal(size=(3, 5, 7, 3))
    expected = norm.logpdf(z, mean, np.exp(log_var / 2)).sum(-1)
    np.testing.assert_allclose(gaussian_log_density(z, mean, log_var), expected, rtol=1e-5)
    np.testing.assert_allclose(gaussian_log_density(z), norm.logpdf(z).sum(-1), rtol=1e-5)


def test_log_density_broadcasts_draws_over_their_posterior():
    z, mean, log_var = RNG.normal(size=(6, 5, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    expected = norm.logpdf(z, mean, np.exp(log_var / 2)).sum(-1)
    np.testing.assert_allclose(gaussian_log_density(z, mean, log_var), expected, rtol=1e-4)


def test_free_bits_hold_every_dimension_at_the_floor():
    means = np.float32([0.1, 0.9, 0.4, 2.0])
    assert float(free_bits(means, 0.5)) == pytest.approx(np.maximum(means, 0.5).sum())
    assert float(free_bits(means, 0.0)) == pytest.approx(means.sum())


def test_a_dimension_below_the_floor_gets_no_gradient():
    mean = tf.Variable([[0.1, 2.0], [0.2, 1.0]])
    with tf.GradientTape() as tape:
        total = free_bits(tf.reduce_mean(gaussian_kl(mean, tf.zeros((2, 2))), axis=0), 0.5)
    np.testing.assert_allclose(tape.gradient(total, mean), [[0, 1], [0, 0.5]])  # d/dμ ½ μ² / 2 = μ / 2 above the floor
