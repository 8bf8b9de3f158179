"""Detectors against NumPy, SciPy and scikit-learn; thresholds, round trips, exports, and what is refused."""

import keras
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors

import kerasae
from kerasae import models, networks
from kerasae.applications import contributions, point_scores
from kerasae.data.table_columns import Column
from kerasae.detectors import Detector, error_map, f1_threshold, quantile_threshold
from kerasae.errors import InputError

X = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1)).astype("uint8")
NEW = np.random.default_rng(1).integers(0, 256, (7, 4, 4, 1)).astype("uint8")


def plain(seed=0):
    keras.utils.set_random_seed(seed)
    return models.Autoencoder(*networks.dense((4, 4, 1), 3, widths=(8,)))


def variational():
    keras.utils.set_random_seed(0)
    return models.VariationalAutoencoder(*networks.dense((4, 4, 1), 3, widths=(8,), posterior="gaussian"))


def masked():
    keras.utils.set_random_seed(0)
    pair = networks.vit((4, 4, 1), 2, width=8, depth=1, heads=2, decoder_width=4, decoder_depth=1, decoder_heads=2)
    return models.MaskedAutoencoder(*pair, mask_ratio=0.5, normalize_targets=False)


def codes(model, x):
    return np.asarray(model.encode(x), np.float64)


# ---- scores


def test_gaussian_is_scipys_mahalanobis_distance_with_the_covariance_of_ledoit_and_wolf():
    model = plain()
    detector = Detector([model], "gaussian")
    detector.adapt(X)
    fitted = LedoitWolf().fit(codes(model, X))
    inverse = np.linalg.inv(fitted.covariance_)
    expected = [mahalanobis(z, fitted.location_, inverse) for z in codes(model, NEW)]
    np.testing.assert_allclose(detector.score(NEW), expected, rtol=1e-4)


def test_neighbours_are_scikit_learns():
    model = plain()
    detector = Detector([model], "neighbours", neighbours=4, bank=60)
    detector.adapt(X)
    distances = NearestNeighbors(n_neighbors=4).fit(codes(model, X)).kneighbors(codes(model, NEW))[0]
    np.testing.assert_allclose(detector.score(NEW, batch_size=3), distances.mean(axis=1), rtol=1e-5)


def test_squared_is_the_sum_over_the_pixels_and_reconstruction_the_models_score():
    model = plain()
    error = np.square(NEW / 255 - np.asarray(model.reconstruct(NEW), np.float64))
    np.testing.assert_allclose(Detector([model], "squared").score(NEW), error.sum(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(error_map(model, NEW), error, atol=1e-6)
    np.testing.assert_array_equal(Detector([model]).score(NEW), model.score(NEW))


def test_bound_draws_alike_for_every_example_and_is_the_models_bound_in_the_mean():
    model = variational()
    for network in (model.encoder, model.decoder):  # importance weights that vary little need few draws
        kernel = network.trainable_weights[-2]
        kernel.assign(0.1 * kernel)
    detector = Detector([model], "bound", draws=3000)
    alone = np.concatenate([detector.score(NEW[i : i + 1]) for i in range(len(NEW))])
    np.testing.assert_allclose(detector.score(NEW), alone, rtol=1e-5)
    expected = -np.mean([model.bound(NEW, 3000, seed=seed) for seed in range(3)], axis=0)
    np.testing.assert_allclose(alone, expected, atol=0.02)


def test_masked_is_the_mean_error_of_hidden_patches_over_masks_and_its_map_holds_every_patch():
    model = masked()
    detector = Detector([model], "masked", masks=6)
    assert np.asarray(detector.error_map(NEW)).shape == NEW.shape
    few = Detector([model], "masked", masks=1)  # as many as hide every patch, which is the model's own score
    np.testing.assert_allclose(few.score(NEW), model.score(NEW), rtol=1e-5)
    assert np.abs(np.asarray(detector.score(NEW)) - np.asarray(few.score(NEW))).max() > 1e-4
    whole = few.error_map(NEW)  # each patch is hidden as often: the mean of the map is the score
    np.testing.assert_allclose(np.mean(np.asarray(whole), axis=(1, 2, 3)), few.score(NEW), rtol=1e-4)


def test_members_are_averaged_as_multiples_of_their_deviation():
    pair = [plain(0), plain(1)]
    detector = Detector(pair, "squared")
    detector.adapt(X)
    alone = [Detector([member], "squared") for member in pair]
    scaled = [(np.asarray(d.score(NEW)) - np.mean(d.score(X))) / np.std(d.score(X)) for d in alone]
    np.testing.assert_allclose(detector.score(NEW), np.mean(scaled, axis=0), rtol=1e-3, atol=1e-4)


# ---- thresholds


@pytest.mark.parametrize(("count", "share"), [(99, 0.05), (99, 0.01), (399, 0.1)])
def test_the_quantile_is_scipys_and_lets_as_many_false_alarms_expect_as_asked(count, share):
    scores = np.random.default_rng(count).normal(size=count).astype("float32")
    found = quantile_threshold(scores, share)
    expected = stats.mstats.mquantiles(scores, [1 - share], alphap=0, betap=0)[0]
    assert found.threshold == pytest.approx(expected, abs=1e-6)
    assert found.alarms == (scores > found.threshold).sum()
    assert found.rate == pytest.approx(share)
    assert stats.beta(found.alarms + 1, count - found.alarms).mean() == pytest.approx(share)


@pytest.mark.parametrize(("alarms", "count"), [(0, 20), (3, 300), (20, 20)])
def test_the_interval_is_that_of_clopper_and_pearson(alarms, count):
    interval = stats.binomtest(alarms, count).proportion_ci(0.9, method="exact")
    assert kerasae.detectors.Calibration(1.0, alarms, count).interval(0.9) == pytest.approx(
        (interval.low, interval.high)
    )


def test_new_examples_exceed_the_threshold_as_often_as_said():
    random = np.random.default_rng(0)
    shares = [np.mean(random.gumbel(size=500) > quantile_threshold(random.gumbel(size=99), 0.1).threshold)
              for _ in range(400)]  # fmt: skip
    assert np.mean(shares) == pytest.approx(0.1, abs=0.006)


def test_the_f1_threshold_is_the_best_of_all():
    random = np.random.default_rng(3)
    scores, labels = np.concatenate([random.normal(size=40), random.normal(1.5, 1, 30)]).round(1), np.arange(70) >= 40
    best = max(f1_score(labels, scores > t) for t in [*scores, scores.min() - 1])
    found = f1_threshold(scores, labels)
    assert f1_score(labels, scores > found.threshold) == pytest.approx(best)
    assert (found.alarms, found.examples) == ((scores[:40] > found.threshold).sum(), 40)


def test_words_say_the_expected_false_alarms():
    words = quantile_threshold(np.arange(999.0), 0.01).words()
    assert words.startswith("about 10 of 1,000 normal examples will be called anomalies (95 % interval 4 to 17")


# ---- files and exports


@pytest.fixture(scope="module")
def calibrated():
    detector = Detector([plain(0), plain(1)], "neighbours", neighbours=2, bank=40)
    detector.adapt(X)
    detector.calibrate(X, 0.1)
    return detector


def test_a_file_keeps_members_score_and_threshold(calibrated, tmp_path):
    calibrated.save(tmp_path / "detector.keras")
    again = kerasae.saving.load_model(tmp_path / "detector.keras")
    assert again.calibration == calibrated.calibration
    for name, value in calibrated.detect(NEW).items():
        np.testing.assert_array_equal(again.detect(NEW)[name], value)


@pytest.mark.parametrize("score", ["bound", "masked", "gaussian"])
def test_a_file_keeps_other_scores(score, tmp_path):
    detector = Detector([masked() if score == "masked" else variational()], score, draws=3, masks=5)
    detector.adapt(X)
    detector.save(tmp_path / "detector.keras")
    np.testing.assert_array_equal(
        kerasae.saving.load_model(tmp_path / "detector.keras").score(NEW), detector.score(NEW)
    )


def test_an_export_detects_by_the_threshold_inside(calibrated, tmp_path):
    path = kerasae.export.save(calibrated, tmp_path / "export", examples=NEW)
    served = kerasae.export.ServedModel(path)
    expected = calibrated.detect(NEW)
    found = served.predict(NEW)
    assert served.kind == "anomaly"
    np.testing.assert_allclose(found[:, 0], expected["scores"], rtol=1e-5)
    np.testing.assert_array_equal(found[:, 1] == 1, expected["anomalies"])


# ---- what is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Detector([]), "members: expected at least one"),
        (lambda: Detector([plain()], "loudness"), "score: expected one of reconstruction"),
        (lambda: Detector([plain()], "bound"), "posterior, which Autoencoder does not have"),
        (lambda: Detector([plain()], "masked"), "needs a masked autoencoder"),
        (lambda: Detector([plain()], "neighbours"), "neighbours: expected 1 to 0"),
        (lambda: Detector([models.Classifier(plain().feature_encoder(), 2)]), "does not score single examples"),
        (lambda: Detector([plain(), models.Autoencoder(*networks.dense(5, 2))]), "of the first. Received"),
        (lambda: Detector([plain()], "neighbours", bank=61).adapt(X), "bank: expected at most 60"),
        (lambda: Detector([plain()]).detect(NEW), "never calibrated"),
        (lambda: kerasae.export.save(Detector([plain()]), "nowhere"), "never calibrated"),
        (lambda: Detector([plain()]).calibrate(X, 0.01), "needs at least 99 normal examples"),
        (lambda: Detector([plain()]).calibrate(X, 1.5), "contamination: expected a share between 0 and 1"),
        (lambda: Detector([plain()]).calibrate(X, anomalies=np.ones(60, bool)), "some true and some false"),
        (lambda: quantile_threshold([1.0, np.nan], 0.5), "finite numbers"),
    ],
)
def test_mistakes_are_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


# ---- recordings and tables


def test_a_point_scores_the_mean_of_the_windows_that_cover_it():
    samples, means = point_scores(np.array([10, 12, 30]), np.array([[1.0, 2, 3], [5, 7, 9], [4, 4, 8]]))
    assert samples.tolist() == [10, 11, 12, 13, 14, 30, 31, 32]
    assert means.tolist() == [1, 2, 4, 7, 9, 4, 4, 8]


def test_the_places_of_a_category_contribute_together():
    columns = (Column("a"), Column("b"), Column("c", ("x", "y")))
    errors = np.array([[3.0, 1.0, 2.0, 1.5], [0.0, 4.0, 0.1, 0.1]])
    assert contributions(columns, errors, 2) == [["c", "a"], ["b", "c"]]
