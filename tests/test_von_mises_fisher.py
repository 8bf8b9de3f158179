"""The von Mises–Fisher distribution, against SciPy's, against quadrature, and against closed forms at Z = 3."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from kerasae.distributions import von_mises_fisher as vmf
from kerasae.errors import InputError

KAPPAS = np.geomspace(1e-3, 1e5, 60).astype("float32")
DIMENSIONS = [2, 3, 4, 5, 10, 21, 64, 128, 200]


class Random:
    """Seeded random numbers, as a caller would hand them in; it remembers the shapes that were asked for."""

    def __init__(self, seed=0):
        self.rng, self.shapes = np.random.default_rng(seed), []

    def normal(self, shape):
        self.shapes.append(tuple(shape))
        return tf.constant(self.rng.normal(size=shape), "float32")

    def uniform(self, shape):
        self.shapes.append(tuple(shape))
        return tf.constant(self.rng.random(shape, "float32"))


def log_bessel(order, kappa):
    """SciPy's, and where that underflows, three terms of the power series at 0, in float64."""
    kappa = np.asarray(kappa, "float64")
    scaled = special.ive(order, kappa)
    x = np.square(kappa / 2)
    series = 1 + x / (order + 1) * (1 + x / (2 * (order + 2)) * (1 + x / (3 * (order + 3))))
    small = order * np.log(kappa / 2) - special.gammaln(order + 1) + np.log(series)
    return np.where(kappa < 0.3, small, np.log(np.maximum(scaled, 1e-300)) + kappa)


def ratio(order, kappa):
    return np.exp(log_bessel(order + 1, kappa) - log_bessel(order, kappa))


def gradient(function, x):
    x = tf.constant(x, "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x).numpy()


def central(function, x, step=1e-5):
    """Derivative of a float64 function by central differences."""
    x = np.asarray(x, "float64")
    return (function(x * (1 + step)) - function(x * (1 - step))) / (2 * step * x)


GRID = np.linspace(0, np.pi, 20_001)


def angle_weights(dimension, kappa):
    """Probabilities of the angles of `GRID`, whose density is ∝ exp(κ cos θ) sin(θ)^(Z−2), by the trapezoidal rule."""
    sines = np.log(np.maximum(np.sin(GRID), 1e-300)) * (dimension - 2)
    weights = np.exp(kappa * (np.cos(GRID) - 1) + sines - np.max(kappa * (np.cos(GRID) - 1) + sines))
    weights[[0, -1]] /= 2
    return weights / weights.sum()


def moment(dimension, kappa, power):
    """E[(μᵀz)^power] by quadrature."""
    return np.sum(angle_weights(dimension, kappa) * np.cos(GRID) ** power)


def draws(dimension, kappa, count, seed=0):
    """`count` draws whose mean direction is the last axis."""
    mean = np.eye(dimension, dtype="float32")[-1:]
    return vmf.draw(mean, np.full((1, 1), kappa, "float32"), Random(seed), count).numpy()[:, 0]


# ---- Bessel functions


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_log_bessel_is_scipys(dimension):
    order, expected = dimension / 2 - 1, log_bessel(dimension / 2 - 1, KAPPAS)
    ours = vmf.log_bessel(order, KAPPAS).numpy()
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=2e-7, atol=2e-4)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_bessel_ratio_is_scipys(dimension):
    order = dimension / 2 - 1
    ours = vmf.bessel_ratio(order, KAPPAS)
    np.testing.assert_allclose(ours, ratio(order, KAPPAS), rtol=5e-6)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_gradients_of_bessel_functions_are_central_differences(dimension):
    order, kappa = dimension / 2 - 1, KAPPAS[KAPPAS < 1e3]
    np.testing.assert_allclose(
        gradient(lambda k: vmf.log_bessel(order, k), kappa), central(lambda k: log_bessel(order, k), kappa), rtol=1e-3
    )
    mean = ratio(order, kappa)
    slope = 1 - mean**2 - (dimension - 1) / kappa.astype("float64") * mean
    np.testing.assert_allclose(gradient(lambda k: vmf.bessel_ratio(order, k), kappa), slope, rtol=1e-3)


def test_half_an_order_is_a_hyperbolic_sine():
    kappa = np.array([0.5, 1.0, 5.0])
    closed = np.log(np.sqrt(2 / (np.pi * kappa)) * np.sinh(kappa))
    np.testing.assert_allclose(vmf.log_bessel(0.5, kappa), closed, atol=1e-6)
    np.testing.assert_allclose(vmf.bessel_ratio(0.5, kappa), 1 / np.tanh(kappa) - 1 / kappa, rtol=1e-6)


def test_kappa_of_zero_is_the_uniform_distribution():
    for dimension in (2, 3, 40):
        assert float(vmf.bessel_ratio(dimension / 2 - 1, 0.0)) == 0
        assert float(vmf.log_normaliser(dimension, 0.0)) == pytest.approx(-vmf.log_area(dimension))
        assert float(vmf.kl_uniform(dimension, 0.0)) == pytest.approx(0, abs=1e-7)


# ---- densities and divergences


@pytest.mark.parametrize("dimension", [2, 3, 5, 20, 100])
@pytest.mark.parametrize("kappa", [0.3, 1.0, 20.0, 700.0])
def test_density_and_entropy_are_scipys(dimension, kappa):
    rng = np.random.default_rng(0)
    mean, *z = (v / np.linalg.norm(v) for v in rng.normal(size=(9, dimension)))
    theirs = stats.vonmises_fisher(mean, kappa)
    z = np.concatenate([z, theirs.rvs(20, random_state=rng).reshape(-1, dimension)])
    ours = vmf.log_density(z, mean, np.full((1, 1), kappa))
    np.testing.assert_allclose(ours, theirs.logpdf(z), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(vmf.entropy(dimension, kappa), theirs.entropy(), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(vmf.log_normaliser(dimension, kappa), theirs.logpdf(mean) - kappa, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dimension", [2, 3, 7, 50])
def test_area_is_that_of_a_ball_by_its_radius(dimension):
    """area = Z · volume of the unit ball, and volumes follow V_Z = V_{Z−2} · 2π / Z."""
    volume = {0: 1.0, 1: 2.0}[dimension % 2]
    for z in range(2 + dimension % 2, dimension + 1, 2):
        volume *= 2 * np.pi / z
    assert vmf.log_area(dimension) == pytest.approx(np.log(dimension * volume))


@pytest.mark.parametrize("dimension", [2, 3, 6, 30])
@pytest.mark.parametrize("kappa", [0.5, 4.0, 90.0])
def test_kl_is_the_integral_of_its_definition(dimension, kappa):
    weights, flat = angle_weights(dimension, kappa), angle_weights(dimension, 0.0)
    log_ratio = np.log(np.maximum(weights, 1e-300)) - np.log(np.maximum(flat, 1e-300))
    expected = np.sum(weights * log_ratio)
    assert float(vmf.kl_uniform(dimension, kappa)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_kl_grows_with_kappa_and_its_gradient_is_exact(dimension):
    """d KL / dκ = κ A'(κ), for large κ (Z − 1) / 2κ."""
    kl = vmf.kl_uniform(dimension, KAPPAS).numpy()
    assert np.all(np.diff(kl[KAPPAS > 1]) > 0) and kl.min() > -1e-7
    wide = KAPPAS[(KAPPAS > 0.1) & (KAPPAS < 1e3)].astype("float64")
    mean = ratio(dimension / 2 - 1, wide)
    expected = wide * (1 - mean**2 - (dimension - 1) / wide * mean)
    np.testing.assert_allclose(gradient(lambda k: vmf.kl_uniform(dimension, k), wide), expected, rtol=2e-3)
    far = gradient(lambda k: vmf.kl_uniform(dimension, k), np.array([1e5]))
    np.testing.assert_allclose(far, (dimension - 1) / 2e5, rtol=5e-3)


@pytest.mark.parametrize("dimension", [2, 3, 40])
def test_kl_is_the_mean_log_ratio_of_draws(dimension):
    z = draws(dimension, 6.0, 40_000)
    log_density = vmf.log_density(z, np.eye(dimension)[-1], np.full((1, 1), 6.0)).numpy()
    log_ratio = log_density.astype("float64") + vmf.log_area(dimension)
    error = log_ratio.std() / 200
    assert float(vmf.kl_uniform(dimension, 6.0)) == pytest.approx(log_ratio.mean(), abs=4 * error)


# ---- draws


@pytest.mark.parametrize("dimension", [2, 3, 4, 10, 100])
@pytest.mark.parametrize("kappa", [0.05, 1.0, 30.0, 2000.0])
def test_cosines_of_draws_have_their_moments_and_distribution(dimension, kappa):
    z = draws(dimension, kappa, 20_000)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-6)
    angles = np.arctan2(np.linalg.norm(z[:, :-1], axis=-1).astype("float64"), z[:, -1])
    cosines = np.cos(angles)
    for power in (1, 2):
        values = cosines**power
        assert values.mean() == pytest.approx(moment(dimension, kappa, power), abs=4 * values.std() / 141)
    below = np.cumsum(angle_weights(dimension, kappa))
    found = stats.kstest(angles, lambda angle: np.interp(angle, GRID[1:], (below[1:] + below[:-1]) / 2))
    assert found.pvalue > 1e-4, found


def test_mean_resultant_is_the_bessel_ratio_times_the_mean_direction():
    mean = vmf.unit(np.random.default_rng(3).normal(size=(5, 6))).numpy()
    z = vmf.draw(mean, np.full((5, 1), 9.0, "float32"), Random(), 20_000).numpy()
    length = special.ive(3, 9.0) / special.ive(2, 9.0)
    np.testing.assert_allclose(z.mean(0), length * mean, atol=4 * 0.4 / 141)


@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_tangents_are_uniform_around_every_mean_direction(dimension):
    """The spread in all directions across the mean is that of theory, also where a Householder vector could vanish."""
    axes = np.eye(dimension, dtype="float32")
    mean = np.concatenate([axes, -axes, vmf.unit(axes + 0.3)])
    z = vmf.draw(mean, np.full((len(mean), 1), 3.0, "float32"), Random(), 20_000).numpy().astype("float64")
    second = np.einsum("sbi,sbj->bij", z, z) / len(z)
    along = moment(dimension, 3.0, 2)
    outer = mean[:, :, None] * mean[:, None]
    expected = along * outer + (1 - along) / (dimension - 1) * (np.eye(dimension) - outer)
    np.testing.assert_allclose(second, expected, atol=4 * 0.5 / 141)


@pytest.mark.parametrize("dimension", [2, 3, 8, 100])
@pytest.mark.parametrize("kappa", [1.0, 10.0, 1000.0])
def test_gradient_of_a_mean_over_draws_is_unbiased(dimension, kappa):
    """d E[cos θ] / dκ = A'(κ): the derivative along the proposal alone misses it by 44 % at Z = 2, κ = 1."""
    kappas = tf.fill((20_000,), kappa)
    uniforms = Random().uniform((20_000, 3, vmf.PROPOSALS))
    with tf.GradientTape() as tape:
        tape.watch(kappas)
        angle = vmf.draw_angle(dimension, kappas, uniforms)
        cosine = tf.cos(angle)
    slopes = tape.gradient(cosine, kappas).numpy().astype("float64")
    mean = special.ive(dimension / 2, kappa) / special.ive(dimension / 2 - 1, kappa)
    expected = 1 - mean**2 - (dimension - 1) / kappa * mean
    assert slopes.mean() == pytest.approx(expected, abs=4 * slopes.std() / 141)
    assert np.all(slopes >= 0)  # a larger κ moves every quantile towards the mean direction


def test_slope_of_the_angle_keeps_its_quantile():
    """By central differences of the quantile function in closed form, at Z = 3."""

    def cosine(u, kappa):
        return 1 + np.log(u + (1 - u) * np.exp(-2 * kappa)) / kappa

    u, kappa = np.linspace(0.01, 0.99, 50), np.full(50, 2.5)
    expected = central(lambda k: np.arccos(cosine(u, k)), kappa)
    angle = np.arccos(cosine(u, kappa)).astype("float32")
    np.testing.assert_allclose(vmf.angle_slope(3, kappa.astype("float32"), angle), expected, rtol=1e-4)


def test_reflection_carries_the_first_axis_and_keeps_lengths_and_angles():
    rng = np.random.default_rng(0)
    mean = vmf.unit(np.concatenate([rng.normal(size=(20, 4)), np.eye(4), -np.eye(4)])).numpy()
    matrix = np.stack([vmf.reflect(np.tile(axis, (28, 1)), mean) for axis in np.eye(4, dtype="float32")], axis=-1)
    np.testing.assert_allclose(matrix[..., 0], mean, atol=1e-6)
    np.testing.assert_allclose(np.swapaxes(matrix, 1, 2) @ matrix, np.tile(np.eye(4), (28, 1, 1)), atol=1e-6)


def test_gradient_to_the_mean_direction_is_unbiased():
    """d E[aᵀz] / dμ = A a across μ."""
    mean = vmf.unit(np.array([[0.6, -0.2, 0.5, 0.4]]))
    a = np.array([0.3, 1.0, -0.5, 0.2], "float32")
    with tf.GradientTape() as tape:
        tape.watch(mean)
        z = vmf.draw(vmf.unit(mean), np.full((1, 1), 5.0, "float32"), Random(), 50_000)
        value = tf.reduce_mean(tf.linalg.matvec(z, a))
    direction = mean.numpy()[0]
    expected = special.ive(2, 5.0) / special.ive(1, 5.0) * (a - direction * (a @ direction))
    np.testing.assert_allclose(tape.gradient(value, mean)[0], expected, atol=0.02)


class Fixed:
    """Random numbers that are what they are told."""

    def __init__(self, uniform, normal):
        self.values = uniform, normal

    def uniform(self, shape):
        return tf.fill(shape, self.values[0])

    def normal(self, shape):
        return tf.fill(shape, self.values[1])


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2.0**-24, 0.5])
@pytest.mark.parametrize("normal", [0.0, -1.0])
def test_extreme_random_numbers_give_unit_vectors_and_finite_gradients(uniform, normal):
    for dimension in (2, 3, 50):
        for kappa in (0.001, 1.0, 1e5):
            kappas = tf.fill((4, 1), kappa)
            mean = tf.constant(np.eye(dimension, dtype="float32")[[0, 0, 1, 1]] * np.array([[1], [-1], [1], [-1]]))
            with tf.GradientTape() as tape:
                tape.watch((kappas, mean))
                z = vmf.draw(tf.cast(mean, "float32"), kappas, Fixed(uniform, normal))
            np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-5)
            assert all(np.isfinite(g).all() for g in tape.gradient(z, (kappas, mean)))


@pytest.mark.parametrize("jit", [False, True])
def test_all_runs_compiled_with_a_batch_of_any_size(jit):
    class Given:
        def __init__(self, *values):
            self.values = values

        def uniform(self, shape):
            return tf.reshape(self.values[0], shape)

        def normal(self, shape):
            return tf.reshape(self.values[1], shape)

    def step(mean, kappa, uniform, normal):
        with tf.GradientTape() as tape:
            tape.watch((mean, kappa))
            z = vmf.draw(mean, kappa, Given(uniform, normal), 2)
            value = tf.reduce_sum(vmf.log_density(z, tf.stop_gradient(mean), kappa)) + tf.reduce_sum(z[..., 0])
            value += tf.reduce_sum(vmf.kl_uniform(3, kappa))
        return z, value, *tape.gradient(value, (mean, kappa))

    rng = np.random.default_rng(0)
    inputs = (vmf.unit(rng.normal(size=(5, 3))), tf.constant(np.geomspace(1, 1e3, 5)[:, None], "float32"))
    inputs += (Random().uniform((2, 5, 3, vmf.PROPOSALS)), Random().normal((2, 5, 2)))
    signature = [tf.TensorSpec((None, *x.shape[1:]) if i < 2 else x.shape) for i, x in enumerate(inputs)]
    compiled = tf.function(step, jit_compile=jit, input_signature=signature)
    for ours, eager in zip(compiled(*inputs), step(*inputs), strict=True):
        np.testing.assert_allclose(ours, eager, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("call", [
    lambda: vmf.log_area(1),
    lambda: vmf.log_normaliser(1, 1.0),
    lambda: vmf.kl_uniform(0, 1.0),
    lambda: vmf.draw(np.ones((2, 1)), np.ones((2, 1)), Random()),
])  # fmt: skip
def test_too_few_dimensions_are_refused(call):
    with pytest.raises(InputError, match="at least 2 dimensions. Received: [01]"):
        call()


def test_narrow_types_are_widened():
    for dtype in ("bfloat16", "float16"):
        kappa = keras.ops.cast(np.array([2.0]), dtype)
        for value in (vmf.log_bessel(1.0, kappa), vmf.kl_uniform(3, kappa), vmf.unit(keras.ops.cast(np.eye(2), dtype))):
            assert keras.backend.standardize_dtype(value.dtype) == "float32"
