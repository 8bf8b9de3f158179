import doctest

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import features, linear_probe, probe


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    return x[:300], y[:300], x[300:], y[300:]


@pytest.fixture(scope="module")
def autoencoder():
    return kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), code=3, widths=(16,)), pixel_max=16)


def blobs(count, seed, spread=1.0, classes=3):
    rng = np.random.default_rng(seed)
    y = np.arange(count) % classes
    return 2.0 * np.eye(classes, 5)[y] + spread * rng.normal(size=(count, 5)), y


def test_probe_minimises_the_equation_of_its_docstring():
    train_x, train_y = blobs(90, 0)
    test_x, test_y = blobs(600, 1)
    mean, std, strength = train_x.mean(0), train_x.std(0), 0.5
    scaled = (train_x - mean) / std

    def loss(flat):
        weights, bias = flat[:15].reshape(5, 3), flat[15:]
        likelihood = log_softmax(scaled @ weights + bias, axis=1)[np.arange(90), train_y].sum()
        return 0.5 * np.sum(weights**2) - strength * likelihood

    flat = minimize(loss, np.zeros(18), method="BFGS").x
    logits = (test_x - mean) / std @ flat[:15].reshape(5, 3) + flat[15:]
    result = linear_probe(train_x, train_y, test_x, test_y, strengths=[strength])
    clear = np.ptp(np.sort(softmax(logits, axis=1), axis=1)[:, 1:], axis=1) > 0.01
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(result.predictions[clear], logits.argmax(1)[clear])
    assert result.accuracy == np.mean(result.predictions == test_y)
    assert result.regularisation == strength and "as given" in result.protocol


def test_probe_equals_scikit_learn_by_hand(digits):
    train_x, train_y, test_x, test_y = digits
    order = np.random.default_rng(0).permutation(300)
    x, y = train_x[order], train_y[order]
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))

    def pipeline(strength):
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))

    strengths = (1e-4, 1e-3, 1e-1)
    scores = [sum(np.sum(pipeline(c).fit(x[a], y[a]).predict(x[b]) == y[b]) for a, b in folds) for c in strengths]
    best = strengths[int(np.argmax(scores))]
    reference = pipeline(best).fit(train_x, train_y)
    result = linear_probe(*digits, strengths=strengths)
    assert result.regularisation == best
    assert abs(result.accuracy - reference.score(test_x, test_y)) < 0.002
    assert abs(result.train_accuracy - reference.score(train_x, train_y)) < 0.005
    assert result.converged and "5-fold cross-validation on 300 training labels" in result.protocol


def test_test_data_have_no_say_in_the_choice(digits):
    train_x, train_y, test_x, test_y = digits
    honest = linear_probe(*digits)
    other = linear_probe(train_x, train_y, 100 * test_x[::-1], np.roll(test_y, 1))
    assert other.regularisation == honest.regularisation
    nonsense = linear_probe(train_x, train_y, test_x, (test_y + 1) % 10)
    np.testing.assert_array_equal(nonsense.predictions, honest.predictions)
    assert nonsense.accuracy < 0.1 < 0.8 < honest.accuracy


def test_scaling_comes_from_the_training_features(digits):
    train_x, train_y, test_x, test_y = digits
    whole = linear_probe(*digits, strengths=[0.1]).predictions
    few = linear_probe(train_x, train_y, test_x[:7], test_y[:7], strengths=[0.1]).predictions
    np.testing.assert_array_equal(few, whole[:7])


def test_units_and_shape_of_the_features_do_not_matter(digits):
    train_x, train_y, test_x, test_y = digits
    scale = np.geomspace(1e-3, 1e3, 64, dtype=np.float32)
    flat = linear_probe(*digits)
    images = linear_probe(
        (train_x * scale).reshape(-1, 8, 8, 1), train_y, (test_x * scale).reshape(-1, 8, 8, 1), test_y
    )
    assert images.regularisation == flat.regularisation
    assert np.mean(images.predictions == flat.predictions) > 0.999


def test_few_labels_and_many_features():
    rng = np.random.default_rng(0)
    y = np.arange(100) % 10
    means = rng.normal(size=(10, 1000))
    test_y = np.arange(500) % 10
    test_x = 0.3 * means[test_y] + rng.normal(size=(500, 1000))
    result = linear_probe(0.3 * means[y] + rng.normal(size=(100, 1000)), y, test_x, test_y)
    assert result.train_accuracy == 1.0 and result.accuracy > 0.9


def test_choice_uses_a_subsample_of_large_training_sets():
    x, y = blobs(2000, 0)
    assert "on 200 training labels" in linear_probe(x, y, x, y, choose_on=200).protocol


def test_noisy_data_want_a_strong_penalty():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 200))
    y = (x[:, 0] + 3 * rng.normal(size=400) > 0).astype(int)
    result = linear_probe(x[:200], y[:200], x[200:], y[200:], strengths=(10.0, 1e-3))
    assert result.regularisation == 1e-3


def test_one_label_per_class_leaves_no_choice():
    x, y = blobs(3, 0)
    test = blobs(300, 1)
    result, given = linear_probe(x, y, *test), linear_probe(x, y, *test, strengths=[0.1])
    assert "too few labels" in result.protocol and result.regularisation == 0.1
    np.testing.assert_array_equal(result.predictions, given.predictions)


def test_too_few_iterations_are_reported(digits):
    assert not linear_probe(*digits, strengths=[10.0], max_iter=2).converged


@pytest.mark.parametrize(
    "change, word",
    [
        ({"train_y": np.zeros(6, int)}, "two classes"),
        ({"train_y": np.arange(5)}, "train_y"),
        ({"train_y": None}, "train_y"),
        ({"train_y": np.array([0, 1, 2, -1, 0, 1])}, "train_y"),
        ({"test_y": np.zeros(6)}, "test_y"),
        ({"test_y": np.zeros((6, 1), int)}, "test_y"),
        ({"train_x": np.full((6, 5), np.nan)}, "train_x"),
        ({"test_x": np.full((6, 5), np.inf)}, "test_x"),
        ({"test_x": np.zeros((6, 4))}, "test_x"),
        ({"strengths": (0.0, 1.0)}, "strengths"),
        ({"folds": 1}, "folds"),
    ],
)
def test_mistakes_are_named(change, word):
    x, y = blobs(6, 0)
    good = {"train_x": x, "train_y": y, "test_x": x, "test_y": y}
    linear_probe(**good)
    with pytest.raises(InputError, match=word):
        linear_probe(**(good | change))


def test_features_of_a_model_are_its_codes(autoencoder):
    split = kerasae.data.load("digits").test
    x, _ = split.arrays()
    assert x.dtype == np.uint8
    expected = np.asarray(autoencoder.encoder(x.astype(np.float32) / 16))
    assert expected.std() > 0.01
    for data in (x, split, (x, None)):
        found = features(autoencoder, data, batch_size=100)  # the last batch is smaller
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_features_flatten_maps_and_trace_once():
    traces = []

    class Encoder:
        def encode(self, x):
            traces.append(x.dtype.name)
            return kerasae.ops.to_unit(x)

    x = np.arange(7 * 2 * 3, dtype=np.uint8).reshape(7, 2, 3)
    np.testing.assert_allclose(features(Encoder(), x, batch_size=3), x.reshape(7, 6) / 255, atol=1e-7)
    assert traces == ["uint8"]


def test_features_name_mistakes(autoencoder):
    with pytest.raises(InputError, match="encode"):
        features(object(), np.zeros((2, 3)))
    with pytest.raises(InputError, match="batch_size"):
        features(autoencoder, np.zeros((2, 8, 8, 1)), batch_size=0)
    with pytest.raises(InputError, match="data"):
        features(autoencoder, np.zeros((0, 8, 8, 1)))


def test_examples_run():
    failed, tried = doctest.testmod(probe, extraglobs={"np": np})
    assert failed == 0 and tried >= 6
