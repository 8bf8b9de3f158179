"""Importance weights, total correlation and InfoVAE: against NumPy, and the gradients against each other."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

import kerasae
from kerasae.distributions import Gaussian, OneHotPosterior, gaussian_kl
from kerasae.errors import InputError
from kerasae.models import (
    ImportanceWeightedAutoencoder,
    InfoVariationalAutoencoder,
    TotalCorrelationAutoencoder,
    VampPrior,
    VariationalAutoencoder,
)
from kerasae.models.total_correlation import total_correlation
from kerasae.optimizers import Cyclical
from pipelines import train
from pipelines.building import variants

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype("float32")


def linear(cls=ImportanceWeightedAutoencoder, code=2, **options):
    """A model whose weights NumPy reads as two matrices."""
    keras.utils.set_random_seed(5)
    networks = kerasae.networks.dense((3,), code, (), posterior="gaussian")
    return cls(*networks, Gaussian(0.8), **options)


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("estimator", ["reparametrised", "doubly"])
def test_negative_bound_is_the_papers_sum_over_draws(samples, estimator):
    model = linear(samples=samples, estimator=estimator)
    batch = model.prepare(X)
    encoded = np.array(model.encoder(X))
    z = np.array(model.posterior.draw(encoded, model.random(False), samples))
    mean, deviation = encoded[:, :2], np.exp(0.5 * encoded[:, 2:])
    log_q = stats.norm.logpdf(z, mean, deviation).sum(-1)
    decoded = np.stack([model.decoder(part) for part in z])
    log_p = stats.norm.logpdf(X, decoded, 0.8).sum(-1) + stats.norm.logpdf(z).sum(-1)
    expected = np.log(samples) - logsumexp(log_p - log_q, axis=0)
    np.testing.assert_allclose(model.objective(batch)["negative_bound"], expected, rtol=1e-4)
    if estimator == "doubly":  # the surrogate has the same value, by other draws
        encoded = model.encoded(batch)
        value = model.doubly_reparametrised(encoded, tf.constant(z), batch)
        np.testing.assert_allclose(value, expected, rtol=1e-4)


def gradients(model, x, draws):
    """Encoder and decoder gradients of the mean loss over many draws of all examples: mean, standard error."""
    rows = np.repeat(x, draws, axis=0)
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    found = []
    for part in np.split(rows, 40):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.objective(model.prepare(part), training=True)["negative_bound"])
        found.append(np.concatenate([np.ravel(g) for g in tape.gradient(loss, model.trainable_variables)]))
    return np.mean(found, 0), np.std(found, 0) / np.sqrt(len(found))


def test_doubly_reparametrised_gradients_have_the_mean_of_the_plain_ones_and_less_spread():
    plain, doubly = (gradients(linear(samples=8, estimator=name), X[:1], 8000) for name in ("reparametrised", "doubly"))
    apart = np.abs(plain[0] - doubly[0]) / np.hypot(plain[1], doubly[1])
    assert apart.max() < 5
    encoder = slice(0, 3 * 4 + 4)
    assert np.mean(doubly[1][encoder]) < 0.8 * np.mean(plain[1][encoder])


def test_one_draw_is_the_plain_bound_and_more_are_tighter():
    model = linear(samples=1)
    twin = linear(VariationalAutoencoder)
    bounds = [float(np.mean(twin.bound(X, samples))) for samples in (1, 50)]
    assert bounds[0] < bounds[1]
    mean = np.mean([model.score(X).numpy().mean() for _ in range(2)])
    assert np.isfinite(mean)


def test_importance_weights_take_a_learned_prior_and_refuse_what_has_no_gradient():
    networks = kerasae.networks.dense((3,), 2, (4,), posterior="gaussian")
    model = ImportanceWeightedAutoencoder(*networks, samples=3, prior=VampPrior(4))
    model.compile(keras.optimizers.Adam(0.01))
    first = model.prior.pseudo_inputs().numpy()
    model.fit(1 / (1 + np.exp(-X)), epochs=2, verbose=0)
    assert np.abs(model.prior.pseudo_inputs() - first).max() > 1e-4
    for options, words in (
        ({"samples": 0}, "samples must be at least 1"),
        ({"estimator": "triply"}, "estimator must be one of"),
    ):
        with pytest.raises(InputError, match=words):
            linear(**options)
    posterior = OneHotPosterior(classes=2)
    with pytest.raises(InputError, match="one-hot codes"):
        ImportanceWeightedAutoencoder(*kerasae.networks.dense((3,), 4, (), posterior=posterior), posterior=posterior)
    with pytest.raises(TypeError, match="beta"):
        linear(beta=2.0)


def test_capacity_is_what_the_divergence_is_held_to():
    model = linear(VariationalAutoencoder, capacity=3.0)
    batch = model.prepare(X)
    term = model.objective(batch)["kl"]
    kl = gaussian_kl(*np.split(np.array(model.encoder(X)), 2, -1)).numpy().sum(-1)
    np.testing.assert_allclose(term.logged, kl, rtol=1e-5)
    np.testing.assert_allclose(term.minimised, np.abs(kl - 3.0), rtol=1e-5)
    model.compile(keras.optimizers.Adam(0.01))
    model.beta = 50.0
    x = np.tile(X, (20, 1))
    model.fit(x, batch_size=30, epochs=60, verbose=0)
    assert model.evaluate(x, verbose=0, return_dict=True)["kl"] == pytest.approx(3.0, abs=0.3)


def test_cycles_rise_and_stay():
    found = [float(Cyclical(0.0, 1.0, steps=16, cycles=2)(step)) for step in range(18)]
    once = [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert found == pytest.approx([*once, *once, 1, 1])
    with pytest.raises(InputError, match="cycles of at least 1"):
        Cyclical(0, 1, 10, 0)


def test_commands_anneal_in_cycles_and_reach_the_arguments_of_parents():
    recipe = train.Recipe(
        variant="total-correlation", anneal={"beta": 0.0}, anneal_cycles=3, options={"beta": 2.0, "gamma": 1.0}
    )
    model = train.build(recipe, kerasae.data.load("digits").info)
    variants.anneal(model, recipe, steps=12)
    schedule = model.knob_schedules()["beta"]
    assert (schedule.first, schedule.last, schedule.cycles) == (0.0, 2.0, 3)
    with pytest.raises(InputError, match="no option 'beta'; it has: .*samples, estimator"):
        train.build(
            train.Recipe(variant="importance-weighted", options={"beta": 2.0}), kerasae.data.load("digits").info
        )


def test_total_correlation_is_the_double_loop():
    z, means, log_variances = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    density = stats.norm.pdf(z[:, None], means, np.exp(0.5 * log_variances))  # [4, 5, 3]
    expected = np.log(density.prod(-1).mean(1)) - np.log(density.mean(1)).sum(-1)
    given = [tf.constant(v, tf.float32) for v in (z, means, log_variances)]
    np.testing.assert_allclose(total_correlation(*given), expected, rtol=1e-3, atol=1e-4)


def test_total_correlation_of_correlated_codes_is_that_of_a_gaussian():
    mixing = np.array([[1.0, 0.0], [0.9, np.sqrt(1 - 0.81)]])
    codes = (RNG.normal(size=(3000, 2)) @ mixing.T).astype("float32")
    narrow = np.full_like(codes, np.log(0.1))  # a kernel density estimate of N(0, S + 0.1 I)
    z = (codes + np.sqrt(0.1) * RNG.normal(size=codes.shape)).astype("float32")
    found = float(np.mean(total_correlation(*map(tf.constant, (z, codes, narrow)))))
    correlation = 0.9 / 1.1
    assert found == pytest.approx(-0.5 * np.log(1 - correlation**2), abs=0.05)


def test_penalised_codes_are_less_dependent():
    factors = RNG.uniform(size=(800, 2))
    x = np.stack([factors[:, 0], factors[:, 0] + factors[:, 1], factors[:, 1]], 1).astype("float32")
    x = (x - x.mean(0)) / x.std(0)

    def dependence(gamma):
        keras.utils.set_random_seed(2)
        networks = kerasae.networks.dense((3,), 2, (32,), posterior="gaussian", activation="tanh")
        model = TotalCorrelationAutoencoder(*networks, Gaussian(0.3), gamma=gamma)
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(x, batch_size=200, epochs=40, verbose=0)
        return model.evaluate(x, batch_size=400, verbose=0, return_dict=True)["total_correlation"]

    assert dependence(10.0) < 0.5 * dependence(0.0)


def test_information_brings_all_codes_to_the_prior_and_not_each():
    x = RNG.normal(size=(600, 3)).astype("float32")

    def trained(weight):
        keras.utils.set_random_seed(5)
        networks = kerasae.networks.dense((3,), 2, (32,), posterior="gaussian", activation="tanh")
        model = InfoVariationalAutoencoder(*networks, Gaussian(0.3), mmd_weight=weight)
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(x, batch_size=100, epochs=25, verbose=0)
        return model.evaluate(x, batch_size=600, verbose=0, return_dict=True)

    free, held = trained(0.0), trained(200.0)
    assert held["mmd"] < 0.3 * free["mmd"] and held["kl"] > 1.0
    assert held["loss"] == pytest.approx(held["reconstruction"] + 200 * held["mmd"], rel=1e-4)
    with pytest.raises(InputError, match="prior must be fixed"):
        linear(InfoVariationalAutoencoder, prior=VampPrior(2))
