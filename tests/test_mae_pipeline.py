"""The pipeline of masked autoencoders on a few real digits."""

import csv
import json
import math
import os
import platform
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from processes import Started

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.training import devices
from pipelines import mae, probe
from pipelines.command_line import main as cli

EPOCHS, WARMUP = 5, 2
RECIPE = mae.Recipe(
    data="digits",
    patch=(2,),
    width=24,
    depth=2,
    heads=3,
    decoder_width=16,
    decoder_depth=1,
    decoder_heads=2,
    epochs=EPOCHS,
    warmup_epochs=WARMUP,
    batch_size=60,
    accumulate=2,
    base_rate=2e-3,
    crop=0.5,
    flip=False,
    pictures_every=2,
)
CONVNEXT = {"network": "convnext", **dict.fromkeys(("width", "depth", "heads", "decoder_heads"))}
"""Changes of the recipe for the convolutional network, without the sizes of a transformer."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return mae.run(replace(RECIPE, out=str(tmp_path_factory.mktemp("runs") / "mae"), precision="bfloat16"))


def rows(directory):
    with open(directory.path / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_run_holds_a_float32_model_that_learned(trained):
    losses = [float(row["loss"]) for row in rows(trained)]
    assert len(losses) == EPOCHS and losses[-1] < 0.95 * losses[0]
    model = runs.load_model(trained.path)
    assert {layer.dtype_policy.name for layer in model.encoder.layers} == {"float32"}
    test = kerasae.data.load("digits").test
    codes = np.asarray(model.encode(test.arrays()[0]))
    assert codes.shape == (len(test), 24) and codes.std(axis=0).min() > 0
    figures = json.loads((trained.path / "summary.json").read_text())
    scores = kerasae.evaluate.features(type("", (), {"encode": model.score})(), test)
    assert figures["test_loss"] == pytest.approx(scores.mean(), rel=1e-4)


def test_the_learning_rate_of_every_epoch_is_the_formulas(trained):
    """The rate of the last step of each epoch: warm-up, then half a cosine, counted in updates of 2 × 60 images."""
    steps = len(kerasae.data.load("digits").train) // 120
    peak, warm, total = 2e-3 * 120 / 256, WARMUP * steps, EPOCHS * steps
    for epoch, row in enumerate(rows(trained), 1):
        t = epoch * steps
        wanted = peak * t / warm if t < warm else peak * 0.5 * (1 + math.cos(math.pi * (t - warm) / (total - warm)))
        assert int(row["step"]) == t and float(row["learning_rate"]) == pytest.approx(wanted, rel=1e-4, abs=1e-9)


def test_what_will_be_trained_is_printed_first(tmp_path, capsys, monkeypatch):
    def stop(*arguments, **options):
        raise InputError("enough")

    monkeypatch.setattr(runs.Run, "fit", stop)
    recipe = replace(RECIPE, out=str(tmp_path / "a"), epochs=1, warmup_epochs=0, base_rate=2.56e-3, pictures_every=0)
    with pytest.raises(InputError, match="enough"):
        mae.run(recipe)
    text = capsys.readouterr().out
    assert "4 of 16 patches visible" in text
    assert "effective batch 120 (60 × 2), effective learning rate 0.0012 (0.00256 × 120 / 256)" in text


def test_pictures_are_drawn_on_the_way_and_at_the_end(trained):
    names = sorted(path.name for path in (trained.path / "pictures").iterdir())
    assert names == ["epoch-0002.png", "epoch-0004.png", "epoch-0005.png"]
    assert np.asarray(Image.open(trained.path / "pictures" / names[-1])).std() > 10


def test_images_are_standardised_by_their_own_statistics(trained):
    pixels = kerasae.data.load("digits").train.arrays()[0] / 16.0
    patches = runs.load_model(trained.path).encoder.layers[1]
    assert patches.mean == pytest.approx((pixels.mean(),), rel=1e-6)
    assert patches.std == pytest.approx((pixels.std(),), rel=1e-6)


def test_its_run_can_be_probed(trained):
    figures = probe.run(probe.Recipe(run=str(trained.path), labels=(200,), baselines=False)).figures
    assert figures["probe_accuracy"] > 0.5


def test_sizes_and_given_statistics_reach_the_networks():
    info = kerasae.data.load("digits").info
    place = {"mean": (0.1,), "std": (0.5,)}
    model = mae.build(replace(RECIPE, width=None, heads=None, depth=1, pooling="class", patch=(4, 2)), info, place)
    assert model.code_shape == (192,) and model.patches_shape == (8, 8)
    assert model.encoder.layers[1].mean == (0.1,) and model.encoder.layers[-1].kind == "class"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    "changes, kind, hidden",
    [
        pytest.param({"decoder": "shallow"}, "MaskedAutoencoder", 12, marks=pytest.mark.slow),
        pytest.param(
            {"decoder": "cross", "prediction_ratio": 0.5, "mask_group": 2},
            "CrossMaskedAutoencoder",
            12,
            marks=pytest.mark.slow,
        ),
        ({"decoder": "linear", "low_variance": 0.5}, "SimMIM", 10),
        (
            CONVNEXT | {"widths": (4, 6), "depths": (1, 1), "kernel": 3, "mask_ratio": 0.5, "accumulate": 2},
            "ConvolutionalMaskedAutoencoder",
            8,
        ),
    ],
)
def test_options_choose_the_variant(changes, kind, hidden, tmp_path):
    x = kerasae.data.load("digits").train.arrays()[0][:120]
    np.savez(tmp_path / "x.npz", x_train=x, x_test=x[:20])
    recipe = replace(
        RECIPE,
        data=f"npz:{tmp_path / 'x.npz'}",
        out=str(tmp_path / "a"),
        epochs=1,
        warmup_epochs=0,
        accumulate=1,
        pictures_every=0,
    )
    directory = mae.run(replace(recipe, **changes))
    model = runs.load_model(directory.path)
    assert type(model).__name__ == kind and 16 - model.visible == hidden
    noise = np.random.default_rng(0).random((2, 16), "float32")
    found = model.forward(np.zeros((2, 8, 8, 1), "uint8"), noise, training=True)["prediction"].shape[1]
    assert (
        found
        == model.predicted
        == {"CrossMaskedAutoencoder": 8, "SimMIM": 16, "ConvolutionalMaskedAutoencoder": 16}.get(kind, hidden)
    )
    if "low_variance" in changes:
        projection = np.asarray(model.target.projection)
        assert 0 < np.trace(projection) < 3.5  # of four values, at least one component is gone


def command_and_threads(*tokens):
    """Run a command; print how many threads an operation of this process has."""
    status = cli.main(tokens)
    print("threads", tf.config.threading.get_intra_op_parallelism_threads())
    sys.exit(status)


def test_batches_at_once_by_the_command(tmp_path):
    """Each operation on one core then, if nothing is asked for too; and losses like those of one after the other."""
    words = "mae --data digits --patch 2 --width 16 --depth 1 --heads 2 --decoder-width 8 --decoder-depth 1"
    words += " --decoder-heads 2 --epochs 2 --warmup-epochs 1 --pictures-every 0 --batch-size 30 --accumulate 4"
    words += " --devices cpu"
    losses, even = [], devices.cores() in (2, 3, 4, 5, 6)
    for at_once, threads in (("1", "threads 0"), ("4", "threads 1"), ("0", f"threads {int(even)}")):
        out = tmp_path / at_once
        tokens = [*words.split(), "--at-once", at_once, "--out", str(out)]
        status, text = Started(command_and_threads, *tokens).wait(300)
        assert status == 0 and threads in text, text
        with open(out / "metrics.csv") as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0][1] < losses[0][0]
    assert losses[0] == pytest.approx(losses[2], rel=0.05)  # cut otherwise, masks are other ones


@pytest.mark.parametrize(
    ("cores", "batch", "accumulate", "found"),
    [
        (2, 256, 1, (4, 2)),
        (2, 250, 1, (2, 2)),
        (4, 192, 3, (24, 4)),
        (3, 64, 1, (1, 1)),
        (2, 30, 2, (2, 1)),
        (1, 256, 4, (4, 1)),
    ],
)
def test_a_cpu_that_computes_alone_gives_each_core_a_part(cores, batch, accumulate, found, monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: cores)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 1)
    for name in {"TPU_NAME", "TF_CONFIG", *devices.SLURM} & set(os.environ):
        monkeypatch.delenv(name)
    asked = mae.Recipe(batch_size=batch // accumulate, accumulate=accumulate, devices="cpu")
    given = accumulate, 1
    assert devices.parts(asked, asked.batch) == found
    assert devices.parts(replace(asked, at_once=1), asked.batch) == given
    assert devices.parts(replace(asked, jit=True), asked.batch) == given
    assert devices.parts(replace(asked, devices="cpu:2"), asked.batch) == given
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert devices.parts(asked, asked.batch) == given
    monkeypatch.delenv("TF_CONFIG")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one"])
    assert devices.parts(replace(asked, devices="auto"), asked.batch) == given
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    assert devices.parts(asked, asked.batch) == given


def test_a_run_may_go_on_with_another_number_of_batches_at_once(trained):
    again = mae.run(replace(RECIPE, out=str(trained.path), precision="bfloat16", at_once=2))
    assert again.figures["epochs"] == EPOCHS
    assert runs.read_recipe(trained.path)["recipe"]["at_once"] == 2


def test_a_process_that_has_computed_already_computes_batches_as_a_whole(monkeypatch):
    monkeypatch.setattr(devices, "shares_evenly", lambda recipe: True)
    monkeypatch.setattr(devices, "can_share", lambda recipe: True)

    def late():
        raise InputError("at_once: TensorFlow has started its threads already")

    monkeypatch.setattr(devices, "one_core_each", late)
    devices.share_cores(RECIPE)
    with pytest.raises(InputError, match="at_once"):
        devices.share_cores(replace(RECIPE, at_once=2))


@pytest.mark.parametrize(
    ("machine", "given", "found"), [("x86_64", None, "1"), ("x86_64", "0", "0"), ("arm64", None, "")]
)
def test_onednn_multiplies_on_x86_unless_the_user_says_no(machine, given, found, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    if given:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    devices.use_onednn()
    chosen = os.environ.pop("TF_ENABLE_ONEDNN_OPTS", "")
    assert chosen == found


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"patch": (3,)}, "8×8 is not divisible by the patch 3×3; the nearest sizes that are: 6×6 and 9×9"),
        ({"patch": (2, 2, 2)}, "patch must be a positive whole number or"),
        ({"mask_ratio": 0.99}, "leaves no visible patch of 16"),
        ({"prediction_ratio": 0.5}, "prediction_ratio: only for decoder cross"),
        ({"mask_group": 3}, "mask_group must be a whole number that divides the grid of 4×4"),
        ({"mask_ratio": 0.0}, "mask_ratio must lie between 0 and 1"),
        ({"crop": 1.5}, "crop: expected a number above 0, up to 1"),
        ({"mean": (0.1, 0.2)}, "mean: expected 1 or 1 values"),
        ({"accumulate": 100}, "accumulate: 6000 images make an update"),
        ({"at_once": 3}, "at_once: 3 batches at once, but accumulate makes an update of 2"),
        ({"heads": 5}, "heads=5 must divide the width"),
        ({"kernel": 5}, "kernel: has no effect on network vit"),
        ({"network": "convnext"}, "width: has no effect on network convnext"),
        (CONVNEXT | {"decoder": "cross"}, "decoder: has no effect on network convnext"),
        (CONVNEXT | {"patch": (4, 3)}, "8×8 is not divisible by the patch 4×3"),
        (CONVNEXT | {"widths": (4, 4, 4, 4)}, "widths and depths must name the same stages"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(changes, words, tmp_path):
    with pytest.raises(InputError, match=words):
        mae.run(replace(RECIPE, out=str(tmp_path / "a"), **changes))
    assert not (tmp_path / "a").exists()


def test_vectors_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.random.default_rng(0).random((20, 5), "float32"))
    with pytest.raises(InputError, match="needs signals, images or volumes, not examples"):
        mae.run(replace(RECIPE, data=f"npz:{tmp_path / 'x.npz'}", out=str(tmp_path / "a")))
