"""Numbers of any range: statistics against scikit-learn, models against hand-standardised data, export, refusals."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

import kerasae
from kerasae import layers, models, networks
from kerasae.data import any_numbers, load
from kerasae.errors import InputError
from pipelines.building.variants import scale_of
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)
WINE = np.c_[load_wine().data, np.full(178, 7.0)]  # 13 features of deviations from 0.1 to 315, and one that is constant
VECTORS = RNG.normal(size=(40, 6)) * 100


def npz(folder, **arrays):
    np.savez_compressed(Path(folder) / "data.npz", **arrays)
    return f"npz:{Path(folder) / 'data.npz'}"


# ---- the source


def test_statistics_are_those_of_the_training_rows(tmp_path):
    info = (source := load(npz(tmp_path, x_train=WINE, y_train=load_wine().target))).info
    train = WINE[source.train.rows]
    scaler = StandardScaler().fit(train)
    np.testing.assert_allclose(info.mean, scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(info.deviation, scaler.scale_, rtol=1e-6)
    assert info.deviation[13] == 1.0 and info.standardized and info.range is None and info.dtype == "float32"
    np.testing.assert_array_equal(source.train.arrays()[0], np.float32(train))
    assert "numbers from 0.13 to 1680" in info.notes[0]


@pytest.mark.parametrize(
    ("shape", "example", "features", "kind"),
    [
        ((30, 4), (4,), 4, "vector"),
        ((30, 4, 5), (4, 5, 1), 5, "image"),
        ((30, 4, 5, 2), (4, 5, 2), 2, "image"),
        ((30, 2, 2, 3, 2), (2, 2, 3, 2), 2, "array"),
    ],
)
def test_every_rank_has_a_mean_along_its_last_axis(tmp_path, shape, example, features, kind):
    x = RNG.integers(-500, 500, shape)
    info = (source := load(npz(tmp_path, x_train=x))).info
    assert (info.shape, len(info.mean), info.kind) == (example, features, kind)
    train = x[source.train.rows].reshape(-1, features)
    np.testing.assert_allclose(info.mean, train.mean(axis=0), rtol=1e-6)
    standardized = np.asarray(scale_of(info)(source.train.arrays()[0])).reshape(-1, features)
    np.testing.assert_allclose(standardized, (train - train.mean(axis=0)) / train.std(axis=0), atol=1e-4)


@pytest.mark.parametrize("x", [VECTORS, VECTORS.astype("int64"), VECTORS.astype("float16"), np.abs(VECTORS) + 256])
def test_numbers_outside_the_usual_ranges_are_standardised(tmp_path, x):
    info = load(npz(tmp_path, x_train=x)).info
    assert info.standardized and info.unit == "the feature's standard deviation"


def test_a_range_that_is_given_is_used(tmp_path):
    info = load(npz(tmp_path, x_train=VECTORS), min_value=-500.0, max_value=500.0).info
    assert not info.standardized and info.range == (-500.0, 500.0) and info.unit == "the stored value 500"
    with pytest.raises(InputError, match="floats from -500 to 5.*leave min_value and max_value out"):
        load(npz(tmp_path, x_train=VECTORS), min_value=-500.0, max_value=5.0)


def holed(value):
    x = VECTORS.copy()
    x[5, 2] = x[7, 1] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x_train": holed(np.nan)}, r"received 2 NaN or infinite, the first at \[5, 2\]"),
        ({"x_train": VECTORS, "x_test": holed(-np.inf)}, r"x_test of .*the first at \[5, 2\]"),
        ({"x_train": holed(1e39)}, r"number at \[5, 2\] is beyond float32"),
        ({"x_train": VECTORS + [0, 0, 0, 1e12, 0, 0]}, "feature 3 changes by .*which float32 cannot tell apart"),
        (
            {"x_train": VECTORS, "x_test": VECTORS.astype(int)},
            "expected x_test like x_train, floats; received integers",
        ),
        ({"x_train": VECTORS, "x_test": VECTORS[:, :3]}, "x_test like x_train"),
        ({"x_train": VECTORS.astype("complex64")}, "floats or integers"),
    ],
)
def test_refusals(tmp_path, arrays, says):
    with pytest.raises(InputError, match=says):
        load(npz(tmp_path, **arrays))


def test_statistics_of_missing_numbers_are_those_of_the_known_ones():
    x = np.array([[1.0, np.nan, np.nan], [5.0, 2.0, np.nan], [np.nan, 2.0, np.nan]])
    mean, deviation = any_numbers.statistics(x)
    np.testing.assert_array_equal(mean, [3.0, 2.0, 0.0])
    np.testing.assert_array_equal(deviation, [2.0, 1.0, 1.0])


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_statistics_do_not_depend_on_the_chunks(monkeypatch, chunk):
    monkeypatch.setattr(any_numbers, "CHUNK", chunk)
    x = np.where(RNG.random((30, 4)) < 0.2, np.nan, RNG.normal(1e6, 3.0, (30, 4)))
    mean, deviation = any_numbers.statistics(x)
    np.testing.assert_allclose(mean, np.nanmean(x, axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, np.nanstd(x, axis=0), rtol=1e-9)


# ---- the model


def pair(seed=3, **options):
    keras.utils.set_random_seed(seed)
    return networks.dense((6,), 3, (5,), activation="tanh", **options)


def scaled():
    mean, deviation = any_numbers.statistics(VECTORS)
    return layers.Standardization(mean, deviation), (VECTORS - mean) / deviation, deviation, mean


def test_a_model_computes_as_on_data_standardised_by_hand():
    scale, z, deviation, mean = scaled()
    own, plain = models.Autoencoder(*pair(), pixel_max=scale), models.Autoencoder(*pair())
    np.testing.assert_allclose(own.encode(VECTORS), plain.encode(z), atol=1e-5)
    np.testing.assert_allclose(own.score(VECTORS), plain.score(z), rtol=1e-5)
    restored = np.asarray(plain.reconstruct(z)) * deviation + mean
    for found in (own.reconstruct(VECTORS), own.decode(own.encode(VECTORS)), own(VECTORS)):
        np.testing.assert_allclose(found, restored, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(own.feature_encoder()(np.float32(VECTORS)), plain.encode(z), atol=1e-5)
    for model, x in ((own, VECTORS), (plain, z)):
        model.compile("sgd")
        model.fit(x, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(own.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


OTHERS = {
    "rbm": lambda scale: models.RestrictedBoltzmannMachine((6,), 4, "gaussian", scale),
    "dictionary": lambda scale: models.SparseDictionary((6,), 12, scale, k=3),
    "predictive-sparse": lambda scale: models.PredictiveSparseDecomposition((6,), 12, scale),
    "gsn": lambda scale: models.GenerativeStochasticNetwork(*pair(), "gaussian", scale, walkback=2),
    "k-sparse": lambda scale: models.KSparseAutoencoder(*pair(), "gaussian", scale, k=2),
    "stack of k-sparse": lambda scale: models.StackedAutoencoder([OTHERS["k-sparse"](scale)]),
    "deep belief": lambda scale: models.DeepBeliefNetwork([OTHERS["rbm"](scale)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_model_of_real_numbers_standardises_them(name):
    """Adapted, called and trained as on data standardised by hand; what it draws is in the units of the data."""
    scale, z, deviation, mean = scaled()
    built = []
    for given, x in ((scale, VECTORS), (1.0, z)):
        keras.utils.set_random_seed(5)
        model = OTHERS[name](given)
        if hasattr(model, "adapt"):
            model.adapt(np.float32(x))
        model.compile(keras.optimizers.SGD(1e-3))
        model.fit(np.float32(x), epochs=1, shuffle=False, verbose=0)
        built.append(model)
    own, plain = built
    np.testing.assert_allclose(own.encode(VECTORS), plain.encode(z), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(own.feature_encoder()(np.float32(VECTORS)), plain.encode(z), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(own.score(VECTORS), plain.score(z), rtol=1e-3, atol=1e-3)
    restored = np.asarray(plain.reconstruct(z)) * deviation + mean
    np.testing.assert_allclose(own.reconstruct(VECTORS), restored, rtol=1e-3, atol=1e-2)
    if own.generative:
        drawn = np.asarray(plain.sample(4, seed=1, steps=3)) * deviation + mean
        np.testing.assert_allclose(own.sample(4, seed=1, steps=3), drawn, rtol=1e-3, atol=1e-2)


def test_a_variational_model_standardises_once_and_samples_in_the_units_of_the_data():
    scale, z, deviation, mean = scaled()
    own = models.VariationalAutoencoder(*pair(posterior="gaussian"), "gaussian", scale)
    plain = models.VariationalAutoencoder(*pair(posterior="gaussian"), "gaussian")
    np.testing.assert_allclose(own.bound(VECTORS, 3), plain.bound(z, 3), rtol=1e-5)
    np.testing.assert_allclose(own.sample(4, seed=1), np.asarray(plain.sample(4, seed=1)) * deviation + mean, rtol=1e-4)


def test_a_stack_standardises_once():
    scale, z, deviation, mean = scaled()
    stacks = []
    for first in (scale, 1.0):
        layer = models.Autoencoder(*pair(), pixel_max=first)
        second = models.Autoencoder(*networks.dense((3,), 2, (), kernel_initializer="ones"))
        stacks.append(models.StackedAutoencoder([layer, second]))
    np.testing.assert_allclose(stacks[0].encode(VECTORS), stacks[1].encode(z), atol=1e-5)
    restored = np.asarray(stacks[1].reconstruct(z)) * deviation + mean
    np.testing.assert_allclose(stacks[0].reconstruct(VECTORS), restored, rtol=1e-4, atol=1e-3)


def test_what_is_masked_becomes_the_mean():
    x = np.tile([[30.0, -5.0]], (4, 1))
    scale = layers.Standardization([10.0, 5.0], [2.0, 1.0])
    model = models.DenoisingAutoencoder(*networks.dense((2,), 1, ()), pixel_max=scale)
    corrupted = np.asarray(scale.restored(layers.MaskingCorruption(0.5, seed=0)(model.prepare(x).x)))
    assert {tuple(row) for row in corrupted} <= {(30.0, -5.0), (10.0, -5.0), (30.0, 5.0), (10.0, 5.0)}
    assert 10.0 in corrupted[:, 0]


def test_missing_numbers_count_for_nothing():
    mean, deviation = [1.0] * 6, [3.0] * 6
    model = models.Autoencoder(*pair(), pixel_max=layers.Standardization(mean, deviation, missing=True))
    x = np.float32(VECTORS)
    x[:, 4] = np.nan
    filled = np.where(np.isnan(x), 1.0, x)  # the mean
    np.testing.assert_allclose(model.encode(x), model.encode(filled), atol=1e-6)
    np.testing.assert_allclose(model.feature_encoder()(x), model.encode(filled), atol=1e-6)
    z, made = (filled - 1) / 3, (np.asarray(model.reconstruct(filled)) - 1) / 3
    errors = ((z - made) ** 2)[:, [0, 1, 2, 3, 5]]
    expected = 0.5 * errors.sum(axis=1) + 5 * 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(model.score(x), expected, rtol=1e-4)
    found = kerasae.evaluate.reconstruction_error(model, x)
    assert found["mse"] == pytest.approx(errors.mean(), rel=1e-4) and "psnr" not in found
    power = (z[:, [0, 1, 2, 3, 5]] ** 2).sum()
    assert found["prd"] == pytest.approx(np.sqrt(errors.sum() / power), rel=1e-4)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: layers.Standardization([1.0], [0.0]), "a deviation > 0 for each mean"),
        (lambda: layers.Standardization([1.0], [1.0, 2.0]), r"means of shape \(1,\), deviations of shape \(2,\)"),
        (lambda: layers.Standardization([np.nan], [1.0]), "finite means"),
        (lambda: models.Autoencoder(*pair(), "bernoulli", layers.Standardization([0.0], [1.0])), "gaussian"),
        (lambda: models.Autoencoder(*pair(), pixel_max=layers.Standardization([0.0] * 4, [1.0] * 4)), r"shape \(4,\)"),
        (lambda: models.Autoencoder(*pair(), pixel_max=scaled()[0]).score(holed(np.inf)), "finite numbers"),
        (lambda: models.RestrictedBoltzmannMachine((6,), 2, "bernoulli", scaled()[0]), "gaussian"),
        (lambda: models.SparseDictionary((6,), 2, layers.Standardization([0.0], [1.0], missing=True)), "no missing"),
    ],
)
def test_mistakes_of_a_model(build, says):
    with pytest.raises(InputError, match=says):
        build()


# ---- the commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("wine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        npz(".", x_train=WINE, y_train=load_wine().target)
        sizes = ["--widths", "8", "--code", "3", "--epochs", "2", "--batch-size", "16"]
        assert cli.main(["train", "plain", "--data", "npz:data.npz", "--out", "run", *sizes]) == 0
        assert cli.main(["export", "run", "saved"]) == 0
    return place


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


LOADS = """
import sys, numpy as np, tensorflow as tf
served = tf.saved_model.load("saved")
codes = served.signatures["encode"](inputs=tf.constant(np.load("raw.npy")))["codes"]
np.save("codes.npy", codes)
assert not any(name.split(".")[0] == "kerasae" for name in sys.modules)
"""


def test_an_export_standardises_in_a_process_of_its_own(here):
    rows = load("npz:data.npz").train.rows
    np.save("raw.npy", np.float32(WINE[:20]))
    subprocess.run([sys.executable, "-c", LOADS], check=True, cwd=here, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    z = StandardScaler().fit(WINE[rows]).transform(WINE[:20])
    for layer in kerasae.runs.load_model("run").encoder.layers[1:]:
        z = z @ layer.kernel.numpy() + layer.bias.numpy()
        z = np.maximum(z, 0) if layer.activation is keras.activations.relu else z
    np.testing.assert_allclose(np.load("codes.npy"), z, rtol=1e-4, atol=1e-5)


def test_probe_embed_finetune_and_evaluate_take_it(here, tmp_path, capsys):
    assert cli.main(["probe", "run", "--labels", "50", "--out", str(tmp_path / "probe")]) == 0
    assert "raw input, nearest neighbour" in capsys.readouterr().out
    assert cli.main(["embed", "run", "--to", str(tmp_path / "codes.npz")]) == 0
    model = kerasae.runs.load_model("run")
    np.testing.assert_allclose(np.load(tmp_path / "codes.npz")["codes"], model.encode(WINE), rtol=1e-4, atol=1e-5)
    tune = ["finetune", "run", "--labels", "60", "--finetune-epochs", "30", "--no-baselines", "--out"]
    assert cli.main([*tune, str(tmp_path / "tuned")]) == 0
    figures = kerasae.runs.read_summary(tmp_path / "tuned")
    assert figures["scratch_accuracy"] > 0.8  # 0.4 without standardisation, which random weights need as much


def test_predict_takes_numbers_of_any_range_and_refuses_nan(here, tmp_path, capfd, mistake):
    np.savez(tmp_path / "new.npz", x=WINE[:3])
    printed = []
    for model in ("run", "saved"):
        assert cli.main(["predict", model, str(tmp_path / "new.npz")]) == 0
        printed.append(capfd.readouterr().out)
    scores = [float(line.split(",")[1]) for line in printed[0].splitlines()[1:]]
    np.testing.assert_allclose(scores, kerasae.runs.load_model("run").score(WINE[:3]), rtol=1e-5)
    assert printed[0] == printed[1]
    np.savez(tmp_path / "bad.npz", x=np.full((1, 14), np.nan))
    assert "NaN or infinite" in mistake("predict", "run", tmp_path / "bad.npz")


def test_other_data_must_be_of_the_same_kind(here, mistake):
    assert "has learned from numbers of any range, but digits holds" in mistake("evaluate", "run", "--data", "digits")


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (["train", "plain", "--likelihood", "bernoulli"], "likelihood: bernoulli needs values from 0 to 1"),
        (["train", "recirculation"], "recirculation takes values from 0 to 1 only"),
        (["mae"], "a masked autoencoder needs"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(here, tmp_path, mistake, tokens, says):
    assert says in mistake(*tokens, "--data", "npz:data.npz", "--out", tmp_path / "out", notes=0)
    assert not (tmp_path / "out").exists()


def test_outputs_of_large_deviation_pass_the_check_of_an_export(tmp_path):
    scale = layers.Standardization([0.0] * 6, [1e7] * 6)
    x = np.float32(RNG.normal(size=(16, 6)) * 1e7)
    kerasae.export.save(models.Autoencoder(*pair(), pixel_max=scale), tmp_path / "saved", dtype="float32", examples=x)
