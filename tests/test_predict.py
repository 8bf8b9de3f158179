"""Predictions of a run or an export for files of strangers: the values, the names, and what is refused."""

import csv
import io
import json
import os
import subprocess
import sys
import weakref
import zipfile
from pathlib import Path

import animals
import numpy as np
import pytest
from PIL import Image

import kerasae
from kerasae import models, networks
from kerasae.data import BrokenImage, Intake, array_rows
from kerasae.errors import InputError
from pipelines import predict
from pipelines.command_line import main as cli

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("animals")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        animals.make(place)
    return place


@pytest.fixture
def here(trained, monkeypatch):
    """The working directory with the runs; only for reading."""
    monkeypatch.chdir(trained)
    return trained


def table(*tokens, capsys):
    """The rows that a command prints."""
    capsys.readouterr()
    assert cli.main(["predict", *map(str, tokens)]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def numbers(rows, *columns):
    return np.array([[float(row[column]) for column in columns] for row in rows], "float32")


def test_a_classifier_gives_classes_and_probabilities_of_a_folder(here, capsys):
    rows = table("run/tuned", "data", "--batch-size", "5", capsys=capsys)
    files = sorted(map(str, Path("data").rglob("*.png")))
    assert [row["name"] for row in rows] == files
    logits = np.asarray(kerasae.runs.load_model("run/tuned")(animals.pixels_of(files)), "float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(numbers(rows, "p(cat)", "p(dog)"), expected, rtol=1e-5)
    np.testing.assert_allclose(numbers(rows, "probability")[:, 0], expected.max(axis=1), rtol=1e-5)
    assert [row["class"] for row in rows] == [("cat", "dog")[i] for i in expected.argmax(axis=1)]
    assert {row["error"] for row in rows} == {""}


def test_lines_of_json_say_the_same(here, tmp_path, capsys):
    rows = table("run/tuned", "data/test", capsys=capsys)
    assert cli.main(["predict", "run/tuned", "data/test", "--format", "json", "--to", str(tmp_path / "p.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [(line["name"], line["class"]) for line in lines] == [(row["name"], row["class"]) for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert line["probabilities"] == {"cat": float(row["p(cat)"]), "dog": float(row["p(dog)"])}
        assert line["probability"] == max(line["probabilities"].values())
    assert capsys.readouterr().out == ""


WITHOUT = '''
import importlib.machinery
import sys

class Refuse:
    """TensorFlow tries to import Keras, and goes on where it cannot."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in ("kerasae.models", "keras"):
            return importlib.machinery.ModuleSpec(name, cls(), origin="/nowhere/" + name)

    def create_module(self, spec):
        raise ModuleNotFoundError(spec.name)

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Refuse)
from pipelines.command_line.main import main
status = main(sys.argv[1:])
assert not {"kerasae.models", "keras"} & set(sys.modules)
sys.exit(status)
'''


def test_an_export_predicts_where_there_are_neither_models_nor_keras(here, capsys):
    expected = table("run/tuned", "data/test", capsys=capsys)
    command = [sys.executable, "-c", WITHOUT, "predict", "saved", "data/test"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["name"], row["class"]) for row in found] == [(row["name"], row["class"]) for row in expected]
    columns = ("probability", "p(cat)", "p(dog)")
    np.testing.assert_allclose(numbers(found, *columns), numbers(expected, *columns), rtol=1e-5)


def test_an_autoencoder_scores_files_and_arrays_alike(here, tmp_path, capsys):
    files = ["data/test/cat/6.png", "data/train/dog/0.png"]
    x = animals.pixels_of(files)
    np.savez(tmp_path / "some.npz", x_test=x.astype("int64"), y_test=[0, 1])
    rows = table("run", files[0], tmp_path / "some.npz", files[1], capsys=capsys)
    assert [row["name"] for row in rows] == [files[0], *(f"{tmp_path}/some.npz/x_test/{i}" for i in (0, 1)), files[1]]
    expected = np.asarray(kerasae.runs.load_model("run").score(x))[[0, 0, 1, 1]]
    np.testing.assert_allclose(numbers(rows, "score")[:, 0], expected, rtol=1e-5)


def test_a_broken_file_gets_a_line_or_stops_everything(here, tmp_path, capfd, mistake):
    animals.picture(tmp_path / "in" / "b" / "good.png", 5)
    (tmp_path / "in" / "a.png").write_bytes(b"no picture")
    (tmp_path / "in" / "c.heic").write_bytes(b"")
    (tmp_path / "in" / "notes.txt").write_text("not looked at")
    cli.main(["predict", "run/tuned", str(tmp_path / "in")])
    printed = capfd.readouterr()
    rows = {os.path.basename(row["name"]): row for row in csv.DictReader(io.StringIO(printed.out))}
    assert list(rows) == ["a.png", "c.heic", "good.png"]
    assert "no image of a known kind" in rows["a.png"]["error"] and rows["a.png"]["class"] == ""
    assert ".heic is not read" in rows["c.heic"]["error"]
    assert rows["good.png"]["error"] == "" and rows["good.png"]["class"] in ("cat", "dog")
    assert printed.err == "kerasae: 2 broken images; the column error says why\n"
    line = mistake("predict", "run/tuned", tmp_path / "in", "--strict", "--to", tmp_path / "out.csv")
    assert "a.png cannot be read" in line and os.listdir(tmp_path) == ["in"]


def grey(path):
    animals.picture(path, 1, channels=1)


def deep(path):
    Image.fromarray(np.full((6, 6), 9, "uint16")).save(path)


def large(path):
    animals.picture(path, 1, side=12)


@pytest.mark.parametrize(
    ("make", "words"), [(large, ["12 x 12", "takes 6 x 6", "--image-size 6 6"]), (deep, ["16 bits", "from 8"])]
)
def test_another_kind_of_image_is_one_line(here, tmp_path, mistake, make, words):
    make(tmp_path / "odd.png")
    line = mistake("predict", "run/tuned", "data/test", tmp_path / "odd.png", "--to", tmp_path / "out.csv")
    assert all(word in line for word in [*words, "odd.png"]) and os.listdir(tmp_path) == ["odd.png"]


def test_what_else_is_refused(here, tmp_path, mistake):
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "floats.npz", x=np.zeros((2, 6, 6, 3)))
    np.savez(tmp_path / "high.npz", x=np.full((2, 6, 6, 3), 256))
    before = sorted(os.listdir(tmp_path))
    for tokens, words in (
        (("run/tuned", tmp_path / "nowhere"), "nowhere' does not exist"),
        (("run/tuned", tmp_path / "empty"), "has no images"),
        (
            ("run/tuned", tmp_path / "floats.npz"),
            "floats.npz/x/0 holds floats, but the model has learned from int",
        ),
        (("run/tuned", tmp_path / "high.npz"), "values from 256 to 256, but the model takes 0 to 255"),
        (("data", "data"), "neither a run nor an export"),
        (("run/tuned", "data", "--image-size", "8"), "image_size: expected 6 6"),
        (("run/tuned", "data", "--image-size", "0"), "image_size"),
    ):
        assert words in mistake("predict", *tokens, "--to", tmp_path / "out.csv")
        assert sorted(os.listdir(tmp_path)) == before


def test_images_are_resized_when_it_is_asked_for_as_training_resizes_them(here, tmp_path, capsys):
    for i in range(3):
        animals.picture(tmp_path / "in" / f"{i}.png", i, side=9 + i)
    rows = table("run", tmp_path / "in", "--image-size", "6", capsys=capsys)
    source = kerasae.data.load(f"folder:{tmp_path / 'in'}", image_size=6)
    ((split, _),) = source.stored()
    expected = np.asarray(kerasae.runs.load_model("run").score(split.arrays()[0]))
    np.testing.assert_allclose(numbers(rows, "score")[:, 0], expected, rtol=1e-5)


def test_floats_are_scaled_as_the_run_has_scaled_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).uniform(-2, 6, (20, 5))
    np.savez("data.npz", x_train=x)
    tokens = "train plain --data npz:data.npz --min-value -2 --max-value 6 --out run --epochs 1 --widths 8 --code 2"
    assert cli.main([*tokens.split(), "--holdout", "0"]) == 0
    rows = table("run", "data.npz", capsys=capsys)
    expected = np.asarray(kerasae.runs.load_model("run").score(np.float32((x + 2) / 8)))
    np.testing.assert_allclose(numbers(rows, "score")[:, 0], expected, rtol=1e-4)


def test_a_conditional_model_is_refused(tmp_path, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run", "recipe.json").write_text(json.dumps({"command": "train", "recipe": {}}))
    pair = networks.dense((6,), 2, (5,), posterior="gaussian", condition=3)
    models.VariationalAutoencoder(*pair).save("run/model.keras")
    np.savez("x.npz", x=np.zeros((2, 6), "uint8"))
    assert "needs the class of every example" in mistake("predict", "run", "x.npz")


@pytest.mark.parametrize("damage", ["{", "[]", '{"input": 3}', '{"input": {"shape": [null], "dtype": "uint8"}}'])
def test_an_export_with_a_damaged_card(here, tmp_path, mistake, damage):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes((here / "saved" / "saved_model.pb").read_bytes())
    (tmp_path / "saved" / "card.json").write_text(damage)
    assert "no readable card.json" in mistake("predict", tmp_path / "saved", "data/test")


def test_an_export_that_is_cut_short(here, tmp_path, mistake):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "card.json").write_bytes((here / "saved" / "card.json").read_bytes())
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"\xff\xff")
    assert "cannot be loaded" in mistake("predict", tmp_path / "saved", "data/test")


# ---- memory


class Counted:
    """An intake that counts how many of the examples that it made are alive."""

    def __init__(self):
        self.alive = self.most = self.made = 0

    def file(self, name):
        value = np.zeros(4, "uint8")
        self.alive, self.made = self.alive + 1, self.made + 1
        self.most = max(self.most, self.alive)
        weakref.finalize(value, self.forget)
        return value

    def forget(self):
        self.alive -= 1


def test_of_many_files_a_batch_is_in_memory(tmp_path):
    for i in range(3000):
        folder = tmp_path / f"{i // 100:02}"
        folder.mkdir(exist_ok=True)
        (folder / f"{i:04}.png").touch()
    intake = Counted()
    predictor = predict.Predictor(intake, None, lambda x: np.zeros(len(x)))
    recipe = predict.Recipe(model="run", inputs=(str(tmp_path),), batch_size=50)
    names = [prediction.name for prediction in predict.predictions(predictor, recipe)]
    assert names == [str(tmp_path / f"{i // 100:02}" / f"{i:04}.png") for i in range(3000)]
    assert intake.made == 3000 and intake.most <= 4 * 50


# ---- the form of examples


def test_grey_becomes_colour_but_colour_not_grey(tmp_path):
    pixels = animals.picture(tmp_path / "grey.png", 0, channels=1)
    animals.picture(tmp_path / "colour.png", 0)
    np.testing.assert_array_equal(Intake((6, 6, 3)).file(str(tmp_path / "grey.png")), np.repeat(pixels, 3, axis=-1))
    np.testing.assert_array_equal(Intake((6, 6, 1)).file(str(tmp_path / "grey.png")), pixels)
    with pytest.raises(InputError, match=r"colour\.png has 3 channels, but the model takes 1"):
        Intake((6, 6, 1)).file(str(tmp_path / "colour.png"))


def test_files_are_read_as_training_reads_them(tmp_path):
    """JPEG, orientation, palette, transparency, 16 bits, floats and bands, beside the folder source."""
    colour, tiff, scan = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for i in range(2):
        animals.picture(colour / f"{i}.jpg", i)
    turned = Image.Exif()
    turned[274] = 6
    animals.picture(colour / "turned.jpg", 3, exif=turned)
    Image.fromarray(np.random.default_rng(4).integers(0, 256, (6, 6, 4), "uint8")).save(colour / "clear.png")
    for folder in (tiff, scan):
        folder.mkdir()
    Image.fromarray(np.random.default_rng(5).integers(0, 65536, (6, 6), "uint16")).save(tiff / "0.tif")
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (6, 6), "uint8")).save(tiff / "1.tif")
    np.save(scan / "0.npy", np.random.default_rng(6).normal(size=(6, 6, 4)).clip(-3, 3))
    for folder, options, intake in (
        (colour, {}, Intake((6, 6, 3))),
        (tiff, {}, Intake((6, 6, 1), "uint16", 65535.0)),
        (
            scan,
            {"min_value": -3, "max_value": 3, "bands": (4, 2)},
            Intake((6, 6, 2), "float32", 1.0, (-3.0, 3.0), (4, 2)),
        ),
    ):
        ((split, _),) = kerasae.data.load(f"folder:{folder}", **options).stored()
        for path, expected in zip(split.paths, split.arrays()[0], strict=True):
            np.testing.assert_array_equal(intake.file(os.fsdecode(path)), expected)


def test_rows_of_vectors_are_scaled_as_training_scales_them():
    intake = Intake((3,), "float32", 1.0, (-1.0, 3.0))
    np.testing.assert_allclose(intake.row(np.array([-1.0, 0.0, 3.0]), "x/0"), [0, 0.25, 1])
    for values, words in (([np.nan, 0, 0], "nan"), ([-2.0, 0, 0], "from -2 to 0"), ([0.0, 0], r"shape \[2\]")):
        with pytest.raises(InputError, match=words):
            intake.row(np.array(values), "x/0")
    with pytest.raises(InputError, match="integers, but the model has learned from floats"):
        intake.row(np.array([0, 1, 1]), "x/0")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_rows_of_an_archive_are_those_of_numpy(tmp_path, save):
    x, file = np.random.default_rng(0).normal(size=(1000, 40, 40)), str(tmp_path / "x.npz")  # 12.8 MB, in pieces
    save(file, x_train=x, x_test=x[:2], y_train=np.zeros(1000))
    found = list(array_rows.rows(file))
    assert [name for name, _ in found][-3:] == [f"{file}/x_train/999", f"{file}/x_test/0", f"{file}/x_test/1"]
    np.testing.assert_array_equal([row for _, row in found], [*x, *x[:2]])


def test_archives_that_are_refused(tmp_path):
    file = tmp_path / "x.npz"
    for content, words in (
        ({"x": np.array([[1, "a"]], object)}, "array of object"),
        ({"x": np.asfortranarray(np.zeros((3, 2)))}, "Fortran"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "holds a, b"),
        ({"x": np.zeros(3)}, r"shape \(3,\)"),
    ):
        np.savez(file, **content)
        with pytest.raises(InputError, match=words):
            list(array_rows.rows(str(file)))
    with zipfile.ZipFile(file, "w") as archive, archive.open("x.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 2)})
    with pytest.raises(InputError, match="cut short"):
        list(array_rows.rows(str(file)))
    file.write_bytes(b"PK, but no archive")
    with pytest.raises(InputError, match="cannot be read"):
        list(array_rows.rows(str(file)))


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(BrokenImage, match="is no file"):
        Intake((6, 6, 3)).file(str(tmp_path / "pipe.png"))
