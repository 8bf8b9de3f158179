"""What the variants compute, against NumPy, SciPy, closed forms and steps written by hand."""

import functools
import warnings

import cases
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import expit, logsumexp
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from kerasae import distributions, layers, models, networks
from kerasae.errors import InputError
from kerasae.models.contract.terms import logged, minimised

RNG = np.random.default_rng(0)


def numbers(weights):
    return [np.asarray(weight, dtype=float).copy() for weight in weights]


def central_differences(function, parameters, step=1e-5):
    """The gradient of a NumPy function of a list of arrays, in double precision."""
    gradients = []
    for array in parameters:
        gradient = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            kept = array[i]
            array[i] = kept + step
            above = function(parameters)
            array[i] = kept - step
            gradient[i] = (above - function(parameters)) / (2 * step)
            array[i] = kept
        gradients.append(gradient)
    return gradients


def descend(function, parameters, rate):
    gradients = central_differences(function, parameters)
    return [p - rate * g for p, g in zip(parameters, gradients, strict=True)]


# ---- the base class


def linear_autoencoder(**options):
    """5 → 2 → 5 with an L2 and an activity penalty, so that regularisation losses count."""
    x = keras.Input((5,))
    code = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.3),
                              activity_regularizer=keras.regularizers.L2(0.2))(x)  # fmt: skip
    z = keras.Input((2,))
    pair = keras.Model(x, code), keras.Model(z, keras.layers.Dense(5)(z))
    return models.Autoencoder(*pair, distributions.Gaussian(scale=0.5), **options)


def linear_loss(parameters, x):
    w, b, v, c = parameters
    z = x @ w + b
    squares = ((x - z @ v - c) ** 2).sum(1).mean() / (2 * 0.5**2)
    constant = 5 * (np.log(0.5) + 0.5 * np.log(2 * np.pi))
    return squares + constant + 0.3 * (w**2).sum() + 0.2 * (z**2).sum(1).mean()


def test_train_step_is_gradient_descent_on_the_mean_with_regularisation_once():
    model = linear_autoencoder()
    model.compile(keras.optimizers.SGD(0.05))
    x = RNG.normal(size=(6, 5)).astype("float32")
    parameters = numbers(model.trainable_weights)
    for _ in range(2):
        loss = linear_loss(parameters, x)
        parameters = descend(lambda p: linear_loss(p, x), parameters, 0.05)
        history = model.fit(x, batch_size=6, verbose=0).history
        assert history["loss"][0] == pytest.approx(loss, rel=1e-4)
    for mine, theirs in zip(numbers(model.trainable_weights), parameters, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)


def test_score_is_minus_the_log_likelihood_at_the_code():
    model = linear_autoencoder()
    x = RNG.normal(size=(6, 5)).astype("float32")
    w, b, v, c = numbers(model.weights)
    expected = -stats.norm.logpdf(x, (x @ w + b) @ v + c, 0.5).sum(1)
    np.testing.assert_allclose(model.score(x), expected, rtol=1e-4)
    np.testing.assert_allclose(model.objective(model.prepare(x))["reconstruction"], expected, rtol=1e-4)


def test_weights_that_are_not_trainable_stay():
    model = linear_autoencoder()
    model.decoder.trainable = False
    model.compile(keras.optimizers.SGD(0.05), run_eagerly=True)
    before = numbers(model.decoder.weights), numbers(model.encoder.weights)
    model.train_on_batch(RNG.normal(size=(6, 5)))
    for old, new in zip(before[0], numbers(model.decoder.weights), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(np.any(a != b) for a, b in zip(before[1], numbers(model.encoder.weights), strict=True))


def test_dropout_and_batch_statistics_work_in_training_only():
    x, z = keras.Input((5,)), keras.Input((4,))
    code = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Dense(4)(x)))
    model = models.Autoencoder(keras.Model(x, code), keras.Model(z, keras.layers.Dense(5)(z)))
    model.compile("sgd", run_eagerly=True)
    data = RNG.normal(3, 2, (20, 5)).astype("float32")
    moving = numbers(model.encoder.non_trainable_weights)
    model.train_on_batch(data)
    assert np.any(numbers(model.encoder.non_trainable_weights)[0] != moving[0])
    still = [np.asarray(model.objective(model.prepare(data), training=False)["reconstruction"]) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    noisy = [np.asarray(model.objective(model.prepare(data), training=True)["reconstruction"]) for _ in range(2)]
    assert np.any(noisy[0] != noisy[1])


def test_term_weights_scale_terms_in_the_loss_and_labels_reach_the_objective():
    class Labelled(models.Autoencoder):
        terms = ("reconstruction", "label")
        term_weights = {"label": 3.0}

        def objective(self, batch, training=False):
            return {
                **super().objective(batch, training),
                "label": keras.ops.cast(keras.ops.argmax(batch.y, axis=-1), "float32"),
            }

    model = Labelled(*networks.dense((4,), 2, (), condition=7))
    model.compile("sgd", run_eagerly=True)
    logs = model.evaluate(RNG.normal(size=(3, 4)), np.array([1, 2, 6]), verbose=0, return_dict=True)
    assert logs["label"] == pytest.approx(3) and logs["loss"] == pytest.approx(logs["reconstruction"] + 9)


def test_a_subclass_with_arguments_of_its_own_comes_back_with_them(tmp_path):
    @keras.saving.register_keras_serializable("test")
    class Weighted(models.VariationalAutoencoder):
        def __init__(self, encoder, decoder, likelihood, extra=1.0, *, names=("a",), **kwargs):
            super().__init__(encoder, decoder, likelihood, **kwargs)
            self.extra, self.names = extra, names

    pair = networks.dense((4,), 2, (), posterior="gaussian")
    model = Weighted(*pair, "gaussian", 2.5, pixel_max=3, beta=0.25, names=("b", "c"))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.extra, tuple(again.names), again.beta, again.pixel_max) == (2.5, ("b", "c"), 0.25, 3.0)
    assert isinstance(again.likelihood, distributions.Gaussian)


def test_a_subclass_whose_arguments_cannot_be_recorded_is_refused_before_it_is_trained():
    class Loose(models.Autoencoder):
        def __init__(self, *args, extra=1.0, **kwargs):
            super().__init__(*args, **kwargs)

    with pytest.raises(TypeError, match="Loose.*args"):
        Loose(*networks.dense((4,), 2, ()))


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_sampling_decodes_draws_of_the_standard_normal(spread):
    for target in (models.VariationalAutoencoder, models.AdversarialAutoencoder):
        encoder, decoder = networks.dense((2,), 2, (), posterior=target.posterior_name)
        model = target(encoder, decoder, "gaussian")
        decoder.set_weights([spread * np.eye(2), np.array([1.0, -1.0])])
        x = np.asarray(model.sample(4000, seed=3))
        for j, mean in enumerate((1, -1)):
            assert stats.kstest(x[:, j], "norm", (mean, spread)).pvalue > 1e-4


@functools.cache
def refused():
    pair = networks.dense((4,), 2, ())
    twice = networks.dense((4,), 2, (), posterior="gaussian")
    other = networks.dense((5,), 3, ())
    channels = networks.dense((4,), 2, (), pixel_parameters=4)
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    auto = models.Autoencoder
    return {
        r"Autoencoder: the encoder gives \(2,\), .*codes \(3,\).*\(3,\)": lambda: auto(pair[0], other[1]),
        r"Autoencoder: the encoder gives \(4,\).*\(2,\)": lambda: auto(*twice),
        r"the decoder gives \(5,\).*inputs \(4,\).*Gaussian.*\(4,\)":
            lambda: auto(pair[0], networks.dense((5,), 2, ())[1]),
        r"the decoder gives \(16,\).*Bernoulli.*\(4,\)": lambda: auto(*channels, "bernoulli"),
        r"the decoder gives \(4,\).*Categorical.*\(1024,\)": lambda: auto(*pair, "categorical"),
        r"VariationalAutoencoder: the encoder gives \(2,\).*\(4,\).*posterior":
            lambda: models.VariationalAutoencoder(*pair),
        "Autoencoder: encoder": lambda: auto(unbuilt, pair[1]),
        "Autoencoder: decoder": lambda: auto(pair[0], unbuilt),
        "pixel_max": lambda: auto(*pair, pixel_max=0),
        "likelihood.*gausian": lambda: auto(*pair, "gausian"),
        "beta": lambda: models.VariationalAutoencoder(*twice, beta=-1),
        "free_bits": lambda: models.VariationalAutoencoder(*twice, free_bits=float("nan")),
        "adversarial_weight": lambda: models.AdversarialAutoencoder(*pair, adversarial_weight=-1),
        r"discriminator.*\(3,\)": lambda: models.AdversarialAutoencoder(*pair, discriminator=other[1]),
        "corruption.*0.3": lambda: models.DenoisingAutoencoder(*pair, corruption=0.3),
        "at least one": lambda: models.StackedAutoencoder([]),
        r"layer 1 gives codes \(2,\), but layer 2 takes \(5,\)":
            lambda: models.StackedAutoencoder([auto(*pair), auto(*other)]),
        "classes": lambda: models.Classifier(pair[0], 1),
        "dropout": lambda: models.Classifier(pair[0], 3, dropout=1.0),
        "input_dropout": lambda: models.Classifier(pair[0], 3, input_dropout=-0.1),
        "Classifier: pixel_max": lambda: models.Classifier(pair[0], 3, pixel_max=0),
        "smoothing": lambda: models.SmoothedCrossentropy(1.0),
    }  # fmt: skip


@pytest.mark.parametrize("words", refused())
def test_mistakes_are_named_at_construction(words):
    with pytest.raises(InputError, match=words):
        refused()[words]()


# ---- denoising


def test_denoising_encodes_the_corrupted_and_rebuilds_the_clean_input():
    pair = networks.dense((6,), 3, (), code_activation="sigmoid")
    model = models.DenoisingAutoencoder(*pair, "bernoulli", corruption=layers.MaskingCorruption(0.5, seed=4))
    x = RNG.integers(0, 2, (7, 6)).astype("float32")
    twin = layers.MaskingCorruption(0.5, seed=4)
    corrupted = np.asarray(twin(x), dtype=float)
    w, b, v, c = numbers(model.weights)
    p = expit(expit(corrupted @ w + b) @ v + c)
    expected = -stats.bernoulli.logpmf(x, p).sum(1)
    assert np.any(corrupted != x)
    terms = model.objective(model.prepare(x), training=True)
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-4)
    np.testing.assert_allclose(model.encode(x), expit(x @ w + b), rtol=1e-5)


@pytest.mark.parametrize("corruption", [layers.MaskingCorruption, layers.SaltAndPepperCorruption])
def test_denoising_weighs_corrupted_values_and_the_others(corruption):
    """A zero that is masked is a corrupted value, although it stays zero."""
    pair = networks.dense((6,), 3, ())
    weights = {"corrupted_weight": 2.0, "clean_weight": 0.25}
    model = models.DenoisingAutoencoder(*pair, corruption=corruption(0.5, seed=4), **weights)
    x = RNG.integers(0, 2, (7, 6)).astype("float32")
    _, mask = corruption(0.5, seed=4).corrupt_and_mark(x)
    corrupted = np.asarray(corruption(0.5, seed=4)(x), dtype=float)
    w, b, v, c = numbers(model.weights)
    values = -stats.norm.logpdf(x, (corrupted @ w + b) @ v + c)
    expected = (np.where(np.asarray(mask) == 1, 2.0, 0.25) * values).sum(1)
    assert 0 < np.sum((corrupted == x) & (np.asarray(mask) == 1)) < mask.shape[0] * mask.shape[1]
    assert np.array_equal(corrupted[np.asarray(mask) == 0], x[np.asarray(mask) == 0])
    terms = model.objective(model.prepare(x), training=True)
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-4)
    np.testing.assert_allclose(model.score(x), models.Autoencoder(*pair).score(x), rtol=1e-6)


@pytest.mark.parametrize("weights", [(-1.0, 1.0), (0.0, 0.0), (1.0, float("nan"))])
def test_denoising_weights_that_mean_nothing_are_refused(weights):
    pair = networks.dense((4,), 2, ())
    with pytest.raises(InputError, match="corrupted_weight and clean_weight must be ≥ 0"):
        models.DenoisingAutoencoder(*pair, corrupted_weight=weights[0], clean_weight=weights[1])


def test_denoising_masks_a_quarter_unless_told_otherwise():
    model = models.DenoisingAutoencoder(*networks.dense((4,), 2, ()))
    assert isinstance(model.corruption, layers.MaskingCorruption) and model.corruption.rate == 0.25


# ---- variational


def seeded_noise(model, shape):
    """The noise that the next draw of the model will use; the draw's state is put back."""
    state = model.seed_generator.state
    kept = keras.ops.convert_to_numpy(state).copy()
    noise = np.asarray(keras.random.normal(shape, seed=model.seed_generator), dtype=float)
    state.assign(kept)
    return noise


@pytest.mark.parametrize("free_bits", [0.0, 0.2])
def test_variational_objective_is_its_transcription(free_bits):
    pair = networks.dense((6,), 2, (4,), activation="tanh", posterior="gaussian")
    model = models.VariationalAutoencoder(*pair, "bernoulli", beta=0.4, free_bits=free_bits)
    x = RNG.integers(0, 2, (9, 6)).astype("float32")
    e = seeded_noise(model, (9, 2))
    w1, b1, w2, b2, v1, c1, v2, c2 = numbers(model.encoder.weights) + numbers(model.decoder.weights)
    hidden = np.tanh(x @ w1 + b1) @ w2 + b2
    mean, log_var = hidden[:, :2], hidden[:, 2:]
    z = mean + np.exp(log_var / 2) * e
    reconstruction = -stats.bernoulli.logpmf(x, expit(np.tanh(z @ v1 + c1) @ v2 + c2)).sum(1)
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var)
    terms = model.objective(model.prepare(x), training=True)
    np.testing.assert_allclose(terms["reconstruction"], reconstruction, rtol=1e-4)
    np.testing.assert_allclose(logged(terms["kl"]), kl.sum(1), rtol=1e-4, atol=1e-6)
    held = np.maximum(kl.mean(0), free_bits).sum()
    np.testing.assert_allclose(np.mean(minimised(terms["kl"], training=True)), held, rtol=1e-4)
    np.testing.assert_allclose(np.mean(minimised(terms["kl"], training=False)), kl.sum(1).mean(), rtol=1e-4)
    assert float(model.term_weights["kl"]) == pytest.approx(0.4)
    np.testing.assert_allclose(model.encode(x), mean, rtol=1e-4, atol=1e-6)
    at_mean = -stats.bernoulli.logpmf(x, expit(np.tanh(mean @ v1 + c1) @ v2 + c2)).sum(1)
    np.testing.assert_allclose(model.score(x), at_mean + kl.sum(1), rtol=1e-4)


def exact_variational(scale=0.3):
    """A linear model whose loadings are orthogonal, so that its exact posterior is a diagonal Gaussian."""
    pair = networks.dense((4,), 2, (), posterior="gaussian")
    model = models.VariationalAutoencoder(*pair, distributions.Gaussian(scale))
    loadings = np.array([[1.0, 0.5], [0.5, -1.0], [-0.4, 0.0], [0.0, 0.8]])
    offset = np.array([0.1, -0.2, 0.3, 0.0])
    variance = 1 / (1 + (loadings**2).sum(0) / scale**2)
    to_mean = loadings * variance / scale**2
    model.encoder.set_weights([np.hstack([to_mean, np.zeros((4, 2))]),
                               np.concatenate([-offset @ to_mean, np.log(variance)])])  # fmt: skip
    model.decoder.set_weights([loadings.T, offset])
    covariance = loadings @ loadings.T + scale**2 * np.eye(4)
    return model, stats.multivariate_normal(offset, covariance)


def test_every_log_weight_of_an_exact_posterior_is_the_exact_likelihood():
    model, marginal = exact_variational()
    x = marginal.rvs(5, random_state=0).astype("float32")
    weights = np.asarray(model.log_weight(x, samples=7, seed=1))
    assert weights.shape == (7, 5)
    np.testing.assert_allclose(weights, np.tile(marginal.logpdf(x), (7, 1)), rtol=2e-5, atol=2e-5)


def test_log_weights_of_another_posterior_estimate_the_likelihood_from_below():
    model, marginal = exact_variational()
    kernel, bias = model.encoder.get_weights()
    model.encoder.set_weights([kernel, bias + np.array([0.05, -0.05, 0.4, 0.4])])
    x = marginal.rvs(4, random_state=0).astype("float32")
    weights = np.asarray(model.log_weight(x, samples=4000, seed=1), dtype=float)
    exact = marginal.logpdf(x)
    np.testing.assert_allclose(logsumexp(weights, axis=0) - np.log(4000), exact, atol=0.03)
    assert np.all(weights.mean(0) < exact - 0.05)
    # the mean log-weight is the bound of the objective, term by term in closed form
    mean, log_var = np.split(np.asarray(model.encoder(x), dtype=float), 2, axis=-1)
    loadings, offset = (np.asarray(w, dtype=float) for w in model.decoder.get_weights())
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(1)
    spread = (np.exp(log_var) * (loadings**2).sum(1)).sum(1)
    fit = stats.norm.logpdf(x, mean @ loadings + offset, 0.3).sum(1) - spread / (2 * 0.3**2)
    np.testing.assert_allclose(weights.mean(0), fit - kl, atol=0.05)


def test_log_weights_repeat_for_a_seed_and_prepare_stored_integers():
    case = next(c for c in cases.MODELS if c.target is models.VariationalAutoencoder)
    model = case.build()
    first = np.asarray(model.log_weight(case.x, 3, seed=5))
    np.testing.assert_array_equal(first, model.log_weight(case.x, 3, seed=5))
    np.testing.assert_allclose(model.log_weight(case.x / np.float32(3), 3, seed=5), first, rtol=1e-5)
    assert np.all(np.asarray(model.log_weight(case.x, 3, seed=6)) != first)
    assert np.ptp(first, axis=0).min() > 0


def spatial_variational():
    """A posterior over a code with two axes, [B, 3, 2], as a convolutional or a sequence encoder has it."""
    x, z = keras.Input((3, 4)), keras.Input((3, 2))
    pair = keras.Model(x, keras.layers.Dense(4)(x)), keras.Model(z, keras.layers.Dense(4)(z))
    return models.VariationalAutoencoder(*pair, "gaussian", name="spatial")


def test_variational_codes_may_have_several_axes():
    model, x = spatial_variational(), RNG.normal(size=(5, 3, 4)).astype("float32")
    mean, log_var = np.split(np.asarray(model.encoder(x), dtype=float), 2, axis=-1)
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(axis=(1, 2))
    np.testing.assert_allclose(logged(model.objective(model.prepare(x))["kl"]), kl, rtol=1e-4)
    rebuilt = np.asarray(model.reconstruct(x), dtype=float)
    expected = -stats.norm.logpdf(x, rebuilt).sum(axis=(1, 2)) + kl
    np.testing.assert_allclose(model.score(x), expected, rtol=1e-4)
    weights = np.asarray(model.log_weight(x, samples=20_000, seed=1), dtype=float)
    assert weights.shape == (20_000, 5)
    v = np.asarray(model.decoder.get_weights()[0], dtype=float)
    spread = (np.exp(log_var) * (v**2).sum(1)).sum(axis=(1, 2)) / 2
    np.testing.assert_allclose(weights.mean(0), -expected - spread, rtol=0.02)
    assert model.sample(2).shape == (2, 3, 4)


# ---- adversarial


def critic(regularizer=None):
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, "tanh", kernel_regularizer=regularizer)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def judge(parameters, z):
    w, b, v, c = parameters
    return (np.tanh(z @ w + b) @ v + c)[:, 0]


def test_adversarial_step_is_one_step_of_each_player_from_the_same_codes():
    regularizer = keras.regularizers.L2(0.1)
    pair = networks.dense((5,), 2, ())
    model = models.AdversarialAutoencoder(*pair, "gaussian", discriminator=critic(regularizer),
                                          adversarial_weight=0.7)  # fmt: skip
    model.compile(keras.optimizers.SGD(0.05), players={"discriminator": 4.0}, run_eagerly=True)
    x = RNG.normal(size=(6, 5)).astype("float32")
    generator = model.seed_generator
    kept = keras.ops.convert_to_numpy(generator.state).copy()
    prior = np.asarray(keras.random.normal((6, 2), seed=generator), dtype=float)
    generator.state.assign(kept)
    own, other = numbers([*model.encoder.weights, *model.decoder.weights]), numbers(model.discriminator.weights)

    def reconstruction(p):
        return -stats.norm.logpdf(x, (x @ p[0] + p[1]) @ p[2] + p[3]).sum(1).mean()

    def fooled(p):
        return np.log1p(np.exp(-judge(other, x @ p[0] + p[1]))).mean()

    def doubt(d):
        z = x @ own[0] + own[1]
        return np.log1p(np.exp(-judge(d, prior))).mean() + np.log1p(np.exp(judge(d, z))).mean()

    logs = model.train_on_batch(x, return_dict=True)
    expected = {"reconstruction": reconstruction(own), "adversarial": fooled(own), "discriminator": doubt(other)}
    for name, value in expected.items():
        assert float(logs[name]) == pytest.approx(value, rel=1e-4), name
    after = descend(lambda p: reconstruction(p) + 0.7 * fooled(p), own, 0.05)
    after += descend(lambda d: doubt(d) + 0.1 * (d[0] ** 2).sum(), other, 0.2)
    found = numbers([*model.encoder.weights, *model.decoder.weights, *model.discriminator.weights])
    for mine, theirs in zip(found, after, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    assert float(logs["loss"]) == pytest.approx(expected["reconstruction"] + 0.7 * expected["adversarial"], rel=1e-4)


def test_adversarial_players_have_optimisers_of_their_own():
    model = models.AdversarialAutoencoder(*networks.dense((5,), 2, ()))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    for rate, given in ((0.3, 0.3), (schedule, 0.1)):
        model.compile(keras.optimizers.Adam(rate, beta_1=0.4), players={"discriminator": 0.2})
        other = model.optimizers["discriminator"]
        assert float(model.optimizer.learning_rate) == pytest.approx(given)
        assert float(other.learning_rate) == pytest.approx(0.2 * given)
        assert other.beta_1 == 0.4 and other is not model.optimizer
    model.compile(keras.optimizers.Adam(0.3))
    other = model.optimizers["discriminator"]
    assert float(other.learning_rate) == pytest.approx(0.3)
    model.optimizer.learning_rate = 0.05  # as a callback does it
    assert float(other.learning_rate) == pytest.approx(0.05)
    model.compile("adam", players={"discriminator": keras.optimizers.SGD(0.4)})
    assert isinstance(model.optimizers["discriminator"], keras.optimizers.SGD)
    with pytest.raises(InputError, match="players must be among discriminator. Received: critic"):
        model.compile("adam", players={"critic": 1.0})


# ---- stacked


def test_stack_is_the_composition_of_its_layers_with_shared_weights():
    model = models.StackedAutoencoder(**cases.stack())
    bottom, top = model.autoencoders
    x = cases.stored(4, 3, 1)
    z = top.encode(bottom.encode(x))
    np.testing.assert_allclose(model.encode(x), z, rtol=1e-5)
    np.testing.assert_allclose(model.decode(z), bottom.decode(top.decode(z)), rtol=1e-5)
    assert model.likelihood is bottom.likelihood and model.pixel_max == bottom.pixel_max == 15.0
    before = np.asarray(model.encode(x))
    kernel = next(weight for weight in bottom.encoder.weights if weight.path.endswith("kernel"))
    kernel.assign(2 * kernel)
    np.testing.assert_allclose(model.encode(x), top.encode(bottom.encode(x)), rtol=1e-5)
    assert np.any(np.asarray(model.encode(x)) != before)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    kept = np.asarray(top.encode(bottom.encode(x)))
    model.train_on_batch(x)
    assert np.any(np.asarray(top.encode(bottom.encode(x))) != kept)


def test_stack_puts_means_between_its_layers():
    """An upper layer's mean, not its raw parameters, is what the layer below decodes."""
    bottom = models.Autoencoder(*networks.dense((6,), 3, (), code_activation="sigmoid"))
    top = models.Autoencoder(*networks.dense((3,), 2, (), pixel_parameters=4), distributions.Categorical(4))
    model = models.StackedAutoencoder([bottom, top])
    z = RNG.normal(size=(4, 2)).astype("float32")
    np.testing.assert_allclose(model.decode(z), bottom.decode(top.decode(z)), rtol=1e-5)


def test_stack_counts_regularisation_once():
    x = RNG.normal(size=(6, 5)).astype("float32")
    bottom = linear_autoencoder()
    stack = models.StackedAutoencoder([bottom])
    for model in (bottom, stack):
        model.compile("sgd")
    expected = bottom.evaluate(x, verbose=0, return_dict=True)
    assert stack.evaluate(x, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


def test_any_variant_can_be_a_layer_of_a_stack():
    """What only a layer's own objective uses, such as a discriminator, is left alone without a warning."""
    bottom = models.AdversarialAutoencoder(*networks.dense((6,), 4, ()))
    top = models.VariationalAutoencoder(*networks.dense((4,), 2, (), posterior="gaussian"), "gaussian")
    model = models.StackedAutoencoder([bottom, top])
    model.compile("adam", run_eagerly=True)
    kept = numbers(bottom.discriminator.weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.train_on_batch(RNG.uniform(size=(5, 6)).astype("float32"))
    for old, new in zip(kept, numbers(bottom.discriminator.weights), strict=True):
        np.testing.assert_array_equal(old, new)


# ---- classifier


def classifier(**options):
    encoder, _ = networks.dense((6,), 4, (5,), activation="tanh")
    model = models.Classifier(encoder, 3, **options)
    model.compile(keras.optimizers.SGD(0.5), models.SmoothedCrossentropy(), run_eagerly=True)
    return model


X6 = RNG.uniform(size=(8, 6)).astype("float32")


def test_classifier_is_a_linear_layer_on_the_codes():
    model = classifier()
    w, b = model.head.get_weights()
    logits = np.asarray(model.encoder(X6)) @ w + b
    np.testing.assert_allclose(model(X6), logits, rtol=1e-4, atol=1e-5)
    expected = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(model.probabilities(X6), expected, rtol=1e-4)


@pytest.mark.parametrize("freeze", [True, False])
def test_freezing_leaves_the_encoder_as_it_is(freeze):
    model = classifier(freeze=freeze, dropout=0.1)
    encoder, head = numbers(model.encoder.weights), numbers(model.head.weights)
    model.train_on_batch(X6, cases.LABELS)
    same = [np.array_equal(a, b) for a, b in zip(encoder, numbers(model.encoder.weights), strict=True)]
    assert same == [freeze] * len(same)
    assert all(np.any(a != b) for a, b in zip(head, numbers(model.head.weights), strict=True))


def test_freezing_keeps_the_batch_statistics_too():
    x = keras.Input((6,))
    encoder = keras.Model(x, keras.layers.BatchNormalization()(keras.layers.Dense(4)(x)))
    model = models.Classifier(encoder, 3, freeze=True)
    model.compile("sgd", models.SmoothedCrossentropy(), run_eagerly=True)
    kept = numbers(encoder.weights)
    model.train_on_batch(X6, cases.LABELS)
    for old, new in zip(kept, numbers(encoder.weights), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"input_dropout": 0.5}])
def test_dropout_acts_in_training_only(options):
    model = classifier(**options)
    np.testing.assert_array_equal(model(X6), model(X6))
    without = classifier()
    without.set_weights([w for w in model.get_weights() if w.dtype == np.float32])
    np.testing.assert_allclose(model(X6), without(X6), rtol=1e-5)
    assert np.any(np.asarray(model(X6, training=True)) != np.asarray(model(X6, training=True)))


def test_dropout_follows_every_hidden_layer_and_the_code_at_its_rate():
    """With ones through positive weights, the dropped share and the scaling of survivors can be read off."""
    encoder, _ = networks.dense((3,), 2000, (1,), activation="relu")
    model = models.Classifier(encoder, 2, dropout=0.3)
    for weight in encoder.weights:
        weight.assign(tf.ones_like(weight) * (1.0 if weight.path.endswith("kernel") else 0.0))
    kernel = np.zeros((2000, 2), "float32")
    kernel[:, 0] = 1.0
    model.head.set_weights([kernel, np.zeros(2)])
    x = np.ones((60, 3), "float32")
    sums = np.asarray(model(x, training=True))[:, 0]
    dead = sums == 0  # the one hidden unit was dropped
    assert stats.binom.interval(0.9999, 60, 0.3)[0] <= dead.sum() <= stats.binom.interval(0.9999, 60, 0.3)[1]
    survivors = sums[~dead] / (2000 * 3 / 0.7**2)  # hidden / 0.7, then share / 0.7
    np.testing.assert_allclose(survivors.mean(), 0.7, atol=0.02)
    np.testing.assert_allclose(model(x)[:, 0], 6000, rtol=1e-5)


def test_a_frozen_encoder_gets_dropout_on_its_input_and_its_code_only():
    x = keras.Input((6,))
    encoder = keras.Model(x, keras.layers.Dropout(0.9)(keras.layers.Dense(4)(x)))
    model = models.Classifier(encoder, 3, freeze=True)
    np.testing.assert_array_equal(model(X6, training=True), model(X6))  # the encoder's own dropout stays off
    model = models.Classifier(encoder, 4, freeze=True, dropout=0.5)
    model.head.set_weights([np.eye(4), np.zeros(4)])
    codes, logits = np.asarray(model.encode(X6)), np.asarray(model(X6, training=True))
    assert np.any(logits == 0)
    np.testing.assert_allclose(logits[logits != 0], 2 * codes[logits != 0], rtol=1e-5)
    model = models.Classifier(encoder, 3, freeze=True, input_dropout=0.5)
    assert np.any(np.asarray(model(X6, training=True)) != np.asarray(model(X6)))


def test_classifier_flattens_codes_with_several_axes():
    model = models.Classifier(spatial_variational().feature_encoder(), 3)
    x = RNG.normal(size=(5, 3, 4)).astype("float32")
    w, b = model.head.get_weights()
    np.testing.assert_allclose(model(x), np.asarray(model.encoder(x)).reshape(5, -1) @ w + b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_smoothed_crossentropy_is_kerass_with_one_hot_labels(smoothing):
    logits, labels = RNG.normal(0, 3, (9, 4)).astype("float32"), RNG.integers(0, 4, 9)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    expected = theirs(np.eye(4)[labels], logits)
    for shaped in (labels, labels[:, None], labels.astype("float32")):
        np.testing.assert_allclose(models.SmoothedCrossentropy(smoothing)(shaped, logits), expected, rtol=1e-5)
    soft = RNG.dirichlet(np.ones(4), 9).astype("float32")
    for given, same in ((np.eye(4)[labels], expected), (soft, theirs(soft, logits))):
        np.testing.assert_allclose(models.SmoothedCrossentropy(smoothing)(given, logits), same, rtol=1e-5)


def test_class_accuracy_takes_either_form_of_labels():
    logits, labels = RNG.normal(0, 3, (9, 4)).astype("float32"), RNG.integers(0, 4, 9)
    labels[:3] = logits[:3].argmax(axis=1)
    metric = models.ClassAccuracy()
    for shaped in (labels, labels[:, None], labels.astype("float32")):
        metric.reset_state()
        metric.update_state(shaped, logits)
        assert float(metric.result()) == pytest.approx((logits.argmax(axis=1) == labels).mean())
    soft = RNG.dirichlet(np.ones(4), 9)
    metric.update_state(soft, logits)
    hits = [*(logits.argmax(axis=1) == labels), *(logits.argmax(axis=1) == soft.argmax(axis=1))]
    assert float(metric.result()) == pytest.approx(np.mean(hits)) and 0 < np.mean(hits) < 1


def test_a_classifier_trains_on_soft_labels_and_validates_on_integers():
    encoder, _ = networks.dense((6,), 4, ())
    model = models.Classifier(encoder, 3)
    model.compile("adam", models.SmoothedCrossentropy(0.1), metrics=[models.ClassAccuracy()])
    x, y = RNG.random((12, 6)).astype("float32"), RNG.integers(0, 3, 12)
    history = model.fit(x, np.eye(3)[y] * 0.8 + 0.2 / 3, validation_data=(x, y), verbose=0).history
    assert history["val_accuracy"][0] == pytest.approx((np.asarray(model(x)).argmax(axis=1) == y).mean())


# ---- the linear autoencoder is PCA


def test_linear_autoencoder_reaches_the_error_of_pca():
    """Baldi and Hornik (1989): the minimum is the subspace of PCA, and the biases take the mean."""
    x = (load_digits().data / 16).astype("float32")
    model = models.Autoencoder(*networks.dense((64,), 8, ()))
    rate = keras.optimizers.schedules.CosineDecay(0.02, 1000)
    model.compile(keras.optimizers.Adam(rate, beta_2=0.9), steps_per_execution=50)
    data = tf.data.Dataset.from_tensors(x).repeat(1000)
    options = tf.data.Options()
    options.autotune.enabled = False  # it would delay the end of the iterator
    model.fit(data.with_options(options), steps_per_epoch=1000, shuffle=False, verbose=0)
    mine = np.mean((np.asarray(model.reconstruct(x), dtype=float) - x) ** 2)
    pca = PCA(8).fit(x.astype(float))
    theirs = np.mean((pca.inverse_transform(pca.transform(x)) - x) ** 2)
    assert -1e-6 < mine / theirs - 1 < 1e-4


@pytest.mark.parametrize("scaled", [False, True])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(scaled):
    """Two updates by four parts and by the whole batch: the same weights and the same figures, a penalty's included."""
    x, runs = np.random.default_rng(0).random((24, 6), "float32"), []
    for parts in (1, 4):
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(1))]
        )
        model = models.Autoencoder(encoder, networks.dense((6,), 3, (5,))[1])
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
        model.compile(optimizer, micro_batches=parts)
        history = [model.train_on_batch(x, return_dict=True) for _ in range(2)]
        runs.append((model.get_weights(), history))
    for whole, cut in zip(*(weights for weights, _ in runs), strict=True):
        np.testing.assert_allclose(whole, cut, rtol=1e-5, atol=1e-6)
    for whole, cut in zip(*(history for _, history in runs), strict=True):
        assert cut == pytest.approx(whole, rel=1e-5)


def test_parts_at_once_give_the_same_weights_to_the_bit():
    """With noise, drop path and masks, which the parts draw in their order."""
    finals = []
    for at_once in (1, 4):
        keras.utils.set_random_seed(0)
        sizes = {"width": 16, "depth": 2, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
        model = models.MaskedAutoencoder(*networks.vit((8, 8, 1), 2, **sizes, drop_path=0.3))
        model.compile(keras.optimizers.Adam(1e-2), micro_batches=4, at_once=at_once)
        images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
        model.fit(images, batch_size=16, epochs=3, verbose=0)
        finals.append(model.get_weights())
    for one, four in zip(*finals, strict=True):
        np.testing.assert_array_equal(one, four)


@pytest.mark.parametrize("soft", [False, True])
def test_parts_of_a_batch_give_a_classifiers_gradient_of_the_whole(soft):
    """The same weights, loss and accuracy, with a penalty and labels of both kinds."""
    rng, runs = np.random.default_rng(0), []
    x, y = rng.random((24, 6), "float32"), rng.integers(0, 3, 24)
    y = rng.dirichlet(np.ones(3), 24).astype("float32") if soft else y
    for parts, at_once in ((1, 1), (4, 1), (4, 4)):
        keras.utils.set_random_seed(0)
        penalty = keras.regularizers.L2(1)
        encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, kernel_regularizer=penalty)])
        model = models.Classifier(encoder, 3)
        options = {"metrics": [models.ClassAccuracy()], "micro_batches": parts, "at_once": at_once}
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), models.SmoothedCrossentropy(0.1), **options)
        runs.append([[model.train_on_batch(x, y, return_dict=True) for _ in range(2)], model.get_weights()])
    for history, weights in runs[1:]:
        for wanted, found in zip(runs[0][0], history, strict=True):
            assert found == pytest.approx(wanted, rel=1e-5)
        for wanted, found in zip(runs[0][1], weights, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_classifier_in_parts_weighs_examples_as_a_whole_and_is_saved_with_its_parts(tmp_path):
    x, y = RNG.random((4, 6), "float32"), np.arange(4) % 3
    weight, found = np.linspace(0, 2, 4).astype("float32"), []
    for parts in (1, 2, 3):  # 2 + 1 + 1 are no equal parts of 4
        keras.utils.set_random_seed(0)
        model = models.Classifier(networks.dense((6,), 4)[0], 3)
        model.compile(keras.optimizers.SGD(0.1), models.SmoothedCrossentropy(), micro_batches=parts)
        model.train_on_batch(x, y, sample_weight=weight)
        found.append(model.get_weights())
    for whole, *cut in zip(*found, strict=True):
        for one in cut:
            np.testing.assert_allclose(one, whole, rtol=1e-5, atol=1e-6)
    model = models.Classifier(networks.dense((6,), 4)[0], 3)
    model.compile("sgd", models.SmoothedCrossentropy(), micro_batches=2, at_once=2)
    with pytest.raises(InputError, match="a mean over the examples"):
        summed = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
        models.Classifier(model.encoder, 3).compile("sgd", summed, micro_batches=2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.micro_batches, again.at_once) == (2, 2)
    again.train_on_batch(x, y)


def test_every_part_of_a_batch_draws_its_own_numbers():
    seen = []

    class Listening(models.VariationalAutoencoder):
        def objective(self, batch, training=False):
            terms = super().objective(batch, training)
            noise = self.random(training).normal((2,))
            tf.py_function(lambda n: seen.append(tuple(n.numpy())), [noise], [])
            return terms

    model = Listening(*networks.dense((6,), 3, (5,), posterior="gaussian"))
    model.compile("sgd", micro_batches=3)
    model.train_on_batch(np.zeros((6, 6), "float32"))
    assert len(set(seen)) == 3  # the first is drawn once more, where the layers that write state are looked for


def test_parts_of_several_sizes_give_the_gradient_of_the_whole():
    """The last, smaller batch of an epoch: 8 + 5 examples in parts of 2, then of 2 + 2 + 1."""
    x, finals = RNG.random((13, 6), "float32"), []
    for parts in (1, 3):
        keras.utils.set_random_seed(0)
        model = models.Autoencoder(*networks.dense((6,), 3, (5,)))
        model.compile(keras.optimizers.SGD(0.1), micro_batches=parts)
        history = model.fit(x, batch_size=8, shuffle=False, verbose=0).history
        finals.append((history["loss"], model.get_weights()))
    assert finals[0][0] == pytest.approx(finals[1][0], rel=1e-5)
    for whole, cut in zip(finals[0][1], finals[1][1], strict=True):
        np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("parts, batch, words", [(0, 4, "micro_batches must be"), (3, 4, "must divide the batch")])
def test_parts_that_xla_cannot_compute_are_refused(parts, batch, words):
    model = models.Autoencoder(*networks.dense((6,), 3, (5,)))
    with pytest.raises(InputError, match=words):
        model.compile("sgd", micro_batches=parts, jit_compile=True)
        model.train_on_batch(np.zeros((batch, 6), "float32"))


@pytest.mark.parametrize("at_once", [0, 3])
def test_more_parts_at_once_than_there_are_are_refused(at_once):
    model = models.Autoencoder(*networks.dense((6,), 3, (5,)))
    with pytest.raises(InputError, match="at_once must be from 1 to micro_batches, 2. Received"):
        model.compile("sgd", micro_batches=2, at_once=at_once)
