"""The command that chooses by itself: its rules, and the whole way with labels and without, on images and vectors."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.evaluate import convnet
from pipelines import mae, pretrain, stacked
from pipelines.building import rules


@pytest.fixture(autouse=True)
def a_second_for_an_epoch(monkeypatch):
    """The clock of the budget: what is trained must not depend on how busy this machine is."""
    monkeypatch.setattr(runs, "measure", lambda *_, **__: runs.Cost(0.0, 0.0, 1.0))
    monkeypatch.setattr(convnet, "STEPS", 30)


INFO = kerasae.data.load("digits").info


@pytest.mark.parametrize(
    ("shape", "patch"),
    [((32, 32, 3), 8), ((64, 96, 3), 8), ((28, 28, 1), 4), ((8, 8, 1), 2), ((10, 16, 1), 2), ((9, 9, 1), 1)],
)
def test_the_patch_divides_both_sides_into_four_parts_or_more(shape, patch):
    assert rules.patch(shape) == patch


def test_large_images_and_those_of_mixed_sizes_are_shrunk_and_others_scaled_to_whole_patches():
    sizes = {(32, 32, 3): None, (96, 80, 1): None, (97, 20, 3): (64,), (500,): None, None: (64,)}
    sizes |= {(28, 28, 1): (32, 32), (30, 40, 3): (32, 40), (8, 8, 1): None, (10, 90, 1): None}
    assert {shape: rules.image_size(shape) for shape in sizes} == sizes


@pytest.mark.parametrize(
    ("shape", "kind", "flip"),
    [((32, 32, 3), mae, True), ((28, 28, 1), mae, False), ((9, 9, 3), stacked, None), ((300,), stacked, None)],
)
def test_images_get_a_masked_convolutional_network_and_vectors_a_stack(shape, kind, flip):
    recipe = rules.pretraining(replace(INFO, shape=shape), {}, 10)
    assert isinstance(recipe, kind.Recipe) and recipe.minutes == pytest.approx(5.5)
    assert flip is None or (recipe.network, recipe.flip) == ("vgg", flip)


def asked(tmp_path, **changes):
    settings = {"data": "digits", "minutes": 0.4, "labels": 50, "repeats": 1, "out": str(tmp_path / "run")}
    return pretrain.Recipe(**{**settings, "dest": str(tmp_path / "served"), **changes})


def test_one_command_pretrains_classifies_exports_and_reports(tmp_path):
    directory = pretrain.run(asked(tmp_path))
    found = directory.figures
    assert found["probe_accuracy"] > 0.5 and found["finetune_accuracy"] > 0.5 and "finetune_verdict" in found
    assert found["export_max_abs_diff"] < 1e-5 and (tmp_path / "served" / "saved_model.pb").is_file()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "support vector machine" in page and "same network from scratch" in page
    recipe = json.loads((tmp_path / "run" / "pretraining" / "recipe.json").read_text())["recipe"]
    assert (recipe["network"], recipe["minutes"]) == ("vgg", pytest.approx(0.22)) and recipe["epochs"] >= 1
    assert pretrain.run(asked(tmp_path)).figures == found  # goes on where it ended


def folder_of(tmp_path, sizes, names=("",)):
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate(sizes):
        place = tmp_path / "images" / names[i % len(names)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(place / f"{i:02}.png")
    return f"folder:{tmp_path / 'images'}"


def test_images_of_mixed_sizes_without_classes_are_pretrained_on_and_exported(tmp_path, capsys):
    data = folder_of(tmp_path, [(20, 30), (40, 40)] * 12)
    directory = pretrain.run(asked(tmp_path, data=data, labels=None))
    assert runs.load_model(directory.path / "pretraining").example_shape == (64, 64, 3)
    assert "examples scaled to 64×64×3: a masked convolutional network" in capsys.readouterr().out
    assert "probe_accuracy" not in directory.figures and (tmp_path / "served" / "saved_model.pb").is_file()
    assert (directory.path / "report.html").is_file()


def test_arrays_keep_their_size():
    assert pretrain.Recipe(data="npz:a.npz").size_for((28, 28, 1)) is None
    assert pretrain.Recipe(data="tfds:mnist").size_for((28, 28, 1)) == (32, 32)


def test_vectors_get_a_stack_and_a_classifier(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = (rng.normal(size=(300, 12)) * 0.05 + 0.3 + 0.2 * np.eye(3)[y].repeat(4, axis=1)).clip(0, 1).astype("float32")
    np.savez(tmp_path / "a.npz", x_train=x[:240], y_train=y[:240], x_test=x[240:], y_test=y[240:])
    found = pretrain.run(asked(tmp_path, data=f"npz:{tmp_path / 'a.npz'}", labels=30)).figures
    assert found["finetune_accuracy"] > 0.8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"minutes": 0.001}, "minutes: expected at least"),
        ({"labels": 5}, "labels"),
        ({"data": "npz:none.npz"}, "none.npz"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(changes, words, tmp_path):
    with pytest.raises(InputError, match=words):
        pretrain.run(asked(tmp_path, **changes))
    assert list(tmp_path.iterdir()) == []


def test_labels_are_refused_where_there_are_no_classes(tmp_path):
    with pytest.raises(InputError, match="labels: .*has no classes"):
        pretrain.run(asked(tmp_path, data=folder_of(tmp_path, [(16, 16)] * 12)))
    assert not (tmp_path / "run").exists()
