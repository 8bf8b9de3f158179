"""Every class of bad input through the command line: one line on stderr, exit 2, nothing lost."""

import errno

import numpy as np
import pytest
from PIL import Image

from kerasae.training import checkpoint
from pipelines.command_line import main as cli

QUICK = ["--epochs", "1", "--widths", "8", "--code", "2", "--holdout", "0"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mistake(capfd):
    """Run a command that must fail; its one line."""

    def run(*tokens):
        status = cli.main([str(token) for token in tokens])
        lines = capfd.readouterr().err.strip().splitlines()
        assert status == 2 and len(lines) == 1 and lines[0].startswith("kerasae: error: "), lines
        return lines[0]

    return run


def pictures(folder, sizes, classes=("a", "b")):
    """A folder of random pictures, one of each size per class."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, size in enumerate(sizes):
            pixels = np.random.default_rng(i).integers(0, 256, (size, size, 3), "uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def arrays(file, **content):
    np.savez(file, **content)
    return f"npz:{file}"


def test_unknown_data_set_names_the_nearest(mistake):
    assert "mnist" in mistake("train", "plain", "--data", "tfds:mnits")
    assert "digits" in mistake("train", "plain", "--data", "digts")


def test_empty_and_missing_folders(mistake, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in mistake("train", "plain", "--data", "folder:empty")
    assert "nowhere" in mistake("train", "plain", "--data", "folder:nowhere")


def test_a_broken_image_among_good_ones(mistake, tmp_path, capfd):
    pictures(tmp_path / "images", [8] * 12)
    (tmp_path / "images" / "a" / "3.png").write_bytes(b"\x89PNG, but no picture")
    assert "3.png" in mistake("train", "plain", "--data", "folder:images", *QUICK)
    command = ["train", "plain", "--data", "folder:images", "--skip-broken", "--batch-size", "8", *QUICK]
    assert cli.main(command) == 0
    assert "1 broken image" in capfd.readouterr().out


def test_mixed_sizes_without_a_size(mistake, tmp_path):
    pictures(tmp_path / "images", [8, 9] * 6)
    line = mistake("train", "plain", "--data", "folder:images", *QUICK)
    assert "image_size" in line or "image-size" in line


def test_one_class_only(mistake, tmp_path):
    data = arrays(tmp_path / "x.npz", x_train=np.zeros((40, 4, 4), "uint8"), y_train=np.zeros(40, int))
    assert "class" in mistake("stacked", "--data", data, "--labels", "10")


def test_more_labels_than_exist(mistake):
    assert "99999" in mistake("stacked", "--labels", "99999")


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "NaN"), (np.inf, "finite"), (7.0, "from 0 to 1"), (-3.0, "from 0 to 1")]
)
def test_values_out_of_range(value, word, mistake, tmp_path):
    x = np.full((40, 4, 4), 0.5, "float32")
    x[7, 1, 2] = value
    line = mistake("train", "plain", "--data", arrays(tmp_path / "x.npz", x_train=x), "--max-value", "1", *QUICK)
    assert "x_train" in line and word.lower() in line.lower()


def test_a_shape_that_the_network_cannot_take(mistake, tmp_path):
    vectors = arrays(tmp_path / "v.npz", x_train=np.zeros((40, 6), "float32"))
    assert "(H, W, C)" in mistake("train", "plain", "--network", "conv", "--data", vectors)
    small = ["train", "plain", "--network", "conv", "--filters", "4", "4", "4", "4", "4"]
    assert "before stage 5 of 5" in mistake(
        *small, "--data", arrays(tmp_path / "s.npz", x_train=np.zeros((40, 9, 9), "uint8"))
    )


def test_a_full_disk_stops_with_one_line_and_keeps_the_run(mistake, tmp_path, monkeypatch):
    command = ["train", "plain", "--out", "run", *QUICK]
    write = checkpoint.write_atomic

    def full(path, data):
        if path.suffix == ".npz":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_atomic", full)
    assert "No space left on device" in mistake(*command)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert cli.main(command) == 0


def test_a_run_cut_short_and_a_run_of_another_recipe(mistake, tmp_path, shelf):
    shelf.copy("plain", "run")
    assert "code 2 there, 3 here" in mistake("train", "plain", "--out", "run", *QUICK[:4], "--code", "3", *QUICK[6:])
    model = tmp_path / "run" / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    assert "model.keras" in mistake("probe", "run", "--labels", "20")
    newest = next((tmp_path / "run" / "checkpoints" / "train").glob("step-*.npz"))
    newest.write_bytes(newest.read_bytes()[:1000])
    assert cli.main(["train", "plain", "--out", "run", *QUICK]) == 0, "a damaged checkpoint is made again"
    assert cli.main(["probe", "run", "--labels", "20", "--no-baselines"]) == 0


def test_labels_missing_where_needed(mistake, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 4), "uint8")
    data = arrays(tmp_path / "x.npz", x_train=x, x_test=x)
    assert cli.main(["train", "plain", "--data", data, "--out", "run", *QUICK]) == 0
    assert "label" in mistake("probe", "run")
    assert "label" in mistake("finetune", "run", "--labels", "10")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("train plain --epochs 0", ["epochs", "from 1 up", "0"]),
        ("train plain --seed -1", ["seed", "-1"]),
        ("train plain --learning-rate 0", ["learning_rate", "above 0"]),
        ("train plain --learning-rate -1", ["learning_rate", "above 0"]),
        ("train plain --activation foo", ["foo"]),
        ("train plain --keep-best --holdout 0", ["keep_best", "no effect"]),
        ("train plain --corruption gaussian", ["corruption", "no effect"]),
        ("train plain --network conv --widths 8", ["widths", "no effect"]),
        ("train plain --kernel 3", ["kernel", "no effect"]),
        ("train plain --network conv --tied", ["tied", "no effect"]),
        ("train plain --network conv --initializer fan_in", ["initializer", "no effect"]),
        ("train rbm --weight-decay-l1 0.1", ["weight_decay_l1", "no effect"]),
        ("train plain --network convnext --code-dropout 0.1", ["code_dropout", "no effect"]),
        ("train variational --anneal.bta 0", ["anneal", "bta", "beta"]),
        ("train sparse --options.penalty 2", ["penalty", "name"]),
        ("train variational --options.bta 2", ["bta", "beta"]),
        ("train denoising --corruption-level 1.5", ["rate must be in [0, 1)"]),
        ("stacked --dropout 1.5", ["dropout", "share"]),
        ("stacked --labels 0", ["labels", "from 1 up"]),
        ("stacked --corruption-level", ["corruption"]),
        ("quickstart --labels 99999", ["99999"]),
    ],
)
def test_values_that_make_no_sense_stop_before_anything_is_written(flags, words, mistake, tmp_path):
    line = mistake(*flags.split())
    assert all(word in line for word in words), line
    assert not list(tmp_path.glob("runs/*/checkpoints"))


def test_a_mistake_about_labels_is_corrected_without_pretraining_again(mistake, tmp_path, capfd):
    command = [
        "stacked",
        "--no-baselines",
        "--widths",
        "8",
        "--pretrain-epochs",
        "1",
        "--finetune-epochs",
        "1",
        "--out",
        "run",
    ]
    assert cli.main([*command, "--labels", "20"]) == 0
    before = (tmp_path / "run" / "metrics.csv").read_bytes()
    assert cli.main([*command, "--labels", "30", "--dropout", "0.5"]) == 0
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == before
    assert (tmp_path / "run" / "finetune-30" / "summary.json").exists()


def test_results_of_one_run_are_not_taken_for_those_of_another(mistake, capfd, shelf):
    assert cli.main(["train", "plain", "--out", "b", "--seed", "1", *QUICK]) == 0
    shelf.copy("probed", "x")  # of the run "plain", of seed 0
    capfd.readouterr()
    assert "another model" in mistake("probe", "b", "--labels", "20", "--out", "x")


def test_a_classifier_is_not_fine_tuned_and_a_run_without_a_model_is_explained(mistake, shelf):
    classifier, probed = shelf.copy("classifier", "classifier"), shelf.copy("probed", "probed")
    assert "classifier" in mistake("finetune", classifier, "--labels", "20")
    assert "one of the runs inside it" in mistake("evaluate", probed)


def test_a_flipped_byte_in_the_model(mistake, tmp_path, shelf):
    shelf.copy("plain", "run")
    file = tmp_path / "run" / "model.keras"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    assert "model.keras" in mistake("probe", "run", "--labels", "20")
