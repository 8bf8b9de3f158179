"""The scikit-learn estimators: scikit-learn's own checks, and figures against PCA, SciPy and fits by hand."""

import pickle
import random

import numpy as np
import pandas
import pytest
import scipy.stats
import tensorflow as tf
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from kerasae.errors import InputError
from kerasae.sklearn import (
    AnomalyDetector,
    AutoencoderClassifier,
    AutoencoderRegressor,
    AutoencoderTransformer,
    Denoiser,
    building,
    pickled,
)

ALL = [AutoencoderTransformer, Denoiser, AnomalyDetector, AutoencoderClassifier, AutoencoderRegressor]
TINY = {"code": 12, "widths": (), "epochs": 1}
SEEDED = {"code": 3, "widths": (5,), "epochs": 2, "batch_size": 16, "random_state": 0}

WEIGHTS = "weights act on the mean of a batch, which is not what a repeated row does to batches"
EXEMPT = {"check_sample_weight_equivalence_on_dense_data": WEIGHTS}
OF_CLASSES = {"check_classifiers_classes": "its labels are −1 and 1, and −1 means unlabelled"}

X, Y = make_classification(40, 6, random_state=0)
ONE = np.random.default_rng(0).normal(size=(256, 1)) @ np.ones((1, 6)) * [1, -2, 3, 1, 5, 1] + 7
"""Six columns that one number explains."""


@pytest.fixture
def eagerly():
    """Run without graphs: tracing takes longer than the few steps of a small fit."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ALL)
def test_checks_of_scikit_learn(cls, eagerly):
    exempt = EXEMPT | (OF_CLASSES if cls is AutoencoderClassifier else {})
    check_estimator(cls(**TINY), expected_failed_checks=exempt, on_skip=None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", [AutoencoderTransformer, AnomalyDetector])
def test_interface_checks_of_scikit_learn(cls, eagerly):
    check_estimator(cls(**TINY), legacy=False, expected_failed_checks=EXEMPT, on_skip=None)


def test_a_linear_autoencoder_leaves_the_error_of_pca():
    x = np.random.default_rng(0).normal(size=(256, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    z = StandardScaler().fit_transform(x)
    pca = PCA(2).fit(z)
    best = np.square(z - pca.inverse_transform(pca.transform(z))).mean()
    ours = AutoencoderTransformer("plain", 2, (), epochs=80, batch_size=32, learning_rate=0.02, random_state=0).fit(x)
    back = ours.inverse_transform(ours.transform(x))
    assert best * 0.999 < np.square((x - back) / x.std(0)).mean() < best * 1.03


def test_missing_values_and_noise_are_restored():
    rng, deviation = np.random.default_rng(1), ONE.std(0)
    denoiser = Denoiser(code=1, widths=(), missing=True, learning_rate=0.02, random_state=0)
    hidden = rng.random(ONE.shape) < 0.2
    denoiser.fit(np.where(hidden, np.nan, ONE))
    found = denoiser.transform(np.where(hidden, np.nan, ONE))
    of_means = np.square((ONE - ONE.mean(0)) / deviation)[hidden].mean()
    assert np.square((ONE - found) / deviation)[hidden].mean() < 0.2 * of_means
    noise = rng.normal(size=ONE.shape) * deviation * 0.5
    left = np.square((denoiser.transform(ONE + noise) - ONE) / deviation).mean()
    assert left < 0.5 * np.square(noise / deviation).mean()


def test_scores_are_log_likelihoods_and_the_offset_is_a_quantile(eagerly):
    detector = AnomalyDetector(code=2, widths=(5,), contamination=0.1, epochs=1, random_state=0).fit(X)
    z, back = ((v - X.mean(0)) / X.std(0) for v in (X, np.asarray(detector.model_.reconstruct(X))))
    np.testing.assert_allclose(detector.score_samples(X), scipy.stats.norm.logpdf(z, back).sum(1), rtol=1e-4)
    assert (detector.predict(X) == -1).sum() == 4
    far = np.full((1, 6), 50.0)
    assert detector.predict(far) == -1 and detector.decision_function(far) < detector.decision_function(X).min()


def test_a_fit_repeats_to_the_bit_and_leaves_the_callers_seeds_alone(eagerly):
    before = random.getstate(), np.random.get_state()[1].copy()
    first, again = (AutoencoderTransformer(**SEEDED).fit(X) for _ in range(2))
    assert random.getstate() == before[0] and (np.random.get_state()[1] == before[1]).all()
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    assert first.loss_curve_ == again.loss_curve_ and len(first.loss_curve_) == 2
    other = clone(first).set_params(random_state=1).fit(X)
    assert not np.allclose(first.transform(X), other.transform(X))


def test_a_pickle_holds_a_keras_file_and_training_goes_on_from_it(eagerly):
    first = AutoencoderTransformer("plain", **SEEDED).fit(X)
    assert first.__getstate__()["model_"][:2] == b"PK"  # a zip archive, as .keras files are
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    first.partial_fit(X), again.partial_fit(X)
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    with pytest.raises(InputError, match="cannot be loaded"):
        pickled.from_bytes(b"PK" + bytes(90))


def test_epochs_of_partial_fit_improve_the_loss(eagerly):
    model = AutoencoderTransformer("plain", 4, (), batch_size=10, learning_rate=0.01, random_state=0)
    for _ in range(6):
        model.partial_fit(X)
    assert len(model.loss_curve_) == 6 and model.loss_curve_[-1] < 0.95 * model.loss_curve_[0]


def test_rows_of_weight_zero_change_nothing(eagerly):
    weight, other = np.arange(40) % 2, X.copy()
    other[weight == 0] = 9.0
    fits = [AutoencoderTransformer(**SEEDED, standardize=False).fit(x, sample_weight=weight) for x in (X, other)]
    np.testing.assert_array_equal(fits[0].transform(X), fits[1].transform(X))
    plain = AutoencoderTransformer(**SEEDED, standardize=False).fit(X)
    assert not np.allclose(plain.transform(X), fits[0].transform(X))


def test_the_classifier_is_logistic_regression_on_codes_of_all_rows(eagerly):
    partly = np.where(np.arange(40) < 15, Y, -1)
    ours = AutoencoderClassifier(**SEEDED).fit(X, partly)
    codes = StandardScaler().fit_transform(AutoencoderTransformer(**SEEDED).fit_transform(X))
    by_hand = LogisticRegression(max_iter=1000).fit(codes[:15], Y[:15])
    np.testing.assert_allclose(ours.predict_proba(X), by_hand.predict_proba(codes), atol=1e-6)
    names = np.array(["no", "yes"], object)[Y]
    names[15:] = [None, float("nan"), -1, None, None] * 5
    named = AutoencoderClassifier(**SEEDED).fit(X, names)
    assert named.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(named.predict_proba(X), ours.predict_proba(X))
    tree = AutoencoderClassifier(**SEEDED, head=DecisionTreeClassifier()).fit(X, Y)
    assert tree.score(X, Y) == 1.0 and not hasattr(tree, "decision_function")


def test_the_regressor_is_ridge_on_codes_of_all_rows(eagerly):
    y = X @ np.arange(6.0)
    partly = np.where(np.arange(40) < 15, y, np.nan)
    ours = AutoencoderRegressor(**SEEDED).fit(X, partly)
    codes = StandardScaler().fit_transform(AutoencoderTransformer(**SEEDED).fit_transform(X))
    np.testing.assert_allclose(ours.predict(X), Ridge().fit(codes[:15], y[:15]).predict(codes), atol=1e-4)


def test_data_frames_go_in_and_come_out(eagerly):
    frame = pandas.DataFrame(X, columns=list("abcdef"), index=np.arange(40) + 5)
    model = AutoencoderTransformer(**SEEDED).set_output(transform="pandas").fit(frame)
    codes = model.transform(frame)
    assert codes.columns.tolist() == [f"autoencodertransformer{i}" for i in range(3)] and codes.index[0] == 5
    assert model.feature_names_in_.tolist() == list("abcdef") and model.n_features_in_ == 6
    restored = Denoiser(**SEEDED).set_output(transform="pandas").fit_transform(frame)
    assert restored.columns.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[list("bacdef")])


def test_a_grid_search_over_a_pipeline(eagerly):
    model = make_pipeline(AutoencoderTransformer(**SEEDED), LogisticRegression())
    grid = {"autoencodertransformer__code": [1, 4], "autoencodertransformer__widths": [()]}
    search = GridSearchCV(model, grid, cv=2).fit(X, Y)
    assert search.best_params_["autoencodertransformer__code"] in (1, 4)
    assert search.best_estimator_[0].transform(X).shape[1] == search.best_params_["autoencodertransformer__code"]


NONNEGATIVE = (X - X.min()) / (X.max() - X.min())
OF_UNITS = {"recirculation", "sparse", "rbm"}


@pytest.mark.slow
@pytest.mark.parametrize("name", building.variant_names())
def test_every_variant_encodes_decodes_and_comes_back_from_a_pickle(name, eagerly):
    small = {"k-sparse": {"k": 2}, "dictionary": {"k": 2}, "vector-quantized": {"entries": 8}}
    model = AutoencoderTransformer(name, 4, (5,), options=small.get(name), epochs=1, random_state=0)
    if name in OF_UNITS:
        model.set_params(standardize=False, likelihood="bernoulli")
    codes = model.fit_transform(NONNEGATIVE)
    assert codes.shape == (40, 4) and model.inverse_transform(codes).shape == X.shape
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(NONNEGATIVE), codes)


MISTAKES = {
    "variant: expected one of plain,.*received 'vae-gan'": {"variant": "vae-gan"},
    "noise: plain corrupts nothing": {"variant": "plain", "noise": 0.1},
    "options: plain has none; received 'beta'": {"variant": "plain", "options": {"beta": 2.0}},
    "options: variational has .*beta.*; received 'bata'": {"variant": "variational", "options": {"bata": 2.0}},
    "standardize: recirculation takes values from 0 to 1": {"variant": "recirculation", "likelihood": "bernoulli"},
    "standardised values have no range": {"likelihood": "bernoulli"},
    "epochs: expected a whole number": {"epochs": 0},
    "batch_size: expected a whole number": {"batch_size": 2.5},
    "learning_rate: expected a finite number": {"learning_rate": -1.0},
    "takes no missing values": {"variant": "dictionary", "missing": True},
    "code": {"code": 0},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_wrong_parameters_are_named(message):
    with pytest.raises(InputError, match=message):
        AutoencoderTransformer(**{"code": 3, "widths": (), **MISTAKES[message]}).fit(X)


def test_wrong_data_are_named():
    nan = np.where(X > 1, np.nan, X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        AutoencoderTransformer().fit(nan)
    with pytest.raises(InputError, match="contamination.*0.5"):
        AnomalyDetector(contamination=0.7).fit(X)
    with pytest.raises(InputError, match="at least 2 classes.*mean unlabelled"):
        AutoencoderClassifier().fit(X, np.where(Y == 1, 1, -1))
    with pytest.raises(InputError, match="received NaN only"):
        AutoencoderRegressor().fit(X, np.full(40, np.nan))
    with pytest.raises(InputError, match="sample_weight: expected a 1D array of 40"):
        AutoencoderTransformer(**TINY).fit(X, sample_weight=np.ones(7))
