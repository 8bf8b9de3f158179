"""The hyperspherical variational autoencoder: a `VariationalAutoencoder` with a von Mises–Fisher posterior."""

import keras
import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.special import ive, softplus

import kerasae
from kerasae.distributions import VonMisesFisherPosterior, von_mises_fisher
from kerasae.errors import InputError
from kerasae.models import VariationalAutoencoder
from kerasae.models.contract.terms import logged

RNG = np.random.default_rng(0)
X = (RNG.random((6, 5)) < 0.5).astype("float32")


def spherical(code=3, shape=(5,), widths=(8,), **options):
    networks = kerasae.networks.dense(shape, code, widths, posterior="von_mises_fisher")
    return VariationalAutoencoder(*networks, posterior="von_mises_fisher", **options)


def with_large_weights(model):
    """The same model with weights of order 1, whose posterior is far from the prior."""
    model.set_weights([w if w.size < 2 else RNG.normal(0, 0.8, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def log_bernoulli(model, z, x=X):
    """log p(x | z): z [..., Z] → [...]."""
    logits = np.asarray(model.decoder(z), np.float64)
    return np.sum(x * logits - np.logaddexp(0, logits), axis=-1)


def test_objective_is_that_of_the_distribution_functions():
    model = with_large_weights(spherical(beta=0.5))
    encoded = np.asarray(model.encoder(X), np.float64)
    direction = encoded[:, :3] / np.linalg.norm(encoded[:, :3], axis=1, keepdims=True)
    kappa = softplus(encoded[:, 3:]) + 1
    z = von_mises_fisher.draw(direction, kappa, model.random(training=False))
    kl = np.asarray(von_mises_fisher.kl_uniform(3, kappa))[:, 0]
    # on S²: log(κ / sinh κ) + κ coth κ − 1
    k = kappa[:, 0]
    np.testing.assert_allclose(kl, np.log(k / np.sinh(k)) + k / np.tanh(k) - 1, rtol=1e-4, atol=1e-5)
    found = model.objective(model.prepare(X))
    np.testing.assert_allclose(found["reconstruction"], -log_bernoulli(model, z), rtol=1e-4)
    np.testing.assert_allclose(logged(found["kl"]), kl, rtol=1e-4, atol=1e-5)
    model.compile("sgd")
    loss = model.evaluate(X, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(np.mean(-log_bernoulli(model, z) + 0.5 * kl), rel=1e-4)


def test_codes_are_unit_vectors():
    model = with_large_weights(spherical())
    z = np.asarray(model.encode(X))
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    encoded = np.asarray(model.encoder(X))[:, :3]
    np.testing.assert_allclose(z, encoded / np.linalg.norm(encoded, axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_samples_decode_uniform_directions():
    model = with_large_weights(spherical())
    z = np.asarray(model.bound_prior().draw((4000, 3), kerasae.layers.draws.Draws(5)))
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    assert np.abs(z.mean(0)).max() < 0.05 and np.abs(z.T @ z / 4000 - np.eye(3) / 3).max() < 0.03
    np.testing.assert_allclose(model.sample(4000, seed=5), model.decode(z), rtol=1e-5, atol=1e-6)


def test_importance_weights_integrate_to_the_likelihood_on_the_circle():
    """log p(x) = log ∫ p(x | z) dθ / 2π by SciPy, to the mean weight of 20,000 draws and its spread."""
    model = with_large_weights(spherical(code=2))

    def integrand(angle):
        return np.exp(log_bernoulli(model, np.tile(np.float32([[np.cos(angle), np.sin(angle)]]), (6, 1)))) / (2 * np.pi)

    exact = np.log(quad_vec(integrand, -np.pi, np.pi, epsrel=1e-5)[0])
    weights = np.asarray(model.log_weight(X, 20_000, seed=1), np.float64)
    estimate = np.log(np.exp(weights).mean(0))
    error = np.exp(weights - estimate).std(0) / np.sqrt(20_000)
    assert error.max() < 0.05
    np.testing.assert_array_less(np.abs(estimate - exact), 5 * error + 1e-4)
    # the mean log weight is the bound, E log p(x | z) − KL; log I₀ by SciPy
    encoded = np.asarray(model.encoder(X), np.float64)
    kappa = softplus(encoded[:, 2]) + 1
    kl = kappa * ive(1, kappa) / ive(0, kappa) - np.log(ive(0, kappa)) - kappa
    z = model.posterior.draw(encoded, kerasae.layers.draws.Draws(1), 20_000)
    log_p = log_bernoulli(model, np.asarray(z).reshape(-1, 2), np.tile(X, (20_000, 1))).reshape(20_000, 6)
    spread = 5 * weights.std(0) / np.sqrt(20_000) + 1e-4
    np.testing.assert_array_less(np.abs(weights.mean(0) - (log_p.mean(0) - kl)), spread)
    assert np.all(weights.mean(0) < exact)


def test_learns_digits(capsys):
    """Bound of the test digits in nats, 5 dimensions: −24.7; the mean image −27.2."""
    digits = kerasae.data.load("digits")
    train, test = (split.arrays()[0] for split in (digits.train, digits.test))
    model = spherical(code=5, shape=(8, 8, 1), widths=(64,), pixel_max=16.0)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(train, batch_size=64, epochs=40, verbose=0)
    bound = np.mean(model.bound(test))
    mean = np.clip(train.mean(0) / 16.0, 1e-3, 1 - 1e-3)
    x = test / 16.0
    baseline = np.mean(np.sum(x * np.log(mean) + (1 - x) * np.log(1 - mean), axis=(1, 2, 3)))
    kl = np.mean(logged(model.objective(model.prepare(test))["kl"]))
    with capsys.disabled():
        print(f"\nsphere: bound {bound:.2f}, KL {kl:.2f}; mean image {baseline:.2f}")
    assert bound > baseline + 2 and kl > 1


@pytest.mark.parametrize("code", [2, 3, 6])
def test_saves_and_loads(code, tmp_path):
    model = spherical(code)
    model.compile("adam")
    model.fit(X, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    for one, other in ((again.sample(3, seed=1), model.sample(3, seed=1)), (again.bound(X, 2), model.bound(X, 2))):
        np.testing.assert_array_equal(one, other)
    assert isinstance(again.posterior, VonMisesFisherPosterior)


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="at least 2 dimensions"):
        spherical(code=1)
    with pytest.raises(InputError, match="of another kind .sphere. than those of StandardNormal"):
        spherical(prior="standard")
    with pytest.raises(InputError, match="the encoder gives"):
        VariationalAutoencoder(*kerasae.networks.dense((5,), 3, posterior="gaussian"), posterior="von_mises_fisher")
