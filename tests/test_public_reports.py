"""What users of other projects have run into, by the number of the public thread where there is one."""

import hashlib

import keras
import numpy as np
import pytest
import torch_files
from animals import picture
from reference_weights import random_weights

import kerasae
from kerasae import models, networks, runs
from kerasae.data import load
from kerasae.errors import InputError
from pipelines.command_line import main as cli

QUICK = ["--epochs", "1", "--widths", "8", "--code", "2"]
TUNE = ["--finetune-epochs", "1", "--finetune-min-steps", "2", "--no-scratch", "--no-baselines"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(*tokens):
    assert cli.main([str(token) for token in tokens]) == 0


# ---- pictures and labels


def rotations(place):
    """Pictures of four classes, of which the test part lacks the second."""
    for part, count, classes in (("train", 6, ("0", "180", "270", "90")), ("test", 2, ("0", "270", "90"))):
        for name in classes:
            for i in range(count):
                picture(place / "turned" / part / name / f"{i}.png", int(name) + i)


def test_a_class_that_the_test_part_lacks_is_said_and_the_others_keep_their_names(tmp_path, capfd):
    """ultralytics#13936: pictures of 90 were counted as 180, because folders were numbered part by part."""
    rotations(tmp_path)
    source = load("folder:turned")
    assert source.info.notes == ("no example of [180] in test",)
    assert source.test.labels.tolist() == [0, 0, 2, 2, 3, 3]
    command("train", "plain", "--data", "folder:turned", "--out", "run", *QUICK)
    assert "folder:turned: no example of [180] in test" in capfd.readouterr().out


def test_an_empty_folder_of_a_class_is_one_line(tmp_path, mistake):
    """ultralytics#13936, further down: the validation crashed."""
    rotations(tmp_path)
    (tmp_path / "turned" / "test" / "180").mkdir()
    line = mistake("train", "plain", "--data", "folder:turned", *QUICK)
    assert "180 has no images" in line and "remove the folder" in line


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_only_picture_of_a_class(part, tmp_path, capfd):
    """It may be held out, which its name decides: then the class cannot be learned, and a line says so."""
    for name in ("cat", "dog"):
        for i in range(30):
            picture(tmp_path / "data" / name / f"{i}.png", 100 * len(name) + i)
    lone = next(f"elk/{i}.png" for i in range(200) if held_out(f"elk/{i}.png") == (part == "test"))
    picture(tmp_path / "data" / lone, 7)
    command("train", "plain", "--data", "folder:data", "--out", "run", *QUICK)
    other = {"train": "test", "test": "train"}[part]
    assert f"no example of [elk] in {other}" in capfd.readouterr().out
    command("probe", "run", "--no-baselines")
    command("finetune", "run", "--out", "tuned", *TUNE)
    command("finetune", "run", "--out", "held", "--holdout", "0.3", *TUNE)
    command("evaluate", "tuned")
    assert runs.class_names("tuned") == ["cat", "dog", "elk"]
    assert 0 <= runs.read_summary("tuned/evaluate")["accuracy"] <= 1


def held_out(name):
    """The documented rule: SHA-256 of the name, as a share of all that there can be."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) < 0.1 * 16**64


def test_labels_of_every_class_everywhere_need_no_words():
    assert load("digits").info.notes == ()


@pytest.mark.parametrize("kind", ["picture", "class", "array"])
def test_a_single_example_trains_or_says_what_it_lacks(kind, tmp_path, mistake, capfd):
    if kind == "array":
        np.savez(tmp_path / "one.npz", x_train=np.full((1, 6), 0.5, "float32"))
    else:
        picture(tmp_path / "one" / ("a/" * (kind == "class") + "1.png"), 1)
    data = "npz:one.npz" if kind == "array" else "folder:one"
    line = mistake("train", "plain", "--data", data, "--out", "run", *QUICK)
    assert "holdout: expected at least 2 examples" in line and "give holdout 0" in line
    command("train", "plain", "--data", data, "--out", "run", "--holdout", "0", *QUICK)
    command("stacked", "--data", data, "--out", "stack", "--widths", "4", "--pretrain-epochs", "1", "--no-supervised")
    assert runs.read_summary("stack")["stack_examples"] == 1
    assert "no split 'test'" in mistake("evaluate", "run")
    assert any(word in mistake("probe", "run") for word in ("no split 'test'", "label", "class"))


# ---- values


def test_a_convolutional_autoencoder_of_white_colour_pictures_does_not_end_in_white():
    """keras#3923: on pictures that are white but for an object, all outputs became 1."""
    rng = np.random.default_rng(0)
    images = np.full((96, 9, 12, 3), 255, "uint8")
    for image in images:
        top, left = rng.integers(0, 5), rng.integers(0, 8)
        image[top : top + 4, left : left + 4] = rng.integers(0, 200, 3)
    pair = networks.conv((9, 12, 3), code=24, filters=(24,))
    model = models.Autoencoder(*pair, likelihood="bernoulli")
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(images, batch_size=16, epochs=80, verbose=0)
    x, found = images / 255.0, model.reconstruct(images)
    white, mean = (np.square(x - other).mean() for other in (1.0, x.mean(0)))
    assert np.square(x - found).mean() < 0.4 * min(white, mean)


STANDARD = np.random.default_rng(0).normal(size=(256, 2)).astype("float32") @ np.ones((2, 6), "float32")
STANDARD[:, ::2] *= -1.0
"""Six standardised columns that one number explains."""


def test_standardised_columns_are_reconstructed_beyond_what_a_sigmoid_could():
    """pyod#314: inputs were standardised, but the output layer gave values in [0, 1] only."""
    x = (STANDARD - STANDARD.mean(0)) / STANDARD.std(0)
    best_of_a_sigmoid = np.square(x - x.clip(0, 1)).mean()
    model = models.Autoencoder(*networks.dense(6, 1, ()))
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, batch_size=32, epochs=60, verbose=0)
    assert np.square(x - model.reconstruct(x)).mean() < 0.2 * best_of_a_sigmoid
    with pytest.raises(InputError, match=r"floats in \[0, 1\] under Bernoulli.*choose the Gaussian"):
        models.Autoencoder(*networks.dense(6, 1, ()), likelihood="bernoulli").score(x)


def test_columns_of_any_range_in_a_file_are_standardised_unless_a_likelihood_or_a_range_is_given(tmp_path, mistake):
    np.savez(tmp_path / "x.npz", x_train=STANDARD / STANDARD.std())
    line = mistake("train", "plain", "--data", "npz:x.npz", "--likelihood", "bernoulli", *QUICK)
    assert "likelihood" in line and "min_value" in line and "max_value" in line
    command("train", "plain", "--data", "npz:x.npz", "--out", "own", *QUICK)
    given = ["--min-value", "-6", "--max-value", "6"]
    command("train", "plain", "--data", "npz:x.npz", "--out", "run", *given, "--likelihood", "gaussian", *QUICK)


# ---- weights


def test_an_encoder_without_its_decoder_goes_on_with_a_new_one(tmp_path):
    """facebookresearch/mae#188: the published files hold no decoder, and pretraining could not go on from them."""
    torch_files.save_zip("encoder.pth", {"model": random_weights(decoder=False)})
    sizes = ["--decoder-width", "8", "--decoder-depth", "1"]
    command("weights", "import", "encoder.pth", "theirs", "--heads", "4", *sizes)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), "uint8")
    np.savez("own.npz", x_train=images, x_test=images[:8])
    flags = ["--epochs", "4", "--warmup-epochs", "1", "--batch-size", "20", "--crop", "1", "--pictures-every", "0"]
    new = ["--new-decoder", "--decoder-width", "12", "--decoder-depth", "1", "--decoder-heads", "2"]
    command("mae", "--data", "npz:own.npz", "--start", "theirs", "--out", "own", "--base-rate", "0.02", *flags, *new)
    start, end = (kerasae.saving.load_model(f"own/{name}.keras") for name in ("start", "model"))
    theirs = [w for w in runs.load_model("theirs").encoder.weights if "embed" not in w.path]
    mine = [w for w in start.encoder.weights if "embed" not in w.path]
    assert len(mine) > 20
    for found, expected in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=found.path)
    before, after = (kerasae.evaluate.mean_score(model, load("npz:own.npz").test) for model in (start, end))
    assert after < before


@pytest.mark.parametrize("head", ["backbone.", "model.backbone."])
def test_a_lightning_checkpoint_of_a_backbone_beside_heads(head, tmp_path):
    """lightly#1475 and lightly#1621: users had to strip "backbone." and drop the projection head by hand."""
    weights = random_weights(decoder=False)
    content = {f"{head}{name}": value for name, value in weights.items()}
    content["projection_head.layers.0.weight"] = np.ones((3, 16), "float32")
    torch_files.save_zip("last.ckpt", {"epoch": 9, "state_dict": content, "hyper_parameters": {"lr": 1}})
    torch_files.save_zip("plain.pth", weights)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), "uint8")
    sizes = {"heads": 4, "decoder_width": 8, "decoder_depth": 1}
    found, expected = (kerasae.weights.import_weights(file, **sizes) for file in ("last.ckpt", "plain.pth"))
    np.testing.assert_array_equal(found.encode(images), expected.encode(images))
