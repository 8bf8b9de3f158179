"""Data that change between two commands, and data with other classes, through the command line and the library."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from kerasae.data import load, match_classes
from kerasae.errors import InputError
from pipelines.command_line import main as cli

QUICK = ["--epochs", "1", "--widths", "8", "--code", "2", "--holdout", "0"]
TUNE = ["--finetune-epochs", "1", "--finetune-min-steps", "1", "--no-scratch"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mistake(capfd):
    """Run a command that must fail; its one line."""

    def run(*tokens):
        capfd.readouterr()
        status = cli.main([str(token) for token in tokens])
        lines = capfd.readouterr().err.strip().splitlines()
        assert status == 2 and len(lines) == 1 and lines[0].startswith("kerasae: error: "), lines
        return lines[0]

    return run


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), "uint8")).save(path)


def animals(root, *names, count=6):
    """A folder of classes in parts: `count` training images and two for testing in each."""
    for k, name in enumerate(names):
        for i in range(count + 2):
            picture(root / ("train" if i < count else "test") / name / f"{i}.png", 100 * k + i)
    return f"folder:{root}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder that holds data of cats and dogs, a run on them, and a classifier."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        animals(place / "data", "cat", "dog")
        assert cli.main(["train", "plain", "--data", "folder:data", "--out", "run", *QUICK]) == 0
        assert cli.main(["finetune", "run", "--out", "run/tuned", *TUNE]) == 0
    return place


@pytest.fixture
def here(trained, tmp_path):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_run_goes_on_with_the_same_data_elsewhere_and_refuses_others(here, mistake):
    again = ["train", "plain", "--data", "folder:data", "--out", "run", *QUICK]
    assert cli.main(again) == 0
    picture(here / "data" / "train" / "cat" / "new.png", 7)
    before = (here / "run" / "data.json").read_bytes()
    line = mistake(*again)
    assert "12 train, 4 test then, 13 train, 4 test now" in line and "--accept-changed-data" in line
    assert (here / "run" / "data.json").read_bytes() == before
    assert cli.main([*again, "--accept-changed-data"]) == 0
    assert cli.main(again) == 0, "what was accepted is what the run has read now"


def test_an_image_that_was_replaced_is_noticed(here, mistake):
    file = here / "data" / "test" / "dog" / "7.png"
    Image.new("RGB", (6, 6)).save(file)
    assert "has changed since run read it" in mistake("evaluate", "run")
    assert cli.main(["evaluate", "run", "--accept-changed-data"]) == 0


def test_arrays_that_changed_are_noticed(tmp_path, mistake):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4), "uint8")
    np.savez(tmp_path / "x.npz", x_train=x)
    command = ["train", "plain", "--data", "npz:x.npz", "--out", "run", *QUICK]
    assert cli.main(command) == 0
    x[3, 1, 1] ^= 1
    np.savez(tmp_path / "x.npz", x_train=x)
    assert "has changed" in mistake(*command)


def test_a_record_that_is_damaged(here, mistake):
    for content in ("{", "[]", '{"class_names": 3, "counts": {}, "fingerprint": ""}', "[" * 5000):
        (here / "run" / "data.json").write_text(content)
        assert "data.json is damaged" in mistake("evaluate", "run")


def test_floats_of_another_range_are_refused(tmp_path, mistake):
    """A model that has read heights of -200 … 800 metres as 0 … 1 would take others for these."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        for i in range(6):
            x = np.random.default_rng(i).random((6, 6), "float32")
            Image.fromarray(1000 * x - 200).save(tmp_path / name / f"{i}.tif")
    given = ["--min-value", "-200", "--max-value", "800"]
    assert cli.main(["train", "plain", "--data", "folder:here", "--out", "run", *given, *QUICK]) == 0
    assert cli.main(["evaluate", "run"]) == 0, "its own data are read as the run has read them"
    line = mistake("evaluate", "run", "--data", "folder:there", "--max-value", "1000", "--min-value", "-200")
    assert "-200.0 to 800.0" in line and "-200.0 to 1000.0" in line
    assert cli.main(["evaluate", "run", "--data", "folder:there", *given, "--out", "other"]) == 0


def test_the_page_of_a_run_says_that_its_data_have_changed(here):
    assert cli.main(["report", "run"]) == 0
    assert "has changed since" not in (here / "run" / "report.html").read_text()
    picture(here / "data" / "train" / "ape" / "1.png", 1)  # the numbers of the classes are others now
    assert cli.main(["report", "run"]) == 0
    page = (here / "run" / "report.html").read_text()
    assert "has changed since" in page and "cannot" not in page


def test_a_run_without_a_record_goes_on(here):
    (here / "run" / "data.json").unlink()
    assert cli.main(["evaluate", "run"]) == 0


def test_a_classifier_meets_other_animals(here, mistake):
    animals(here / "other", "dog", "elk")
    line = mistake("evaluate", "run/tuned", "--data", "folder:other")
    assert "[dog, elk]" in line and "[cat, dog]" in line
    assert "[dog, elk]" in mistake("export", "run/tuned", "--data", "folder:other")
    assert not (here / "saved_models").exists()


def confusion(run):
    content = json.loads((run / "evaluate" / "confusion.json").read_text())
    return content["classes"], np.array(content["matrix"])


def test_a_classifier_meets_one_of_its_animals(here):
    """By position the dogs would be counted as cats."""
    assert cli.main(["evaluate", "run/tuned"]) == 0
    _, both = confusion(here / "run" / "tuned")
    shutil.rmtree(here / "run" / "tuned" / "evaluate")
    shutil.copytree(here / "data" / "test" / "dog", here / "dogs" / "test" / "dog")
    assert cli.main(["evaluate", "run/tuned", "--data", "folder:dogs"]) == 0
    names, alone = confusion(here / "run" / "tuned")
    assert names == ["cat", "dog"]
    np.testing.assert_array_equal(alone, [[0, 0], both[1]])


def test_a_classifier_meets_an_animal_that_it_does_not_know(here, capfd):
    assert cli.main(["evaluate", "run/tuned"]) == 0
    _, both = confusion(here / "run" / "tuned")
    shutil.rmtree(here / "run" / "tuned" / "evaluate")
    shutil.copytree(here / "data", here / "more")
    picture(here / "more" / "test" / "ape" / "1.png", 1)  # before the others, so that their numbers are others
    picture(here / "more" / "train" / "ape" / "1.png", 1)
    capfd.readouterr()
    assert cli.main(["evaluate", "run/tuned", "--data", "folder:more"]) == 0
    assert "[ape]: 1 of train, 1 of test" in capfd.readouterr().out
    names, matrix = confusion(here / "run" / "tuned")
    assert names == ["cat", "dog"]
    np.testing.assert_array_equal(matrix, both)


def test_a_fine_tuning_does_not_go_on_with_other_classes(here, mistake):
    picture(here / "data" / "train" / "ape" / "1.png", 1)
    command = ["finetune", "run", "--out", "run/tuned", *TUNE, "--accept-changed-data"]
    line = mistake(*command)
    assert "[cat, dog]" in line and "[ape, cat, dog]" in line


def test_the_card_of_an_export_names_the_classes_of_the_outputs(here):
    shutil.copytree(here / "data" / "test" / "dog", here / "dogs" / "test" / "dog")
    assert cli.main(["export", "run/tuned", "saved", "--data", "folder:dogs"]) == 0
    card = json.loads((here / "saved" / "card.json").read_text())
    assert card["data"]["class_names"] == ["cat", "dog"]


def test_classes_are_numbered_by_name(tmp_path):
    source = load(animals(tmp_path / "data", "cat", "dog"))
    turned = match_classes(source, ["dog", "ape", "cat"])
    assert turned.info.class_names == ("dog", "ape", "cat") and turned.info.counts == source.info.counts
    np.testing.assert_array_equal(turned.train.labels, np.array([2, 0])[source.train.labels])
    np.testing.assert_array_equal(turned.train.arrays()[0], source.train.arrays()[0])
    assert match_classes(source, None) is source and match_classes(source, ["cat", "dog"]) is source
    with pytest.raises(InputError, match=r"\[cat, dog\].*\[cat, elk\].*leave out \[dog\]"):
        match_classes(source, ["cat", "elk"])


def test_data_without_labels_have_nothing_to_match(tmp_path):
    picture(tmp_path / "data" / "1.png", 1)
    source = load(f"folder:{tmp_path / 'data'}")
    assert match_classes(source, ["a"]) is source
