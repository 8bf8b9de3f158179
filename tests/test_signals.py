"""Masked autoencoders of signals and volumes: against those of images, interpolation against SciPy, the commands."""

import re

import keras
import numpy as np
import pytest
from scipy.interpolate import CubicSpline, PchipInterpolator

import kerasae
from kerasae import export, layers, models, networks, runs, saving
from kerasae.errors import InputError
from kerasae.evaluate import hidden_patch_error, interpolation, interpolation_error
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)
SMALL = {"width": 16, "depth": 2, "heads": 2, "decoder_width": 12, "decoder_depth": 1, "decoder_heads": 2}
VARIANTS = {
    "deep": models.MaskedAutoencoder,
    "cross": models.CrossMaskedAutoencoder,
    "linear": models.SimMIM,
}
SHAPES = {"signal": ((12, 2), 3), "volume": ((4, 6, 2, 1), (2, 3, 1))}


def build(shape, patch, decoder="deep", seed=1, learned=False, **options):
    """A small model whose weights are all random."""
    pair = networks.vit(shape, patch, **SMALL, decoder=decoder, learned_positions=learned, name="row")
    model = VARIANTS[decoder](*pair, **{"mask_ratio": 0.5, "normalize_targets": False, **options})
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def numbers(*shape, count=5):
    return np.float32(RNG.normal(50, 20, size=(count, *shape)))


def scale():
    return layers.Standardization([40.0], [25.0])


# ---- the model


@pytest.mark.parametrize("decoder", VARIANTS)
@pytest.mark.parametrize(
    ("shape", "patch", "image", "tile"),
    [((12, 2), 3, (12, 1, 2), (3, 1)), ((4, 1, 6, 2), (2, 1, 3), (4, 6, 2), (2, 3))],
)
def test_a_model_of_any_rank_is_that_of_images_with_an_axis_of_one(decoder, shape, patch, image, tile):
    """With learned positions both have the same weights; the models of images are checked against the paper's steps."""
    ours, theirs = (build(*given, decoder, learned=True) for given in ((shape, patch), (image, tile)))
    theirs.set_weights(ours.get_weights())
    x = np.float32(RNG.uniform(size=(3, *shape)))
    as_images = x.reshape(3, *image)
    noise = np.float32(RNG.uniform(size=(3, ours.patches_shape[0])))
    for name, value in ours.forward(x, noise).items():
        np.testing.assert_allclose(value, theirs.forward(as_images, noise)[name], atol=1e-5, err_msg=name)
    for method in ("score", "encode", "reconstruct", "tokens"):
        found, wanted = (np.asarray(getattr(m, method)(v)) for m, v in ((ours, x), (theirs, as_images)))
        np.testing.assert_allclose(found, wanted.reshape(found.shape), atol=1e-5, err_msg=method)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_standardising_model_computes_as_on_data_standardised_by_hand(kind):
    shape, patch = SHAPES[kind]
    own, plain = build(shape, patch, pixel_max=scale()), build(shape, patch, pixel_max=layers.Standardization([0], [1]))
    plain.set_weights(own.get_weights())
    x = numbers(*shape)
    z, noise = (x - 40) / 25, np.float32(RNG.uniform(size=(5, own.patches_shape[0])))
    for method in ("encode", "score"):
        np.testing.assert_allclose(getattr(own, method)(x), getattr(plain, method)(z), rtol=1e-4, atol=1e-5)
    made = np.asarray(own.reconstruct(x, noise))
    np.testing.assert_allclose(made, np.asarray(plain.reconstruct(z, noise)) * 25 + 40, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(own.reconstruct(x), np.asarray(plain.reconstruct(z)) * 25 + 40, rtol=1e-4, atol=1e-3)
    hidden = np.asarray(own.hidden(noise))
    assert hidden.shape == x.shape and hidden.mean() == 0.5  # the share of patches, all of one size
    np.testing.assert_allclose(made[~hidden], x[~hidden], rtol=1e-5)
    assert np.all(np.abs(made - x)[hidden].reshape(-1) > 0)
    np.testing.assert_allclose(np.asarray(own.hide(x, noise))[hidden], 40, rtol=1e-5)
    assert made.min() < 0 or made.max() > 1  # not clipped


def test_a_saved_and_an_exported_model_give_the_same(tmp_path):
    with export.Checker() as checker:  # a process without kerasae
        for kind, (shape, patch) in SHAPES.items():
            model, x = build(shape, patch, pixel_max=scale()), numbers(*shape)
            model.save(tmp_path / f"{kind}.keras")
            again = saving.load_model(tmp_path / f"{kind}.keras")
            for method in ("encode", "score", "reconstruct"):
                np.testing.assert_array_equal(getattr(again, method)(x), getattr(model, method)(x))
            export.save(model, tmp_path / kind, dtype="float32", examples=x, checker=checker)


def test_blocks_of_a_signal_are_hidden_together():
    model = build((24, 1), 2, mask_group=3)
    hidden = np.asarray(model.hidden(np.float32(RNG.uniform(size=(9, 12)))))[..., 0].reshape(9, 4, 6)
    assert np.all(hidden == hidden[..., :1]) and np.all(hidden[..., 0].sum(axis=1) == 2)


@pytest.mark.parametrize(("shape", "patch", "larger"), [((12, 2), 3, (18, 2)), ((4, 6, 2, 1), (2, 3, 1), (6, 6, 4, 1))])
def test_networks_are_resized_to_another_length_and_to_no_other_rank(shape, patch, larger):
    encoder, decoder = networks.vit(shape, patch, **SMALL, learned_positions=True, pooling=None)
    small, large = (networks.resize_vit(encoder, size) for size in (shape, larger))
    x = np.float32(RNG.uniform(size=(2, *shape)))
    np.testing.assert_allclose(small(x), encoder(x), atol=1e-5)
    wide = networks.resize_vit(decoder, larger)
    assert wide(large(np.zeros((1, *larger), "float32"))).shape == (1, *larger)
    with pytest.raises(InputError, match="cannot be resized to 8×8×1"):
        networks.resize_vit(encoder, (8, 8, 1))


def blobs(count, seed, side=12):
    """A Gaussian of random place and width in each volume."""
    rng, places = np.random.default_rng(seed), np.moveaxis(np.indices((side,) * 3), 0, -1)
    centre, width = rng.uniform(3, side - 4, (count, 1, 1, 1, 3)), rng.uniform(2, 3.5, (count, 1, 1, 1))
    return np.float32(100 * np.exp(-0.5 * ((places - centre) ** 2).sum(-1) / width**2))[..., None]


def test_hidden_parts_of_volumes_are_predicted_better_than_by_the_mean_and_by_interpolation():
    x, test = blobs(512, 1), blobs(24, 2)
    model = models.MaskedAutoencoder(
        *networks.vit((12, 12, 12, 1), 4, **{**SMALL, "width": 48, "decoder_width": 48}),
        normalize_targets=False,
        pixel_max=layers.Standardization([x.mean()], [x.std()]),
    )
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, 256)))
    model.fit(x, epochs=16, batch_size=32, verbose=0)
    found = interpolation_error(model, test)
    assert found["hidden_mse"] < 0.8 * found["linear_interpolation_mse"] and found["hidden_mse"] < 0.5  # 1 is the mean


# ---- interpolation


def lines(times, values):
    return lambda asked: np.interp(asked, times, values)


def test_interpolation_of_signals_is_that_of_numpy_and_scipy_under_the_masks_of_the_score():
    model, x = build((24, 2), 3, pixel_max=scale()), numbers(24, 2, count=7)
    z, times = (x - 40) / 25, np.arange(24)
    errors = {"linear": [], "cubic": [], "monotone": []}
    rules = {"linear": lines, "cubic": CubicSpline, "monotone": PchipInterpolator}
    masks = np.asarray(model.hidden(model.score_noise()))[..., 0]
    assert masks.any(axis=0).all()
    for hidden in masks:
        seen = times[~hidden]
        at = np.clip(times[hidden], seen[0], seen[-1])
        for name, rule in rules.items():
            made = [[rule(seen, one[seen, c].astype("float64"))(at) for c in range(2)] for one in z]
            errors[name].append(np.mean((np.moveaxis(made, 1, 2) - z[:, hidden]) ** 2))
    found = interpolation_error(model, x, batch_size=4)
    for name, values in errors.items():
        assert found[f"{name}_interpolation_mse"] == pytest.approx(np.mean(values), rel=1e-4)
    assert found["hidden_mse"] == pytest.approx(hidden_patch_error(model, x)["hidden_error"], rel=1e-4)


def test_interpolation_of_volumes_is_exact_for_a_linear_function_inside_of_what_is_visible():
    ramp = np.einsum("adxyz,d->axyz", np.indices((5, 6, 7))[None], [1.0, -2.0, 0.5])
    x = np.stack([3 + ramp[0], 7 * ramp[0]])[..., None]
    hidden = np.zeros((5, 6, 7), bool)
    hidden[1:4, 1:3, 2:5] = True
    np.testing.assert_allclose(interpolation.linear(x, hidden), x[:, hidden], atol=1e-9)
    corner = np.zeros((5, 6, 7), bool)
    corner[0, 0, 0] = True  # outside of the others: the value of a neighbour
    assert np.asarray(interpolation.linear(x, corner))[0, 0, 0] - 3 in (1.0, -2.0, 0.5)


def test_what_cannot_be_interpolated():
    with pytest.raises(InputError, match="score_noise"):
        interpolation_error(models.Autoencoder(*networks.dense((4,), 2, ())), np.zeros((2, 4), "float32"))
    with pytest.raises(InputError, match="at most 32768 places"):
        interpolation.triangulated((64, 64, 64))


# ---- the commands

NETWORK = "--width 16 --depth 1 --heads 2 --decoder-width 8 --decoder-depth 1 --decoder-heads 2".split()
SIZES = [*NETWORK, *"--epochs 3 --warmup-epochs 1 --batch-size 32 --base-rate 0.02".split()]


def waves(count=120, samples=48):
    """Two channels of sine waves around other means, of two frequencies, the classes."""
    classes, t = np.arange(count) % 2, np.arange(samples)
    phase = RNG.uniform(0, 2 * np.pi, (count, 1)) + t * np.where(classes, 0.6, 0.25)[:, None]
    return np.stack([1000 + 20 * np.sin(phase), -5 + 2 * np.cos(phase)], axis=-1), classes


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("signals")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        x, y = waves()
        np.savez("waves.npz", x_train=x, y_train=y)
        np.savez("long.npz", a=x.reshape(-1, 2))
        np.savez("blobs.npz", x_train=blobs(40, 3, side=8))
        assert cli.main(["mae", "--data", "npz:waves.npz", "--sequences", "--patch", "8", *SIZES, "--out", "run"]) == 0
    return place


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def test_a_run_on_sequences_takes_the_whole_way(here, tmp_path):
    model = runs.load_model("run")
    assert model.example_shape == (48, 2) and model.standardization is not None and not model.normalize_targets
    assert runs.read_recipe("run")["recipe"]["crop"] == 1.0 and (here / "run/pictures/epoch-0003.png").is_file()
    assert cli.main(["evaluate", "run", "--out", str(tmp_path / "figures")]) == 0
    figures = runs.read_summary(tmp_path / "figures")
    assert figures["hidden_mse"] == pytest.approx(figures["hidden_error"], rel=1e-3)
    assert {"linear_interpolation_mse", "cubic_interpolation_mse"} < {*figures} and "hidden_psnr" not in figures
    tune = ["finetune", "run", "--labels", "40", "--finetune-epochs", "8", "--no-scratch", "--no-baselines"]
    assert cli.main([*tune, "--out", str(tmp_path / "tuned")]) == 0
    assert runs.read_summary(tmp_path / "tuned")["finetune_accuracy"] > 0.7  # chance is 0.5
    assert cli.main(["report", "run"]) == 0 and (here / "run/report.html").is_file()


def test_a_run_on_volumes_is_evaluated_and_drawn(here, tmp_path):
    out = str(tmp_path / "run")
    assert cli.main(["mae", "--data", "npz:blobs.npz", *SIZES, "--out", out]) == 0
    assert runs.load_model(out).patches_shape == (8, 64) and (tmp_path / "run/pictures/epoch-0003.png").is_file()
    assert cli.main(["evaluate", out]) == 0
    assert {"hidden_mse", "linear_interpolation_mse"} < {*runs.read_summary(f"{out}/evaluate")}


def test_a_run_on_windows_goes_on_with_longer_ones(here, tmp_path):
    begin = ["mae", "--data", "series:long.npz", "--epochs", "1", "--out"]
    assert cli.main([*begin, str(tmp_path / "run"), "--window", "32", "--patch", "8", *NETWORK]) == 0
    assert cli.main([*begin, str(tmp_path / "on"), "--window", "64", "--start", str(tmp_path / "run")]) == 0
    longer, shorter = (runs.load_model(tmp_path / name) for name in ("on", "run"))
    assert longer.patches_shape == (8, 16) and shorter.patches_shape == (4, 16)


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (["series:long.npz", "--window", "5000"], "fewer than a window of 5000"),
        (["series:long.npz", "--window", "500"], "window of 500 is not divisible by the patch 16; .* 496 and 512"),
        (["series:long.npz", "--window", "64", "--crop", "0.5"], r"crop: expected images. .*\(64, 2\); leave crop out"),
        (["series:long.npz", "--window", "64", "--flip"], "flip: expected images"),
        (["series:long.npz", "--window", "64", "--network", "vgg"], "network: vgg takes images only"),
        (["series:long.npz", "--window", "64", "--mean", "3"], "mean: numbers of any range"),
        (["series:long.npz", "--window", "64", "--patch", "8", "8"], "patch must be .* one for each of 1 axes"),
        (["npz:waves.npz", "--crop", "0.5", "--patch", "8", "2"], "crop: needs the range of npz:waves.npz"),
        (["npz:blobs.npz", "--sequences"], r"sequences: expected x_train.*\[N, T\] or \[N, T, C\]"),
        (["digits", "--sequences"], "sequences: only used with npz"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(here, mistake, tokens, says):
    assert re.search(says, mistake("mae", "--data", *tokens, "--out", "out", notes=0))
    assert not (here / "out").exists()


def test_image_augmentation_of_fine_tuning_and_files_of_other_projects_are_refused(here, mistake):
    assert "rand_augment: expected images" in mistake("finetune", "run", "--labels", "40", "--rand-augment", "5")
    assert "networks of images only" in mistake("weights", "export", "run", "there")


def test_sequences_keep_their_steps(here):
    source = kerasae.data.load("npz:waves.npz", sequences=True)
    assert source.info.shape == (48, 2) and source.info.kind == "sequence" and len(source.info.mean) == 2
    x = source.train.arrays()[0]
    np.testing.assert_allclose(source.info.mean, x.reshape(-1, 2).mean(axis=0), rtol=1e-5)
    np.savez("flat.npz", x_train=x[..., 0])
    flat = kerasae.data.load("npz:flat.npz", sequences=True).info
    assert flat.shape == (48, 1) and len(flat.mean) == 1
