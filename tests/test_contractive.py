"""Contractive autoencoders: the Jacobian of the encoder against finite differences of a NumPy encoder."""

import time

import keras
import numpy as np
import pytest
from scipy.special import expit

import kerasae
from kerasae.errors import InputError
from kerasae.models import ContractiveAutoencoder
from kerasae.ops import jacobian_products

X = np.random.default_rng(0).uniform(size=(7, 6)).astype("float32")
ACTIVATIONS = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "softplus": lambda a: np.logaddexp(a, 0),
    None: lambda a: a,
}


def model_of(widths=(5,), activation="sigmoid", **options):
    keras.utils.set_random_seed(4)
    pair = kerasae.networks.dense((6,), 4, widths, activation="tanh", code_activation=activation)
    model = ContractiveAutoencoder(*pair, **options)
    for bias in (w for w in model.encoder.weights if w.path.endswith("bias")):
        bias.assign(np.linspace(-0.5, 0.6, bias.shape[0]))
    return model


def encoder_of(model, activation="sigmoid"):
    """The encoder in NumPy, in double precision."""
    weights = [np.asarray(w, dtype=float) for w in model.encoder.weights]

    def encode(x):
        for i in range(0, len(weights), 2):
            last = i == len(weights) - 2
            x = (ACTIVATIONS[activation] if last else np.tanh)(x @ weights[i] + weights[i + 1])
        return x

    return encode


def jacobian(encode, x, step=1e-5):
    """Central differences: [B, D] → [B, Z, D]."""
    shifts = step * np.eye(x.shape[1])
    return np.stack([(encode(x + e) - encode(x - e)) / (2 * step) for e in shifts], axis=-1)


def term(model, name, repeats=None):
    """A term of each example; with `repeats`, of that many draws in training: [repeats, B]."""
    batch = model.prepare(X if repeats is None else np.tile(X, (repeats, 1)))
    found = np.asarray(model.objective(batch, training=repeats is not None)[name])
    return found if repeats is None else found.reshape(repeats, len(X))


@pytest.mark.parametrize("widths", [(), (5,), (5, 8)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_exact_penalty_is_the_one_of_finite_differences(widths, activation):
    model = model_of(widths, activation)
    expected = np.square(jacobian(encoder_of(model, activation), X.astype(float))).sum((1, 2))
    np.testing.assert_allclose(term(model, "contraction"), expected, rtol=1e-4)
    assert (model.only_layer is None) == bool(widths or activation == "softplus")


def test_the_stochastic_penalty_has_the_mean_of_the_exact_one_within_its_error():
    exact = term(model_of(), "contraction")
    model = model_of(penalty="stochastic", draws=3)
    drawn = term(model, "contraction", repeats=300)
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(0) - exact) < 4.5 * error) and np.all(error < 0.1 * exact)
    more = term(model_of(penalty="stochastic", draws=48), "contraction", repeats=300)
    np.testing.assert_allclose(more.std(0), drawn.std(0) / 4, rtol=0.3)  # 16 times as many draws


@pytest.mark.parametrize("widths", [(), (5,)])
def test_curvature_is_the_change_of_the_jacobian_at_a_noisy_input(widths):
    model = model_of(widths, higher_order=0.5, noise=0.3)
    draws = term(model, "curvature", repeats=300)
    encode, rng = encoder_of(model), np.random.default_rng(1)
    here = jacobian(encode, X.astype(float))
    noisy = [jacobian(encode, X + rng.normal(scale=0.3, size=X.shape)) for _ in range(1000)]
    expected = np.mean([np.square(there - here).sum((1, 2)) for there in noisy], axis=0)
    error = draws.std(0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(0) - expected) < 4.5 * error + 0.05 * expected)
    assert model.terms == ("reconstruction", "contraction", "curvature")
    assert model_of().terms == ("reconstruction", "contraction")


@pytest.mark.parametrize("widths", [(), (5,)])
@pytest.mark.parametrize("jit", [False, True])
def test_a_step_descends_the_penalty(widths, jit):
    """With λ alone, plain descent moves the kernel along the differences of the mean penalty."""
    model = model_of(widths, contraction_weight=1e6)
    kernel = model.encoder.layers[-1].kernel
    before, spot, step = np.asarray(kernel).copy(), (2, 1), 1e-3

    def mean_at(value):
        changed = before.copy()
        changed[spot] = value
        kernel.assign(changed)
        return np.square(jacobian(encoder_of(model), X.astype(float))).sum((1, 2)).mean()

    slope = (mean_at(before[spot] + step) - mean_at(before[spot] - step)) / (2 * step)
    kernel.assign(before)
    model.compile(keras.optimizers.SGD(1e-7), jit_compile=jit)
    model.train_on_batch(X)
    assert (before - np.asarray(kernel))[spot] / 1e-7 / 1e6 == pytest.approx(slope, rel=1e-2)


def test_a_compiled_step_is_compiled_once():
    """The steps after the first take a small part of its time."""
    model = model_of(penalty="stochastic", draws=2)
    model.compile("adam", jit_compile=True)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        model.train_on_batch(X)
        seconds.append(time.perf_counter() - start)
    assert min(seconds[1:]) < seconds[0] / 5


def test_products_are_those_of_the_jacobian():
    x, v = keras.ops.convert_to_tensor(X[:, :2]), np.random.default_rng(2).normal(size=(3, 7, 2)).astype("float32")
    z, rows = jacobian_products(lambda x: keras.ops.stack([x[:, 0] * x[:, 1], x[:, 0] ** 2], -1), x, v)
    a, b = X[:, 0], X[:, 1]
    np.testing.assert_allclose(z, np.stack([a * b, a**2], -1), rtol=1e-6)
    expected = np.stack([v[..., 0] * b + v[..., 1] * 2 * a, v[..., 0] * a], -1)
    np.testing.assert_allclose(rows, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"penalty": "l2"}, "penalty must be one of exact, stochastic. Received: 'l2'"),
        ({"contraction_weight": -1.0}, "contraction_weight must be ≥ 0.0"),
        ({"higher_order": -1.0}, "higher_order must be ≥ 0.0"),
        ({"draws": 0}, "draws must be positive"),
        ({"noise": 0.0}, "noise must be > 0"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)


def test_digits_are_encoded_by_a_far_smaller_jacobian():
    """Eight times smaller in its square than without the penalty, at an error well below that of the mean image."""
    source = kerasae.data.load("digits")
    (train, _), (test, _) = source.train.arrays(), source.test.arrays()

    def figures(weight):
        keras.utils.set_random_seed(1)
        pair = kerasae.networks.dense((8, 8, 1), 64, (), code_activation="sigmoid", tied=True)
        model = ContractiveAutoencoder(*pair, "bernoulli", pixel_max=16.0, contraction_weight=weight)
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(train, batch_size=128, epochs=30, verbose=0)
        rates = model.objective(model.prepare(test))["contraction"]
        return np.mean((model.reconstruct(test) - test / 16.0) ** 2), float(np.mean(rates))

    (error, norm), (free_error, free_norm) = figures(1.0), figures(0.0)
    baseline = np.mean((train.mean(0) - test) ** 2) / 16.0**2
    print("λ = 1", error, norm, "λ = 0", free_error, free_norm, "mean", baseline)
    assert norm < free_norm / 8 and error < 0.4 * baseline
