"""The mixture of posteriors of pseudo-inputs as a prior: density, training, saving, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import norm

import kerasae
from kerasae.errors import InputError
from kerasae.models import VampPrior, VariationalAutoencoder
from kerasae.models.contract.terms import logged

RNG = np.random.default_rng(0)
X = RNG.random((8, 3, 2)).astype("float32")
Z = RNG.normal(size=(5, 2)).astype("float32")


def vae(components=4, **options):
    networks = kerasae.networks.dense((3, 2), 2, (6,), posterior="gaussian")
    return VariationalAutoencoder(*networks, prior=VampPrior(components, seed=3), **options)


def log_mixture(encoded, z):
    """log (1/K) Σ_k N(z; μ_k, σ_k): [..., Z] → [...]."""
    mean, deviation = encoded[:, :2], np.exp(encoded[:, 2:] / 2)
    each = norm(mean, deviation).logpdf(z[..., None, :]).sum(-1)
    return logsumexp(each, axis=-1) - np.log(len(encoded))


def test_density_is_numpys():
    model = vae()
    (logits,) = model.prior.get_weights()
    encoded = np.asarray(model.encoder(1 / (1 + np.exp(-logits))))
    assert logits.shape == (4, 3, 2)
    np.testing.assert_allclose(model.bound_prior().log_prob(Z), log_mixture(encoded, Z), rtol=1e-4, atol=1e-5)


def test_equal_pseudo_inputs_are_one_posterior():
    model = vae()
    logits = model.prior.get_weights()[0]
    model.prior.set_weights([np.repeat(logits[:1], 4, axis=0)])
    encoded = model.encoder(keras.ops.sigmoid(logits[:1]))
    np.testing.assert_allclose(model.bound_prior().log_prob(Z), model.posterior.log_prob(encoded, Z), rtol=1e-5)
    batch = model.prepare(keras.ops.sigmoid(logits[:1]))  # q(z | x) itself is the prior
    np.testing.assert_allclose(logged(model.objective(batch, training=True)["kl"]), 0.0, atol=1e-5)


def test_divergence_is_the_log_ratio_at_the_draw():
    model = vae(pixel_max=1.0)
    batch = model.prepare(X)
    encoded = np.asarray(model.encoder(X))
    noise = model.random(False).normal((8, 2)).numpy()
    z = encoded[:, :2] + np.exp(encoded[:, 2:] / 2) * noise
    log_q = norm(encoded[:, :2], np.exp(encoded[:, 2:] / 2)).logpdf(z).sum(-1)
    pseudo = np.asarray(model.encoder(model.prior.pseudo_inputs()))
    expected = log_q - log_mixture(pseudo, z)
    np.testing.assert_allclose(logged(model.objective(batch)["kl"]), expected, rtol=1e-3, atol=1e-4)
    logits = np.asarray(model.decoder(z)).reshape(8, -1)
    log_p = (X.reshape(8, -1) * logits - np.logaddexp(0, logits)).sum(-1)
    np.testing.assert_allclose(model.log_weight(X, 1, seed=0)[0], log_p - expected, rtol=1e-3, atol=1e-3)


def test_gradient_reaches_pseudo_inputs_and_encoder():
    model = vae()
    model.compile("sgd")
    update = model.propose(X).updates[0]
    slopes = {w.path: g for w, g in zip(update.weights, update.gradients, strict=True)}
    pseudo = next(g for w, g in zip(update.weights, update.gradients, strict=True) if w is model.prior.logits)
    assert len(slopes) == 9 and all(np.abs(g).max() > 0 for g in slopes.values())
    with tf.GradientTape() as tape:
        loss = model.losses_of(model.prepare(X), training=False)[0]
    assert pseudo.shape == tape.gradient(loss, model.prior.logits.value).shape == (4, 3, 2)


def test_evaluates_alike_and_samples_by_seed():
    model = vae()
    model.compile("sgd")
    before = [np.array(v) for v in model.variables]
    assert model.evaluate(X, verbose=0) == model.evaluate(X, verbose=0)
    np.testing.assert_array_equal(model.sample(6, seed=1), model.sample(6, seed=1))
    assert np.any(np.asarray(model.sample(6, seed=1)) != model.sample(6, seed=2))
    np.testing.assert_array_equal(model.bound(X, 3, seed=2), model.bound(X, 3, seed=2))
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable)


def test_samples_are_those_of_the_mixture():
    model = vae()
    z = np.asarray(model.bound_prior().draw((20_000, 2), kerasae.layers.draws.Draws(0)))
    encoded = np.asarray(model.encoder(model.prior.pseudo_inputs()))
    mean, variance = encoded[:, :2], np.exp(encoded[:, 2:])
    np.testing.assert_allclose(z.mean(0), mean.mean(0), atol=0.05)
    np.testing.assert_allclose(z.var(0), variance.mean(0) + mean.var(0), rtol=0.06)


@pytest.mark.parametrize("compiled", [False, True])
def test_saves_and_loads(compiled, tmp_path):
    model = vae()
    model.compile("adam")
    model.fit(X, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras", compiled=compiled)
    assert again.prior.get_config() == model.prior.get_config()
    for one, other in ((again.prior.pseudo_inputs(), model.prior.pseudo_inputs()),
                       (again.sample(4, seed=1), model.sample(4, seed=1)), (again.bound(X), model.bound(X)),
                       (again.score(X), model.score(X))):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    if compiled:
        again.seed_generator.state.assign(model.seed_generator.state)  # files of Keras hold no seeds
        model.fit(X, epochs=1, shuffle=False, verbose=0)
        again.fit(X, epochs=1, shuffle=False, verbose=0)
        np.testing.assert_allclose(again.prior.logits, model.prior.logits, rtol=1e-6)


def test_spheres_mix_too():
    networks = kerasae.networks.dense((3, 2), 3, (6,), posterior="von_mises_fisher")
    model = VariationalAutoencoder(*networks, posterior="von_mises_fisher", prior=VampPrior(4))
    model.compile("adam")
    model.fit(X, epochs=2, verbose=0)
    z = model.bound_prior().draw((6, 3), kerasae.layers.draws.Draws(0))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-5)
    assert np.isfinite(model.bound(X, 5)).all()


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="components must be ≥ 1"):
        VampPrior(0)
    networks = kerasae.networks.dense((3, 2), 2, (6,), posterior="gaussian", condition=3)
    with pytest.raises(InputError, match="VampPrior encodes inputs that have no condition"):
        VariationalAutoencoder(*networks, prior=VampPrior(4))
    with pytest.raises(InputError, match="free_bits needs a divergence in closed form"):
        vae(free_bits=0.1)
    with pytest.raises(InputError, match="the prior was built for examples of"):
        VariationalAutoencoder(*kerasae.networks.dense((6,), 2, posterior="gaussian"), prior=vae().prior)


def test_a_condition_of_the_decoder_alone_is_taken():
    encoder, _ = kerasae.networks.dense((3, 2), 2, (6,), posterior="gaussian")
    _, decoder = kerasae.networks.dense((3, 2), 2, (6,), posterior="gaussian", condition=3)
    model = VariationalAutoencoder(encoder, decoder, prior=VampPrior(4))
    model.compile("adam")
    model.fit(X, np.arange(8) % 3, epochs=1, verbose=0)
    assert model.sample(4, y=2, seed=0).shape == (4, 3, 2)


@pytest.mark.slow
def test_its_bound_on_digits_is_no_worse_than_the_standard_priors(capsys):
    """Mean bound of the test images after 60 epochs: −24.39 nats with 50 pseudo-inputs, −24.51 with N(0, 1)."""
    digits = kerasae.data.load("digits")
    train, test = (split.arrays()[0] for split in (digits.train, digits.test))
    bounds, parameters = {}, {}
    for name, prior in (("vamp", VampPrior(50, seed=1)), ("standard", "standard")):
        keras.utils.set_random_seed(4)
        networks = kerasae.networks.dense((8, 8, 1), 8, (64,), posterior="gaussian")
        model = VariationalAutoencoder(*networks, "bernoulli", 16.0, prior=prior)
        model.compile(keras.optimizers.Adam(2e-3))
        start = model.prior.get_weights()[0] if name == "vamp" else None
        model.fit(train, batch_size=64, epochs=60, verbose=0)
        bounds[name] = np.mean([np.mean(model.bound(test, seed=s)) for s in range(5)])
        parameters[name] = start is not None and np.abs(model.prior.get_weights()[0] - start).mean()
    with capsys.disabled():
        print(f"\nbound {bounds}, pseudo-inputs moved by {parameters['vamp']:.2f}")
    assert bounds["vamp"] > bounds["standard"] - 0.3 and parameters["vamp"] > 0.1
