"""Wasserstein autoencoder: the discrepancy against a double loop and a closed form; the codes get to the prior."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.linalg import sqrtm

import kerasae
from kerasae.distributions.priors import UniformSphere
from kerasae.errors import InputError
from kerasae.models import GaussianWassersteinAutoencoder, WassersteinAutoencoder
from kerasae.models.gaussian_wasserstein import to_normal
from kerasae.models.wasserstein import several_scales
from kerasae.ops import gaussian_w2, inverse_multiquadratic, mmd, rbf

RNG = np.random.default_rng(0)


def kernel(one, other, kind, scales):
    """Σ_s k_s of two points, C_s = 2 Z s."""
    squared, base = ((one - other) ** 2).sum(), 2.0 * len(one)
    if kind == "rbf":
        return sum(np.exp(-squared / (base * s)) for s in scales)
    return sum(base * s / (base * s + squared) for s in scales)


def double_loop(x, y, kind, scales):
    """The U-statistic as algorithm 2 writes it, n = len(x) = len(y)."""
    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                both = kernel(x[i], x[j], kind, scales) + kernel(y[i], y[j], kind, scales)
                total += both / (n * (n - 1))
            total -= 2.0 * kernel(x[i], y[j], kind, scales) / n**2
    return total


def model_of(code=3, **options):
    networks = kerasae.networks.dense((6,), code, (5,), activation="tanh")
    return WassersteinAutoencoder(*networks, **{"pixel_max": 15.0, **options})


def kernel_of(model):
    return several_scales(model.kernel, model.scales, *model.code_shape)


@pytest.mark.parametrize("kind", ["inverse_multiquadratic", "rbf"])
@pytest.mark.parametrize("scales", [(1.0,), (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)])
def test_discrepancy_is_the_double_loop(kind, scales):
    x, y = RNG.normal(size=(7, 4)), RNG.normal(1.0, 2.0, size=(7, 4))
    model = model_of(4, kernel=kind, scales=scales)
    found = float(mmd(x.astype("float32"), y.astype("float32"), kernel_of(model)))
    assert found == pytest.approx(double_loop(x, y, kind, scales), rel=1e-4, abs=1e-6)


def test_objective_is_of_codes_and_prior_draws():
    """The draws of evaluation are those of the same source, which gives the same again."""
    model, x = model_of(scales=(0.5, 2.0)), RNG.integers(0, 16, (9, 6)).astype("uint8")
    term = model.objective(model.prepare(x))["mmd"]
    draws = np.array(model.random(False).normal((9, 3)))
    expected = double_loop(np.array(model.encode(x)), draws, "inverse_multiquadratic", (0.5, 2.0))
    assert float(term.value) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_discrepancy_of_two_gaussians_has_its_closed_form():
    """E exp(−‖d‖²/C) for d ~ N(m, v I) is Π (1 + 2v/C)^−½ exp(−m²/(C + 2v)): the mean of many estimates."""
    shift, constant, dims, size = 0.8, 6.0, 2, 40
    x, y = RNG.normal(size=(300, size, dims)), RNG.normal(shift, 1.0, size=(300, size, dims))
    each = [float(mmd(a, b, lambda squared: rbf(squared, constant))) for a, b in zip(x, y, strict=True)]
    same = (1 + 4.0 / constant) ** (-dims / 2)
    expected = 2 * same * (1 - np.exp(-dims * shift**2 / (constant + 4.0)))
    assert np.mean(each) == pytest.approx(expected, abs=4 * np.std(each) / np.sqrt(len(each)))
    null = [float(mmd(a, b, lambda squared: rbf(squared, constant))) for a, b in zip(x[::2], x[1::2], strict=True)]
    assert abs(np.mean(null)) < 4 * np.std(null) / np.sqrt(len(null)) and min(null) < 0, "no bias"


def test_kernels_are_one_at_no_distance_and_fall():
    squared = np.float32([0.0, 3.0, 1e6])
    np.testing.assert_allclose(inverse_multiquadratic(squared, 3.0), [1.0, 0.5, 3e-6], rtol=1e-3)
    np.testing.assert_allclose(rbf(squared, 3.0), [1.0, np.exp(-1), 0.0], rtol=1e-6)


def test_equal_points_have_finite_gradients():
    codes = tf.Variable(tf.zeros((5, 3)))
    with tf.GradientTape() as tape:
        value = mmd(codes, tf.zeros((4, 3)), kernel_of(model_of()))
    assert abs(float(value)) < 1e-5 and np.isfinite(tape.gradient(value, codes)).all()


def test_one_example_has_no_pairs():
    model = model_of(scales=(1.0,))
    draw, code = np.float32([[1.0, 0.0, 0.0]]), np.zeros((1, 3), "float32")
    assert float(mmd(code, draw, kernel_of(model))) == pytest.approx(-2 * 6 / (6 + 1))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kernel": "linear"}, "kernel must be one of inverse_multiquadratic, rbf. Received: 'linear'"),
        ({"scales": ()}, "scales"),
        ({"scales": (1.0, 0.0)}, "scales"),
        ({"prior": "uniform"}, "prior"),
        ({"mmd_weight": -1.0}, "mmd_weight must be ≥ 0.0"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)


def test_samples_are_decoded_draws_of_the_prior():
    model = model_of(prior=UniformSphere())
    draws = model.prior.draw((4, 3), kerasae.layers.draws.Draws(5))
    np.testing.assert_allclose(np.linalg.norm(draws, axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(model.sample(4, seed=5), model.decode(draws))


def test_learns_digits_and_brings_the_codes_to_the_prior():
    """Beats the mean image, and the codes come nearer to N(0, I) than those of a plain autoencoder."""
    source = kerasae.data.load("digits")
    (train, _), (test, _) = source.train.arrays(), source.test.arrays()

    def trained(weight):
        keras.utils.set_random_seed(1)
        networks = kerasae.networks.dense((8, 8, 1), 8, (64,))
        model = WassersteinAutoencoder(*networks, pixel_max=16.0, mmd_weight=weight)
        model.compile(keras.optimizers.Adam(3e-3))
        model.fit(train, batch_size=128, epochs=30, verbose=0)
        return model

    model, plain = trained(30.0), trained(0.0)
    error = np.mean((model.reconstruct(test) - test / 16.0) ** 2)
    baseline = np.mean((train.mean(0) - test) ** 2) / 16.0**2
    figures = [one.evaluate(test, batch_size=len(test), verbose=0, return_dict=True)["mmd"] for one in (model, plain)]
    print("error", error, "mean image", baseline, "mmd", figures)
    assert error < 0.5 * baseline
    assert figures[0] < 0.05 < figures[1]
    codes = np.array(model.encode(test))
    assert np.abs(codes.mean(0)).max() < 0.3 and np.all((codes.std(0) > 0.7) & (codes.std(0) < 1.3))


# ---- the distance of two Gaussians


def covariance(size, seed, rank=None):
    roots = np.random.default_rng(seed).normal(size=(size, rank or size + 2))
    return (roots @ roots.T / roots.shape[1]).astype("float32")


@pytest.mark.parametrize("size", [1, 2, 7])
def test_distance_of_gaussians_is_that_of_scipys_matrix_roots(size):
    m, n, s, t = RNG.normal(size=size), RNG.normal(size=size), covariance(size, 1), covariance(size, 2)
    root = sqrtm(t)
    expected = ((m - n) ** 2).sum() + np.trace(s + t - 2 * sqrtm(root @ s @ root).real)
    given = [tf.constant(v, tf.float32) for v in (m, s, n, t)]
    assert float(gaussian_w2(*given)) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert float(gaussian_w2(given[2], given[3], *given[:2])) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_gradient_of_the_distance_to_the_normal_is_that_of_finite_differences():
    codes = RNG.normal(0.5, 2.0, size=(9, 3))

    def distance(z):  # in float64: W₂² = ‖m‖² + Σ (√λ − 1)², λ the eigenvalues of the covariance
        return (z.mean(0) ** 2).sum() + ((np.sqrt(np.linalg.eigvalsh(np.cov(z.T, bias=True))) - 1) ** 2).sum()

    z = tf.Variable(codes.astype("float32"))
    with tf.GradientTape() as tape:
        found = to_normal(z)
    gradient = tape.gradient(found, z).numpy()
    assert float(found) == pytest.approx(distance(codes), rel=1e-4)
    for place in ((0, 0), (4, 2), (8, 1)):
        step = np.zeros_like(codes)
        step[place] = 1e-5
        slope = (distance(codes + step) - distance(codes - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_distance_of_fewer_codes_than_dimensions_has_a_finite_gradient():
    z = tf.Variable(RNG.normal(size=(3, 5)).astype("float32"))
    with tf.GradientTape() as tape:
        found = to_normal(z)
    assert np.isfinite(tape.gradient(found, z)).all()


def test_codes_get_the_moments_of_the_prior():
    keras.utils.set_random_seed(3)
    x = RNG.normal(size=(512, 6)).astype("float32") @ RNG.normal(size=(6, 6)).astype("float32")
    model = GaussianWassersteinAutoencoder(*kerasae.networks.dense((6,), 3, (32,)), w2_weight=10.0)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(x, batch_size=128, epochs=60, verbose=0)
    codes = np.array(model.encode(x))
    assert np.abs(codes.mean(0)).max() < 0.2
    assert np.abs(np.cov(codes.T) - np.eye(3)).max() < 0.3
    assert model.sample(5, seed=1).shape == (5, 6)
