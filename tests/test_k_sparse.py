"""k-sparse autoencoders: which units are kept against NumPy, the annealing of k, the gradient of those kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae.errors import InputError
from kerasae.models import KSparseAutoencoder
from kerasae.ops import keep_largest
from pipelines import train
from pipelines.building import variants

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(9, 6)).astype("float32")


def model_of(**options):
    keras.utils.set_random_seed(3)
    return KSparseAutoencoder(*kerasae.networks.dense((6,), 8, (), tied=True), **options)


def largest(z, k):
    """The k largest values of each row, in NumPy."""
    order = np.argsort(-z, axis=-1, kind="stable")[..., :k]
    kept = np.zeros_like(z)
    np.put_along_axis(kept, order, np.take_along_axis(z, order, -1), -1)
    return kept


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("jit", [False, True])
def test_the_k_largest_are_kept(k, jit):
    z = RNG.normal(size=(5, 2, 8)).astype("float32")
    keep = tf.function(lambda k: keep_largest(z, k), jit_compile=jit)
    np.testing.assert_array_equal(keep(tf.constant(float(k))), largest(z, k))


def test_ties_are_kept_and_k_is_limited():
    z = np.float32([[2, 1, 1, 0]])
    np.testing.assert_array_equal(keep_largest(z, 2), [[2, 1, 1, 0]])
    np.testing.assert_array_equal(keep_largest(z, 0.2), [[2, 0, 0, 0]])
    np.testing.assert_array_equal(keep_largest(z, 9), z)


def test_training_keeps_k_units_and_evaluation_alpha_times_as_many():
    model = model_of(k=2, alpha=1.5)
    w, b = (np.asarray(v) for v in model.encoder.weights)
    batch = model.prepare(X)
    for training, k in ((True, 2), (False, 3)):
        z = largest(X @ w + b, k)
        expected = 0.5 * np.square(z @ w.T - X).sum(-1) + 3 * np.log(2 * np.pi)
        np.testing.assert_allclose(model.objective(batch, training)["reconstruction"], expected, rtol=1e-5)
    np.testing.assert_allclose(model.encode(X), largest(X @ w + b, 3), rtol=1e-5)
    np.testing.assert_allclose(model.feature_encoder()(X), model.encode(X), rtol=1e-6)


def test_a_step_changes_the_kernels_of_kept_units_alone():
    pair = kerasae.networks.dense((6,), 8, ())
    model = KSparseAutoencoder(*pair, k=2)
    model.compile(keras.optimizers.SGD(0.1))
    kernel, decoder = np.asarray(model.encoder.weights[0]).copy(), np.asarray(model.decoder.weights[0]).copy()
    kept = largest(X @ kernel, 2) != 0
    assert 0 < kept.any(0).sum() < 8
    model.train_on_batch(X)
    np.testing.assert_array_equal((np.asarray(model.encoder.weights[0]) != kernel).any(0), kept.any(0))
    np.testing.assert_array_equal((np.asarray(model.decoder.weights[0]) != decoder).any(1), kept.any(0))


def test_k_is_annealed_over_half_of_the_steps():
    model = model_of(k=2)
    recipe = train.Recipe(variant="k-sparse", anneal={"k": 6.0})
    for _ in range(2):  # as where the first steps are timed
        variants.anneal(model, recipe, steps=8)
    model.compile("adam")
    found = []
    for _ in range(7):
        found.append(float(model.k))
        model.train_on_batch(X)
    assert found == pytest.approx([6, 5, 4, 3, 2, 2, 2])


@pytest.mark.parametrize(
    ("anneal", "match"),
    [({"beta": 0.0}, "no number 'beta' to anneal; it has: k"), ({"k": 0.0}, "k must be ≥ 1.0")],
)
def test_what_cannot_be_annealed_is_refused(anneal, match):
    with pytest.raises(InputError, match=match):
        variants.anneal(model_of(k=2), train.Recipe(variant="k-sparse", anneal=anneal), 10)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"k": 0}, "k must be ≥ 1.0"),
        ({"k": 9}, "k must be at most the code's length, 8"),
        ({"alpha": 0.0}, "alpha must be > 0"),
    ],
)
def test_wrong_arguments_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        model_of(**options)


def test_codes_of_several_axes_are_refused():
    pair = kerasae.networks.shape_code(*kerasae.networks.dense((6,), 8, ()), (4, 2))
    with pytest.raises(InputError, match="codes must be vectors"):
        KSparseAutoencoder(*pair)


@pytest.mark.parametrize(
    ("variant", "option", "match"),
    [
        ("contractive", {"penalty": 2.0}, "option 'penalty' expects a name"),
        ("k-sparse", {"alpha": "many"}, "option 'alpha' expects a number"),
    ],
)
def test_options_of_the_command_line_have_the_type_of_the_argument(variant, option, match):
    recipe = train.Recipe(variant=variant, code=3, widths=(), options=option)
    info = kerasae.data.Info("data", (6,), "float32", 1.0, {})
    with pytest.raises(InputError, match=match):
        train.build(recipe, info)
    whole = train.build(train.Recipe(variant="contractive", options={"draws": 2.0, "penalty": "stochastic"}), info)
    assert whole.draws == 2 and type(whole.draws) is int and whole.penalty == "stochastic"
