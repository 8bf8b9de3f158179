"""Codes for other programs: what stands in the file is what the model computes, beside the right names."""

import json
import os
import sys
from pathlib import Path

import animals
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae import models, networks, results
from kerasae.data.splits import Split
from kerasae.errors import InputError
from pipelines import embed
from pipelines.command_line import main as cli


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


@pytest.fixture
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hand_made(model, path="run", **recipe):
    """A run directory of a model that nobody trained."""
    Path(path).mkdir()
    Path(path, "recipe.json").write_text(json.dumps({"command": "train", "recipe": recipe}))
    model.save(f"{path}/model.keras")
    return model


def test_codes_stand_beside_the_names_of_their_files(here, tmp_path, capsys):
    assert cli.main(["embed", "run", "--to", str(tmp_path / "codes.npz"), "--batch-size", "5"]) == 0
    assert "16 codes of [3] float32" in capsys.readouterr().out
    found = np.load(tmp_path / "codes.npz")
    names, model = found["names"].tolist(), kerasae.runs.load_model("run")
    assert sorted(names) == sorted(str(p.relative_to("data")) for p in Path("data").rglob("*.png"))
    np.testing.assert_allclose(found["codes"], model.encode(animals.pixels_of(here / "data" / n for n in names)), 1e-5)
    assert found["splits"].tolist() == [name.split("/")[0] for name in names]
    assert found["class_names"][found["labels"]].tolist() == [name.split("/")[1] for name in names]


def test_a_table_holds_the_same(here, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("codes.npz", "codes.parquet"):
        assert cli.main(["embed", "run/tuned", "--to", str(tmp_path / name), "--batch-size", "7"]) == 0
    archive, table = np.load(tmp_path / "codes.npz"), parquet.read_table(tmp_path / "codes.parquet")
    assert table["name"].to_pylist() == archive["names"].tolist()
    assert table["split"].to_pylist() == archive["splits"].tolist()
    assert table["class"].to_pylist() == archive["class_names"][archive["labels"]].tolist()
    np.testing.assert_array_equal(np.array(table["code"].to_pylist(), "float32"), archive["codes"])


def test_one_split_alone_and_a_split_that_is_not_there(here, tmp_path, mistake):
    assert cli.main(["embed", "run", "--to", str(tmp_path / "codes.npz"), "--split", "test"]) == 0
    names = np.load(tmp_path / "codes.npz")["names"].tolist()
    assert names == ["test/cat/6.png", "test/cat/7.png", "test/dog/6.png", "test/dog/7.png"]
    line = mistake("embed", "run", "--to", tmp_path / "others.npz", "--split", "valid")
    assert "'valid'" in line and "train, test" in line
    assert os.listdir(tmp_path) == ["codes.npz"]


def test_arrays_come_in_the_order_in_which_they_are_stored(alone):
    """Also those that are held out as a test: code i is that of row i."""
    x = np.random.default_rng(0).integers(0, 256, (40, 6), "uint8")
    np.savez("data.npz", x_train=x)
    model = hand_made(models.Autoencoder(*networks.dense((6,), 2, (5,))), data="npz:data.npz")
    embed.run(embed.Recipe(run="run", to="codes.npz"))
    found = np.load("codes.npz")
    np.testing.assert_allclose(found["codes"], model.encode(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["index"], np.arange(40))
    assert (found["splits"] == "test").sum() == 4 and "labels" not in found and "names" not in found


def test_parts_that_are_stored_apart_follow_each_other(alone):
    x = np.random.default_rng(0).integers(0, 256, (9, 6), "uint8")
    np.savez("data.npz", x_train=x[:6], x_test=x[6:])
    model = hand_made(models.Autoencoder(*networks.dense((6,), 2, (5,))), data="npz:data.npz")
    embed.run(embed.Recipe(run="run", to="codes.npz"))
    found = np.load("codes.npz")
    np.testing.assert_allclose(found["codes"], model.encode(x), rtol=1e-5, atol=1e-6)
    assert found["index"].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert found["splits"].tolist() == ["train"] * 6 + ["test"] * 3


def test_all_tokens_of_a_vision_transformer(alone, mistake):
    x = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1), "uint8")
    np.savez("data.npz", x_train=x[:5], x_test=x[5:])
    pair = networks.vit(
        (4, 4, 1), patch=2, width=8, depth=1, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2
    )
    model = hand_made(models.MaskedAutoencoder(*pair), data="npz:data.npz")
    embed.run(embed.Recipe(run="run", to="tokens.npz", tokens=True, batch_size=4))
    found = np.load("tokens.npz")["codes"]
    assert found.shape[0] == 7 and found.ndim == 3
    np.testing.assert_allclose(found, model.tokens(x), rtol=1e-4, atol=1e-5)
    hand_made(models.Autoencoder(*networks.dense((4, 4, 1), 2, ())), "other", data="npz:data.npz")
    assert "tokens: Autoencoder has none" in mistake("embed", "other", "--to", "none.npz", "--tokens")
    assert not Path("none.npz").exists()


def test_a_conditional_model_is_given_the_labels(alone, mistake):
    x, y = np.random.default_rng(0).integers(0, 256, (20, 6), "uint8"), np.arange(20) % 3
    np.savez("data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    np.savez("bare.npz", x_train=x)
    pair = networks.dense((6,), 2, (5,), posterior="gaussian", condition=3)
    model = hand_made(models.VariationalAutoencoder(*pair), data="npz:data.npz")
    embed.run(embed.Recipe(run="run", to="codes.npz", split="train"))
    np.testing.assert_allclose(np.load("codes.npz")["codes"], model.encode(x, y), rtol=1e-5, atol=1e-6)
    assert "have none; give labelled data" in mistake("embed", "run", "--to", "no.npz", "--data", "npz:bare.npz")


class Made:
    """A store that makes examples when they are asked for, and says how many that were."""

    shape, dtype, parallel_calls = (50,), tf.uint8, 2

    def __init__(self, count):
        self.count, self.read_so_far, self.ahead, self.file = count, 0, [], None

    def __len__(self):
        return self.count

    def read(self, rows):
        return tf.ensure_shape(tf.numpy_function(self.make, [rows], tf.uint8), [None, 50])

    def make(self, rows):
        self.read_so_far += len(rows)
        self.ahead.append(self.read_so_far - self.file.tell() // (4 * 50))
        return np.repeat(rows[:, None] % 251, 50, axis=1).astype("uint8")


def test_what_is_read_is_written_before_more_is_read(tmp_path):
    """Of 20,000 examples a few batches are in memory at a time: those that were read but are not in the file."""

    class Same:
        def encode(self, x):
            return x

    store, batch = Made(20_000), 100
    info = kerasae.data.Info("made", (50,), "uint8", 255, {"train": 20_000})
    about = embed.About(None, np.arange(20_000), np.full(20_000, "train"), None)
    with open(tmp_path / "codes.npz", "wb", buffering=0) as store.file:
        pieces = kerasae.evaluate.embedded(Same(), Split(store), batch)
        embed.write_archive(store.file, pieces, about, info)
    assert store.read_so_far == 20_000 and max(store.ahead) <= 10 * batch
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npz")["codes"][:, 7], np.arange(20_000) % 251)


def test_a_file_stands_under_its_name_when_it_is_whole(tmp_path):
    place = tmp_path / "codes.npz"
    place.write_bytes(b"earlier")
    with pytest.raises(KeyboardInterrupt), results.whole_file(place) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert place.read_bytes() == b"earlier" and os.listdir(tmp_path) == ["codes.npz"]
    with results.whole_file(place) as file:
        file.write(b"whole")
        assert place.read_bytes() == b"earlier"
    assert place.read_bytes() == b"whole" and os.listdir(tmp_path) == ["codes.npz"]


def test_arrays_in_pieces_are_those_of_numpy(tmp_path):
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype("float32")
    names = ["a", "bär/ß.png", os.fsdecode(b"\xff.png"), ""]
    with open(tmp_path / "x.npz", "wb") as file, results.CodeArchive(file) as archive:
        archive.array("x", x.shape, "float32", (x[i : i + 3] for i in range(0, 7, 3)))
        archive.texts("names", names)
        archive.texts("nothing", [])
    found = np.load(tmp_path / "x.npz", allow_pickle=False)
    np.testing.assert_array_equal(found["x"], x)
    assert found["names"].tolist() == names and found["nothing"].shape == (0,)
    with pytest.raises(ValueError, match="36 values do not fill"):
        with open(tmp_path / "y.npz", "wb") as file, results.CodeArchive(file) as archive:
            archive.array("x", x.shape, "float32", [x[:6]])


def test_mistakes_are_one_line_and_leave_nothing(here, tmp_path, mistake, monkeypatch):
    assert "ends in .npz or .parquet" in mistake("embed", "run", "--to", tmp_path / "codes.csv")
    assert "there is no folder" in mistake("embed", "run", "--to", tmp_path / "no" / "codes.npz")
    assert "not a run directory" in mistake("embed", "data", "--to", tmp_path / "codes.npz")
    animals.picture(tmp_path / "large" / "0.png", 0, side=7)
    line = mistake("embed", "run", "--to", tmp_path / "codes.npz", "--data", f"folder:{tmp_path / 'large'}")
    assert "(6, 6, 3)" in line and "(7, 7, 3)" in line
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "needs pyarrow" in mistake("embed", "run", "--to", tmp_path / "codes.parquet")
    assert os.listdir(tmp_path) == ["large"]


def test_a_model_without_an_encoder_is_named():
    with pytest.raises(InputError, match="object"):
        kerasae.evaluate.embedded(object(), None)
