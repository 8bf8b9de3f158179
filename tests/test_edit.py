"""`kerasae edit`: directions of a made-up linear model, against scikit-learn, and the files of the command."""

import csv
import doctest

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import kerasae
from kerasae.applications import directions, learn_direction, moved
from kerasae.errors import InputError
from kerasae.plots import animation
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run on digits, and folders of images of threes, of ones, and of two files to edit."""
    folder = tmp_path_factory.mktemp("edit")
    assert cli.main(f"train plain --epochs 2 --widths 32 --code 8 --holdout 0 --out {folder / 'run'}".split()) == 0
    x, y = kerasae.data.load("digits").train.arrays()
    for label, count in ((3, 20), (1, 20)):
        np.savez(folder / f"{label}.npz", x=x[y == label][:count])
    np.savez(folder / "two.npz", x=x[y == 1][20:22])
    np.savez(folder / "end.npz", x=x[y == 3][20:21])
    return folder


# ---- directions


def test_the_direction_of_a_linear_model_is_exact():
    """x = W z with groups that differ by d: codes moved by the learned direction decode to x moved by W d."""
    weights, shift = RNG.normal(size=(30, 4)), np.array([6.0, 0, -3.0, 0])
    lone = RNG.normal(size=4)
    found = learn_direction(np.tile(lone + shift, (20, 1)), np.tile(lone, (12, 1)))
    np.testing.assert_allclose(found.vector, shift, rtol=1e-6)
    assert (found.method, found.accuracy, found.auroc) == ("mean difference", 1.0, 1.0)
    half = moved(lone[None], found.vector, np.array([0.0, 0.5]))[0] @ weights.T
    np.testing.assert_allclose(half, [weights @ lone, weights @ (lone + shift / 2)], rtol=1e-5)


def test_the_held_out_quarter_takes_no_part_in_the_means():
    absent = RNG.normal(size=(60, 4))
    present = absent + [6.0, 0, -3.0, 0]
    found = learn_direction(present, absent, seed=3)
    x, y = np.concatenate([present, absent]), np.repeat([1, 0], 60)
    learned, _ = train_test_split(np.arange(120), test_size=0.25, stratify=y, random_state=3)
    assert (found.accuracy, found.learned, found.held_out) == (1.0, 90, 30)
    assert found.method == "mean difference"  # both are perfect: ties go to the means
    expected = x[learned][y[learned] == 1].mean(0) - x[learned][y[learned] == 0].mean(0)
    np.testing.assert_allclose(found.vector, expected, rtol=1e-5)


def test_what_is_chosen_and_measured_is_what_scikit_learn_says():
    """A large variance, along which the means differ by chance, misleads the means but not the regression."""
    scale = np.array([1.0, 40.0])
    absent, present = (RNG.normal(size=(80, 2)) * scale for _ in range(2))
    present[:, 0] += 5
    found = learn_direction(present, absent)
    assert found.method == "logistic regression" and found.chosen_by["logistic regression"] > 0.95
    assert found.chosen_by["mean difference"] < found.chosen_by["logistic regression"]
    x, y = np.concatenate([present, absent]), np.repeat([1, 0], 80)
    theirs = LogisticRegression(C=1e3).fit(x / scale, y).coef_[0] / scale
    cosine = theirs @ found.normal / np.linalg.norm(theirs) / np.linalg.norm(found.normal)
    assert cosine > 0.999
    assert found.auroc == pytest.approx(roc_auc_score(y, found.score(x)), abs=0.02)
    assert found.vector[0] == pytest.approx(5, abs=0.6) and abs(found.vector[1]) < 0.5


def test_labels_without_meaning_separate_nothing():
    found = learn_direction(RNG.normal(size=(200, 6)), RNG.normal(size=(200, 6)))
    assert 0.3 < found.auroc < 0.7 and 0.3 < found.accuracy < 0.7


def test_codes_on_the_sphere_stay_there():
    codes = RNG.normal(size=(3, 4))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    found = moved(codes, RNG.normal(size=4), np.array([-1.0, 0.0, 2.0]), sphere=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)
    np.testing.assert_allclose(found[:, 1], codes)


def test_impossible_directions_are_refused():
    for present, absent, words in (
        (np.eye(7), np.eye(9, 7), "present: expected at least 8 examples"),
        (np.ones((9, 2)), np.zeros((9, 3)), "expected codes of one shape"),
        (np.full((9, 2), np.inf), np.ones((9, 2)), "expected finite"),
        (np.ones((9, 2)), np.ones((9, 2)), "the encoder has collapsed"),
    ):
        with pytest.raises(InputError, match=words):
            learn_direction(present, absent)
    with pytest.raises(InputError, match="direction: expected the shape of a code"):
        moved(np.zeros((1, 2)), np.zeros(3), np.zeros(1))


def test_examples_run():
    failed, tried = doctest.testmod(directions, extraglobs={"np": np})
    assert failed == 0 and tried == 2


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_has_every_frame_enlarged(kind, tmp_path):
    images = RNG.random((6, 20, 10, 3))
    (tmp_path / "file").write_bytes(animation(images, kind))
    with Image.open(tmp_path / "file") as found:
        assert (found.format.lower(), found.n_frames, found.size) == (kind, 6, (110, 220))
        found.seek(4)
        frame = np.asarray(found.convert("RGB"))[5::11, 5::11] / 255
    # A GIF has 256 colours a frame: of 200 different ones none is lost.
    np.testing.assert_allclose(frame, images[4], atol=0.51 / 255 if kind == "webp" else 0.03)
    with pytest.raises(InputError, match="kind: expected gif or webp"):
        animation(images, "mp4")


# ---- the command


def png(path):
    with Image.open(path) as picture:
        return np.asarray(picture) / 255


def test_images_are_moved_by_the_direction_of_two_groups(folder, capsys):
    words = ["edit", folder / "run", folder / "two.npz", "--with", folder / "3.npz", "--without", folder / "1.npz"]
    words += ["--strength", "-1.5", "1", "--to", folder / "edited"]
    assert cli.main([*map(str, words)]) == 0
    model = kerasae.runs.load_model(folder / "run")
    read = lambda name: np.load(folder / name)["x"]  # noqa: E731
    codes = [np.asarray(model.encode(read(name))) for name in ("3.npz", "1.npz", "two.npz")]
    direction = learn_direction(codes[0], codes[1])
    for strength, name in ((-1.5, "2_-1.5.png"), (0, "2_0.png"), (1, "2_+1.png")):
        expected = keras.ops.convert_to_numpy(model.decode(codes[2] + strength * direction.vector))[1, ..., 0]
        np.testing.assert_allclose(png(folder / "edited" / name), expected.clip(0, 1), atol=0.51 / 255 + 1e-4)
    np.testing.assert_allclose(np.load(folder / "edited" / "direction.npz")["direction"], direction.vector)
    with open(folder / "edited" / "edits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"{i}_{s}.png" for i in (1, 2) for s in ("-1.5", "0", "+1")]
    zero = np.asarray(model.reconstruct(read("two.npz"))) - read("two.npz") / 16
    rmse = [float(row["rmse"]) for row in rows if row["strength"] == "0"]
    np.testing.assert_allclose(rmse, np.sqrt((zero**2).mean(axis=(1, 2, 3))), rtol=1e-3)
    printed = capsys.readouterr().out
    assert f"{'codes':24} {direction.accuracy:8.3f} {direction.auroc:6.3f}" in printed and "raw, 64 values" in printed
    with Image.open(folder / "edited" / "edit.gif") as moving:
        assert moving.n_frames == 32 and moving.size == (640, 320)


def test_classes_of_the_data_take_the_place_of_folders(folder):
    words = f"edit {folder / 'run'} --label-a 3 --label-b 1 --examples 5 --to {folder / 'classes'}"
    assert cli.main(words.split()) == 0
    with Image.open(folder / "classes" / "edit.gif") as moving:
        assert moving.size == (640, 320)  # four of 8 x 8 above one, enlarged 20 times
    names = {path.name for path in (folder / "classes").glob("*.png")}
    assert names == {"sheet.png", *(f"{i}_{s}.png" for i in range(1, 6) for s in ("-2", "-1", "0", "+1", "+2"))}


def test_the_way_between_two_images_ends_at_their_reconstructions(folder):
    np.savez(folder / "first.npz", x=np.load(folder / "two.npz")["x"][:1])
    ends = [str(folder / name) for name in ("first.npz", "end.npz")]
    out = folder / "way"
    words = ["edit", str(folder / "run"), "--between", *ends, "--steps", "4", "--format", "webp", "--to", str(out)]
    assert cli.main(words) == 0
    model = kerasae.runs.load_model(folder / "run")
    for kind in ("line", "circle"):
        for step, end in ((1, ends[0]), (4, ends[1])):
            made = np.asarray(model.reconstruct(np.load(end)["x"]))[0, ..., 0]
            np.testing.assert_allclose(png(out / f"{kind}_{step}.png"), made.clip(0, 1), atol=0.51 / 255 + 1e-4)
        with Image.open(out / f"{kind}.webp") as moving:
            assert moving.n_frames == 2 * 12 - 2 and moving.size == (224, 224)
    assert (png(out / "line_2.png") != png(out / "circle_2.png")).any()


def test_mistakes_are_one_line_and_leave_no_folder(folder, mistake):
    run, to = folder / "run", ["--to", folder / "new"]
    three, one = folder / "3.npz", folder / "1.npz"
    before = sorted(folder.iterdir())
    for words, line in (
        ([], "expected one of --with, --without; --label-a, --label-b; --between. Received: none"),
        ([three, "--with", three], "expected both of --with, --without"),
        (["--with", three, "--without", one], "input: expected files to edit"),
        (["--label-a", "3", "--label-b", "1", "--between", three, one], "expected one of"),
        (["--between", three], "expected two image files"),
        (["--between", three, one], "expected two image files. Received: 40 images"),
        (["--between", "no.png", one], "'no.png' does not exist"),
        (["--label-a", "elk", "--label-b", "1"], "elk"),
        (["--label-a", "3", "--label-b", "1", "--strength", "nan"], "strength: expected numbers from -1000"),
        ([three, "--with", folder / "two.npz", "--without", one], "present: expected at least 8 examples"),
    ):
        assert line in mistake("edit", run, *words, *to)
    (folder / "bad").mkdir()
    (folder / "bad" / "a.png").write_bytes(b"no image")
    assert "cannot be read as an image" in mistake("edit", run, folder / "bad", "--with", three, "--without", one, *to)
    assert "is not free" in mistake("edit", run, "--between", three, one, "--to", run)
    assert sorted(folder.iterdir()) == sorted([*before, folder / "bad"])
