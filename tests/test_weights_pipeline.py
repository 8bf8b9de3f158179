"""`kerasae weights`: from a file of others to a run that the other commands start from, and back."""

import json

import numpy as np
import pytest
import torch_files
from reference_weights import random_weights

from kerasae import runs
from kerasae.weights import import_weights, read_weights
from pipelines.command_line import main as cli

FLAGS = ["--heads", "4", "--decoder-heads", "3", "--mean", "0.5", "--std", "0.25"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch_files.save_zip(tmp_path / "mae.pth", {"model": random_weights()})
    data("rgb", 3)


def data(name, channels):
    """A data set of two kinds of noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.integers(0, 128, (40, 8, 8, channels)) + 127 * labels[:, None, None, None]
    arrays = {"x_train": images, "y_train": labels, "x_test": images[::-1], "y_test": labels[::-1]}
    np.savez(f"{name}.npz", **{k: v.astype("uint8" if k[0] == "x" else "int64") for k, v in arrays.items()})


def command(*tokens):
    assert cli.main([str(token) for token in tokens]) == 0


def test_an_imported_run_is_probed_fine_tuned_and_exported(tmp_path, mistake, capfd):
    command("weights", "import", "mae.pth", *FLAGS)
    assert "kerasae finetune runs/mae --data SPEC" in capfd.readouterr().out
    assert json.loads((tmp_path / "runs/mae/recipe.json").read_text())["recipe"]["source"] == "mae.pth"
    figures = runs.read_summary("runs/mae")
    assert figures["image_height"] == 8 and figures["code"] == 16 and figures["parameters"] > 6000
    images = np.load("rgb.npz")["x_test"]
    given = {"heads": 4, "decoder_heads": 3, "mean": 0.5, "std": 0.25}
    np.testing.assert_array_equal(
        runs.load_model("runs/mae").encode(images), import_weights("mae.pth", **given).encode(images)
    )
    for name in ("probe", "finetune", "evaluate", "export"):
        assert "--data" in mistake(name, "runs/mae")
    command("probe", "runs/mae", "--data", "npz:rgb.npz", "--no-baselines")
    assert runs.read_summary("runs/mae/probe-all")["probe_accuracy"] > 0.9
    quick = ["--no-baselines", "--finetune-epochs", "1", "--finetune-min-steps", "2", "--no-scratch"]
    command("finetune", "runs/mae", "--data", "npz:rgb.npz", *quick)
    command("evaluate", "runs/mae/finetune-all")
    command("export", "runs/mae", "served", "--data", "npz:rgb.npz")
    assert (tmp_path / "served" / "saved_model.pb").exists()


def test_the_weights_of_a_run_are_written_as_they_came(tmp_path, capfd):
    command("weights", "import", "mae.pth", "here", *FLAGS)
    command("weights", "export", "here", "there", "--layout", "reference")
    assert "model.safetensors" in capfd.readouterr().out
    written = read_weights("there")
    for name, value in random_weights().items():
        np.testing.assert_array_equal(written[name], value)
    command("weights", "export", "here")
    assert {file.name for file in (tmp_path / "saved_models/here-weights").iterdir()} == {
        *("model.safetensors", "config.json", "preprocessor_config.json")
    }


def test_the_same_import_again_changes_nothing_and_another_is_refused(mistake):
    torch_files.save_zip("encoder.pth", random_weights(decoder=False))
    flags = ["run", *FLAGS[:2], "--decoder-width", "8", "--decoder-depth", "1"]
    command("weights", "import", "encoder.pth", *flags)
    before = runs.load_model("run").get_weights()
    command("weights", "import", "encoder.pth", *flags)
    for old, new in zip(before, runs.load_model("run").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "decoder_depth" in mistake("weights", "import", "encoder.pth", *flags[:-1], "2", notes=1)
    torch_files.save_zip("encoder.pth", random_weights(1, decoder=False))
    assert "another model" in mistake("weights", "import", "encoder.pth", *flags, notes=1)


def test_a_missing_decoder_is_mentioned(caplog, capfd):
    torch_files.save_zip("encoder.pth", random_weights(decoder=False))
    command("weights", "import", "encoder.pth", "--heads", "4", "--decoder-width", "8", "--decoder-depth", "1")
    assert "encoder.pth holds no decoder" in caplog.text
    assert capfd.readouterr().err.startswith("kerasae: encoder.pth holds no decoder")


def test_a_fine_tuned_file_becomes_a_classifier_that_is_evaluated(tmp_path, capfd):
    weights = {**random_weights(decoder=False), "head.bias": np.zeros(2, "float32")}
    weights |= {f"fc_norm.{kind}": weights.pop(f"norm.{kind}") for kind in ("weight", "bias")}
    weights["head.weight"] = np.zeros((2, 16), "float32")
    torch_files.save_legacy(tmp_path / "tuned.pth", weights)
    command("weights", "import", "tuned.pth", *FLAGS)
    command("evaluate", "runs/tuned", "--data", "npz:rgb.npz")
    assert runs.read_summary("runs/tuned/evaluate")["accuracy"] == 0.5
    command("weights", "export", "runs/tuned", "out", "--layout", "reference")
    np.testing.assert_array_equal(read_weights("out")["fc_norm.bias"], weights["fc_norm.bias"])


def test_one_of_several_encoders_is_imported(mistake):
    content = {"student": random_weights(0, decoder=False), "teacher": random_weights(1, decoder=False)}
    torch_files.save_zip("two.pth", content)
    torch_files.save_zip("teacher.pth", content["teacher"])
    flags = [*FLAGS[:2], "--decoder-width", "8", "--decoder-depth", "1"]
    assert "'student.', 'teacher.'" in mistake("weights", "import", "two.pth", *flags)
    command("weights", "import", "two.pth", "two", "--prefix", "teacher", *flags)
    command("weights", "import", "teacher.pth", "one", *flags)
    images = np.load("rgb.npz")["x_test"]
    np.testing.assert_array_equal(runs.load_model("two").encode(images), runs.load_model("one").encode(images))


def test_mistakes(tmp_path, mistake):
    data("grey", 1)
    command("weights", "import", "mae.pth", *FLAGS)
    line = mistake("evaluate", "runs/mae", "--data", "npz:grey.npz")
    assert "(8, 8, 3)" in line and "(8, 8, 1)" in line
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    assert "photo.jpg holds no weights" in mistake("weights", "import", "photo.jpg")
    assert "give heads" in mistake("weights", "import", "mae.pth")
    assert "image_size" in mistake("weights", "import", "mae.pth", "--image-size", "1", "2", "3")
    assert "14×14 and 16×16" in mistake("weights", "import", "mae.pth", *FLAGS, "--image-size", "15")
    assert "no/run" in mistake("weights", "export", "no/run")
    assert "choose another destination" in mistake("weights", "export", "runs/mae", "runs")
    assert "impart" in mistake("weights", "impart", "mae.pth")
    assert "SOURCE" in mistake("weights", "import")
    assert not (tmp_path / "runs" / "photo").exists()
