"""Posteriors and priors, against SciPy and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp, softplus
from scipy.stats import kstest, norm, uniform, vonmises_fisher

from kerasae.distributions import posteriors, priors
from kerasae.distributions.posteriors import GaussianPosterior, Posterior, VonMisesFisherPosterior, get_posterior
from kerasae.distributions.priors import PosteriorMixture, Prior, StandardNormal, UniformCube, UniformSphere, get_prior
from kerasae.distributions.von_mises_fisher import entropy, log_area
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
GAUSSIAN, SPHERE = GaussianPosterior(), VonMisesFisherPosterior()
BOTH = pytest.mark.parametrize("posterior", [GAUSSIAN, SPHERE], ids=["gaussian", "sphere"])


class Random:
    """Seeded random numbers, as a caller would hand them in."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def normal(self, shape):
        return tf.constant(self.rng.normal(size=shape), "float32")

    def uniform(self, shape):
        return tf.constant(self.rng.random(shape, "float32"))


def directions(*shape):
    z = RNG.normal(size=shape)
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


# ---- Gaussian


def test_gaussian_log_prob_is_scipys():
    encoded, z = RNG.normal(size=(4, 5, 6)), RNG.normal(size=(7, 4, 5, 3))
    each = norm(encoded[..., :3], np.exp(encoded[..., 3:] / 2)).logpdf(z)
    np.testing.assert_allclose(GAUSSIAN.log_prob(encoded, z), each.sum(-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(GAUSSIAN.log_prob(encoded, z, axes=2), each.sum((-1, -2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(GAUSSIAN.log_prob(encoded, z[0]), each[0].sum(-1), rtol=1e-4, atol=1e-5)


def test_gaussian_draws_have_their_mean_and_deviation():
    encoded = RNG.normal(size=(3, 4))
    z = GAUSSIAN.draw(encoded, Random(), 40_000).numpy()
    deviation = np.exp(encoded[:, 2:] / 2)
    assert np.all(np.abs(z.mean(0) - encoded[:, :2]) < 5 * deviation / 200)
    np.testing.assert_allclose(z.std(0), deviation, rtol=0.03)
    np.testing.assert_allclose(GAUSSIAN.mean(encoded), encoded[:, :2], rtol=1e-6)


def test_gaussian_draw_is_reparametrised():
    encoded = tf.constant(RNG.normal(size=(3, 4)), "float32")
    with tf.GradientTape() as tape:
        tape.watch(encoded)
        z = GAUSSIAN.draw(encoded, Random())
    noise = Random().normal((3, 2))
    slopes = tape.gradient(z, encoded).numpy()
    np.testing.assert_allclose(slopes[:, :2], 1)
    np.testing.assert_allclose(slopes[:, 2:], 0.5 * np.exp(encoded[:, 2:] / 2) * noise, rtol=1e-5)


def test_gaussian_kl_is_the_mean_log_ratio_of_draws():
    encoded = np.array([[0.5, -1.0, 0.3, -2.0]])
    z = GAUSSIAN.draw(encoded, Random(), 40_000)
    log_ratio = np.float64(GAUSSIAN.log_prob(encoded, z)) - np.float64(StandardNormal().log_prob(z))
    kl = GAUSSIAN.kl(encoded, StandardNormal()).numpy()
    assert kl.shape == (1, 2) and kl.min() > 0
    assert kl.sum() == pytest.approx(log_ratio.mean(), abs=4 * log_ratio.std() / 200)


def test_an_odd_number_of_outputs_is_refused():
    with pytest.raises(InputError, match=r"encoded must have means.*Received: shape=\(2, 5\).*2Z outputs"):
        GAUSSIAN.mean(np.zeros((2, 5)))


# ---- von Mises–Fisher


def test_sphere_log_prob_is_scipys():
    encoded, z = 3 * RNG.normal(size=(4, 6)), directions(7, 4, 5)
    mean = encoded[:, :5] / np.linalg.norm(encoded[:, :5], axis=-1, keepdims=True)
    kappa = softplus(encoded[:, 5]) + 1
    each = [vonmises_fisher(mean[i], kappa[i]).logpdf(z[:, i]) for i in range(4)]
    np.testing.assert_allclose(SPHERE.log_prob(encoded, z), np.stack(each, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(SPHERE.log_prob(encoded, z, axes=2), np.stack(each, 1).sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(SPHERE.mean(encoded), mean, atol=1e-6)


def test_sphere_kl_is_the_area_less_scipys_entropy():
    encoded = np.concatenate([RNG.normal(size=(5, 4)), np.array([[-30], [0], [1], [20], [3000]])], axis=-1)
    kl = SPHERE.kl(encoded, UniformSphere()).numpy()
    theirs = [vonmises_fisher(np.eye(4)[0], softplus(e[-1]) + 1).entropy() for e in encoded[:4]]
    assert kl.shape == (5, 1)
    np.testing.assert_allclose(kl[:4, 0], np.log(2 * np.pi**2) - np.array(theirs), rtol=1e-4)
    assert kl[4] == pytest.approx(log_area(4) - float(entropy(4, 3001.0)))


def test_sphere_draws_follow_the_encoder():
    """Their mean resultant has the direction and, at Z = 3, the length coth κ − 1/κ; the code has two axes."""
    encoded = 2 * RNG.normal(size=(2, 3, 4))
    z = SPHERE.draw(encoded, Random(), 20_000).numpy()
    kappa = softplus(encoded[..., 3:]) + 1
    np.testing.assert_allclose(z.mean(0), (1 / np.tanh(kappa) - 1 / kappa) * SPHERE.mean(encoded), atol=4 * 0.6 / 141)


def test_a_zero_direction_is_a_unit_vector():
    encoded = tf.zeros((2, 4))
    with tf.GradientTape() as tape:
        tape.watch(encoded)
        z = SPHERE.draw(encoded, Random())
    np.testing.assert_allclose(np.linalg.norm(SPHERE.mean(encoded), axis=-1), 1)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-6)
    assert np.isfinite(tape.gradient(z, encoded)).all()


# ---- what all posteriors share


@BOTH
def test_draws_have_their_shapes_and_follow_from_the_random_numbers(posterior):
    encoded = RNG.normal(size=(2, 5, posterior.outputs(3))).astype("float32")
    one, many = posterior.draw(encoded, Random(1)), posterior.draw(encoded, Random(1), 6)
    assert one.shape == posterior.mean(encoded).shape == (2, 5, 3) and many.shape == (6, 2, 5, 3)
    np.testing.assert_array_equal(one, posterior.draw(encoded, Random(1)))
    assert np.all(np.asarray(one) != posterior.draw(encoded, Random(2)))
    assert posterior.log_prob(encoded, many).shape == (6, 2, 5) and posterior.log_prob(encoded, one, 2).shape == (2,)


@BOTH
def test_gradients_of_the_bound_are_those_of_its_mean(posterior):
    """The mean over draws of log q − log p has, in expectation, the gradient of the closed-form divergence."""
    prior = StandardNormal() if posterior is GAUSSIAN else UniformSphere()
    encoded = tf.constant(RNG.normal(size=(1, posterior.outputs(3))), "float32")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(encoded)
        z = posterior.draw(encoded, Random(), 40_000)
        estimate = tf.reduce_mean(posterior.log_prob(encoded, z) - prior.log_prob(z))
        exact = tf.reduce_sum(posterior.kl(encoded, prior))
    np.testing.assert_allclose(tape.gradient(estimate, encoded), tape.gradient(exact, encoded), atol=0.03)
    assert np.abs(tape.gradient(exact, encoded)).max() > 0.1


@BOTH
def test_narrow_outputs_of_the_encoder_are_widened(posterior):
    encoded = tf.cast(RNG.normal(size=(2, posterior.outputs(4))), "float16")
    z = posterior.draw(encoded, Random())
    values = [z, posterior.mean(encoded), posterior.log_prob(encoded, z)]
    assert {value.dtype for value in values} == {tf.float32}


@pytest.mark.parametrize(
    ("posterior", "jit"),
    [
        pytest.param(GAUSSIAN, False, id="gaussian"),
        pytest.param(GAUSSIAN, True, id="gaussian-xla"),
        pytest.param(SPHERE, False, id="sphere"),
        # Its draws and densities are compiled in test_von_mises_fisher, too.
        pytest.param(SPHERE, True, id="sphere-xla", marks=pytest.mark.slow),
    ],
)
def test_posteriors_run_compiled_with_a_batch_of_any_size(posterior, jit):
    class Seeded:
        """Draws inside the graph, of shapes that hold a tensor."""

        def normal(self, shape):
            return tf.random.stateless_normal(shape, (1, 2))

        def uniform(self, shape):
            return tf.random.stateless_uniform(shape, (3, 4))

    width, prior = posterior.outputs(3), UniformSphere() if posterior is SPHERE else StandardNormal()

    @tf.function(jit_compile=jit, input_signature=[tf.TensorSpec((None, width))])
    def step(encoded):
        z = posterior.draw(encoded, Seeded(), 4)
        mixture = PosteriorMixture(posterior, encoded)
        return z, posterior.log_prob(encoded, z), posterior.kl(encoded, prior), mixture.log_prob(z)

    for count in (2, 5):
        encoded = tf.constant(RNG.normal(size=(count, width)), "float32")
        z, log_q, kl, log_mixture = step(encoded)
        assert z.shape == (4, count, 3) and kl.shape[0] == count
        np.testing.assert_allclose(log_q, posterior.log_prob(encoded, z), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(log_mixture, PosteriorMixture(posterior, encoded).log_prob(z), rtol=1e-3, atol=1e-4)


@BOTH
def test_posteriors_have_no_closed_divergence_from_other_priors(posterior):
    encoded = np.zeros((2, posterior.outputs(3)))
    others = [UniformSphere() if posterior is GAUSSIAN else StandardNormal(), PosteriorMixture(posterior, encoded)]
    assert [posterior.kl(encoded, prior) for prior in others] == [None, None]


@pytest.mark.parametrize("thing", [GAUSSIAN, SPHERE, StandardNormal(), UniformSphere()], ids=lambda x: type(x).__name__)
def test_plain_values_are_saved_by_keras(thing):
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))
    assert type(back) is type(thing) and back.get_config() == thing.get_config() == {}


def test_names_give_objects_and_objects_themselves():
    for get, names, parent in (
        (get_posterior, posteriors.named(), Posterior),
        (get_prior, priors.named(), Prior),
    ):
        for name, cls in names.items():
            assert type(get(name)) is cls and isinstance(get(name), parent)
            thing = cls()
            assert get(thing) is thing
        for wrong in ("nothing", 3, None, cls):
            with pytest.raises(InputError, match=f"expected one of {', '.join(names)}.*Received: "):
                get(wrong)


def test_outputs_of_the_encoder_are_counted():
    assert (GAUSSIAN.outputs(5), SPHERE.outputs(5)) == (10, 6)
    with pytest.raises(InputError, match="at least 2 dimensions. Received: 1"):
        SPHERE.outputs(1)


@BOTH
@pytest.mark.parametrize("axes", [0, 4])
def test_a_wrong_number_of_axes_is_refused(posterior, axes):
    encoded, z = np.zeros((2, 5, posterior.outputs(2))), np.zeros((2, 5, 2))
    with pytest.raises(InputError, match=f"axes: expected 1 to 3, .* Received: axes={axes}"):
        posterior.log_prob(encoded, z, axes)
    for prior in (StandardNormal(), UniformSphere(), PosteriorMixture(posterior, encoded)):
        with pytest.raises(InputError, match=f"axes: expected 1 to .* Received: axes={axes}"):
            prior.log_prob(z, axes)


# ---- priors


def test_standard_normal_is_scipys():
    z = RNG.normal(size=(3, 4, 5))
    np.testing.assert_allclose(StandardNormal().log_prob(z), norm.logpdf(z).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(StandardNormal().log_prob(z, 2), norm.logpdf(z).sum((-1, -2)), rtol=1e-5)
    np.testing.assert_array_equal(StandardNormal().draw((4, 2), Random()), Random().normal((4, 2)))


def test_uniform_sphere_is_one_over_the_area():
    z = directions(5, 2, 3)
    np.testing.assert_allclose(UniformSphere().log_prob(z), np.full((5, 2), -np.log(4 * np.pi)), rtol=1e-6)
    np.testing.assert_allclose(UniformSphere().log_prob(z, 2), np.full(5, -2 * np.log(4 * np.pi)), rtol=1e-6)


def test_cube_is_scipys_uniform():
    z = np.array([[-0.9, 0.3], [1.0, -1.0], [0.0, 1.1]], "float32")
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(UniformCube().log_prob(z), uniform(-1, 2).logpdf(z).sum(1), rtol=1e-6)
    drawn = UniformCube().draw((20_000, 2), Random()).numpy()
    assert kstest(drawn.ravel(), uniform(-1, 2).cdf).pvalue > 0.01


def test_uniform_sphere_draws_have_no_direction():
    z = UniformSphere().draw((20_000, 2, 3), Random()).numpy()
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(z.mean(0), 0, atol=4 * 0.58 / 141)
    np.testing.assert_allclose(np.einsum("nbi,nbj->bij", z, z) / 20_000, np.tile(np.eye(3) / 3, (2, 1, 1)), atol=0.01)
    with pytest.raises(InputError, match="at least 2 dimensions"):
        UniformSphere().draw((4, 1), Random())


@pytest.mark.parametrize("axes", [1, 2])
@BOTH
def test_mixture_is_the_mean_density_of_its_components(posterior, axes):
    code = (4, 3)[-axes:]
    encoded = RNG.normal(size=(6, *code[:-1], posterior.outputs(3)))
    z = directions(2, 7, *code)
    each = np.stack([posterior.log_prob(component, z, axes) for component in encoded], axis=-1).astype("float64")
    ours = PosteriorMixture(posterior, encoded).log_prob(z, axes)
    assert ours.shape == (2, 7)
    np.testing.assert_allclose(ours, logsumexp(each, axis=-1) - np.log(6), rtol=1e-5, atol=1e-5)


def test_mixture_of_narrow_gaussians_does_not_underflow():
    encoded = np.array([[100.0, -8.0], [-100.0, -8.0]])
    expected = norm(100, np.exp(-4)).logpdf(99) - np.log(2)
    assert float(PosteriorMixture(GAUSSIAN, encoded).log_prob(np.array([99.0]))) == pytest.approx(expected, rel=1e-5)


def test_mixture_draws_every_component_equally():
    encoded = np.array([[10.0 * k, 0.0] for k in range(5)])
    mixture = PosteriorMixture(GAUSSIAN, encoded)
    z = mixture.draw((10_000, 1), Random()).numpy()
    assert z.shape == (10_000, 1)
    component = np.round(z[:, 0] / 10).astype(int)
    np.testing.assert_allclose(np.bincount(component, minlength=5) / 10_000, 0.2, atol=0.02)
    np.testing.assert_allclose([z[component == k].mean() for k in range(5)], encoded[:, 0], atol=0.1)
    np.testing.assert_array_equal(z, mixture.draw((10_000, 1), Random()))


def test_mixture_draw_takes_the_last_component_at_the_end_of_the_interval():
    class End(Random):
        def uniform(self, shape):
            return tf.fill(shape, 1.0)

    z = PosteriorMixture(GAUSSIAN, np.array([[0.0, -30.0], [7.0, -30.0]])).draw((3, 1), End())
    np.testing.assert_allclose(z, 7, atol=1e-4)


def test_priors_are_bound_to_an_encoder_as_they_are():
    for prior in (StandardNormal(), UniformSphere(), PosteriorMixture(GAUSSIAN, np.zeros((1, 2)))):
        assert prior.bind(GAUSSIAN, lambda x: x) is prior
