"""Factor-VAE: the density ratio against a closed form, the permutation, and what the penalty does to codes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasae
from kerasae.distributions.posteriors import VonMisesFisherPosterior
from kerasae.errors import InputError
from kerasae.models import FactorVariationalAutoencoder, VariationalAutoencoder
from kerasae.ops import permute_dimensions

RNG = np.random.default_rng(0)


def model_of(**options):
    networks = kerasae.networks.dense((6,), 2, (5,), activation="tanh", posterior="gaussian")
    return FactorVariationalAutoencoder(*networks, **{"pixel_max": 15.0, **options})


def critic(width=64, shape=(2,)):
    x = inputs = keras.Input(shape)
    for _ in range(2):
        x = layers.Dense(width, "relu")(x)
    return keras.Model(inputs, layers.Dense(1)(x))


def test_permutation_is_numpys_column_by_column():
    z, keys = RNG.normal(size=(2, 9, 3, 2)).astype("float32")
    expected = z.copy()
    for index in np.ndindex(3, 2):
        expected[:, *index] = z[np.argsort(keys[:, *index]), *index]
    np.testing.assert_array_equal(permute_dimensions(z, keys), expected)


def test_permutation_keeps_marginals_and_breaks_dependence():
    one = RNG.normal(size=(4000, 1)).astype("float32")
    z = np.concatenate([one, one], axis=1)
    permuted = np.array(permute_dimensions(z, RNG.uniform(size=z.shape)))
    np.testing.assert_array_equal(np.sort(permuted, axis=0), np.sort(z, axis=0))
    assert abs(np.corrcoef(permuted.T)[0, 1]) < 0.06


def test_terms_are_the_logit_and_the_cross_entropy():
    """Of codes whose draws evaluation repeats: the same source gives the same numbers again."""
    model, x = model_of(discriminator=critic(3)), RNG.integers(0, 16, (9, 6)).astype("uint8")
    batch = model.prepare(x)
    terms, random = model.objective(batch), model.random(False)
    z = np.array(model.posterior.draw(model.encoded(batch), random))
    permuted = np.array(permute_dimensions(z, np.array(random.uniform((9, 2)))))
    d, other = (1 / (1 + np.exp(-model.discriminator.predict(c, verbose=0).astype(float)[:, 0])) for c in (z, permuted))
    np.testing.assert_allclose(terms["total_correlation"], np.log(d) - np.log(1 - d), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(terms["discriminator"], -0.5 * np.log(d) - 0.5 * np.log(1 - other), rtol=1e-4)
    plain = VariationalAutoencoder(model.encoder, model.decoder, pixel_max=15.0).objective(batch)
    for name in plain:
        np.testing.assert_allclose(terms[name], plain[name], rtol=1e-5)


@pytest.mark.parametrize("correlation", [0.9, 0.6])
def test_a_trained_discriminator_finds_the_total_correlation_of_a_gaussian(correlation):
    """−½ log(1 − ρ²) nats, by the training step of the model, whose codes are the data and stay so."""
    x = inputs = keras.Input((2,))
    encoder = keras.Model(inputs, layers.Concatenate()([x, layers.Rescaling(0.0, -20.0)(x)]))
    decoder = kerasae.networks.dense((2,), 2, ())[1]
    model = FactorVariationalAutoencoder(encoder, decoder, "gaussian", gamma=1.0, discriminator=critic())
    rate = keras.optimizers.schedules.CosineDecay(3e-3, 2000)
    model.compile(keras.optimizers.SGD(0.0), players={"discriminator": keras.optimizers.Adam(rate)})
    before = [keras.ops.convert_to_numpy(w) for w in decoder.weights]

    def drawn(n):
        return RNG.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n).astype("float32")

    model.fit(drawn(2000 * 256), batch_size=256, verbose=0)
    found = model.evaluate(drawn(20000), batch_size=20000, verbose=0, return_dict=True)["total_correlation"]
    print(found, -0.5 * np.log(1 - correlation**2))
    assert found == pytest.approx(-0.5 * np.log(1 - correlation**2), rel=0.1)
    assert all(map(np.array_equal, before, decoder.weights))


def test_each_player_gets_the_gradient_of_its_own_loss():
    """The model's by the logit of its codes, the discriminator's by the cross-entropy alone."""
    model, x = model_of(gamma=2.0, beta=0.5), RNG.integers(0, 16, (9, 6)).astype("uint8")
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    batch, state = model.prepare(x), np.array(model.seed_generator.state)

    def gradient(loss, weights):
        model.seed_generator.state.assign(state)
        with tf.GradientTape() as tape:
            value = loss({name: tf.reduce_mean(term) for name, term in model.objective(batch, True).items()})
        return tape.gradient(value, weights)

    own = [*model.encoder.trainable_weights, *model.decoder.trainable_weights]
    rival = model.discriminator.trainable_weights
    wanted = gradient(lambda t: t["reconstruction"] + 0.5 * t["kl"] + 2.0 * t["total_correlation"], own)
    wanted += gradient(lambda t: t["discriminator"], rival)
    model.seed_generator.state.assign(state)
    updates = model.propose(x).updates
    found = {id(w): g for update in updates for w, g in zip(update.weights, update.gradients, strict=True)}
    assert [len(update.weights) for update in updates] == [len(own), len(rival)]
    for weight, gradient_of in zip([*own, *rival], wanted, strict=True):
        np.testing.assert_allclose(found[id(weight)], gradient_of, rtol=1e-4, atol=1e-6)


def test_a_convolutional_code_is_judged_too():
    inputs, codes = keras.Input((4, 4, 1)), keras.Input((2, 2, 3))
    encoder = keras.Model(inputs, layers.Conv2D(6, 2, 2)(inputs))
    decoder = keras.Model(codes, layers.Conv2DTranspose(1, 2, 2)(codes))
    model = FactorVariationalAutoencoder(encoder, decoder)
    model.compile("adam")
    assert np.isfinite(model.train_on_batch(RNG.random((5, 4, 4, 1)).astype("float32"))).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"gamma": -1.0}, "gamma must be ≥ 0.0"),
        ({"discriminator": critic(shape=(3,))}, "the discriminator takes"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)


def test_a_posterior_on_the_sphere_is_refused():
    networks = kerasae.networks.dense((6,), 3, (5,), posterior="von_mises_fisher")
    with pytest.raises(InputError, match="never independent"):
        FactorVariationalAutoencoder(*networks, posterior=VonMisesFisherPosterior())


def test_floors_and_the_discriminator_are_both_statistics():
    assert model_of(free_bits=0.1).statistics == ("discriminator", "kl")
    assert model_of().statistics == ("discriminator",)


def total_correlation(codes):
    """The part of it that correlation makes: −½ log det R, nats."""
    return -0.5 * np.linalg.slogdet(np.corrcoef(np.asarray(codes), rowvar=False))[1]


def test_learns_digits_with_codes_that_depend_less_on_each_other():
    """Beats the mean image in nats; codes are less correlated than those of a VAE with the same networks and steps."""
    source = kerasae.data.load("digits")
    (train, _), (test, _) = source.train.arrays(), source.test.arrays()

    def trained(gamma):
        keras.utils.set_random_seed(1)
        networks = kerasae.networks.dense((8, 8, 1), 6, (64,), posterior="gaussian")
        model = FactorVariationalAutoencoder(*networks, pixel_max=16.0, gamma=gamma, beta=0.1)
        model.compile(keras.optimizers.Adam(3e-3), players={"discriminator": 0.5})
        model.fit(train, batch_size=128, epochs=60, verbose=0)
        return model

    mean = np.clip(train.mean(0) / 16.0, 1e-6, 1 - 1e-6)
    pixels = test / 16.0
    baseline = -np.mean(np.sum(pixels * np.log(mean) + (1 - pixels) * np.log(1 - mean), axis=(1, 2, 3)))
    found = {}
    for gamma in (0.0, 1.0):
        model = trained(gamma)
        error = model.evaluate(test, verbose=0, return_dict=True)["reconstruction"]
        draws = model.posterior.draw(model.encoder(train / np.float32(16)), kerasae.layers.draws.Draws(3))
        found[gamma] = error, total_correlation(draws), total_correlation(model.encode(train))
    print("mean image", baseline, found)
    assert found[1.0][0] < baseline - 5.0
    assert found[1.0][1] < 0.5 * found[0.0][1]
