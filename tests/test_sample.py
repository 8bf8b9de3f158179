"""New examples of generative models: the files of the command against the model, conditions, refusals."""

import json

import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae.applications import draw_examples, pixels
from kerasae.errors import InputError
from pipelines.command_line import main as cli


def variational(shape=(8, 8, 1), **options):
    networks = kerasae.networks.dense(shape, 2, (), posterior="gaussian", **options)
    return kerasae.models.VariationalAutoencoder(*networks, "bernoulli", 16.0)


def run_of(path, model, names=None):
    path.mkdir()
    (path / "recipe.json").write_text(json.dumps({"command": "train", "kerasae": "0", "recipe": {"data": "digits"}}))
    record = {"data": "digits", "fingerprint": "", "counts": {"train": 1}, "class_names": names}
    (path / "data.json").write_text(json.dumps(record))
    model.save(path / "model.keras", include_optimizer=False)
    return str(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_a_file_of_what_the_model_draws(tmp_path, channels):
    model = variational((6, 4, channels))
    run = run_of(tmp_path / "run", model)
    assert cli.main(["sample", run, "--n", "10", "--seed", "3", "--to", str(tmp_path / "new")]) == 0
    names = [f"{i:02d}.png" for i in range(1, 11)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [*names, "sheet.png"]
    found = np.stack([tf.io.decode_png((tmp_path / "new" / name).read_bytes()).numpy() for name in names])
    np.testing.assert_allclose(found / 255, model.sample(10, seed=3), atol=0.51 / 255)
    assert cli.main(["sample", run, "--n", "10", "--seed", "4", "--to", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other" / "01.png").read_bytes() != (tmp_path / "new" / "01.png").read_bytes()


def test_other_kinds_are_an_array(tmp_path):
    model = variational((5,))
    assert cli.main(["sample", run_of(tmp_path / "run", model), "--n", "7", "--to", str(tmp_path / "new")]) == 0
    with np.load(tmp_path / "new" / "samples.npz") as found:
        np.testing.assert_allclose(found["x"], model.sample(7, seed=0), rtol=1e-6)


def test_a_label_is_a_name_or_a_number(tmp_path, mistake):
    model = variational(condition=3)
    run = run_of(tmp_path / "run", model, ["cat", "dog", "7"])
    for label, number in (("dog", 1), ("7", 2), ("0", 0)):
        assert cli.main(["sample", run, "--n", "1", "--label", label, "--to", str(tmp_path / label)]) == 0
        found = tf.io.decode_png((tmp_path / label / "1.png").read_bytes()).numpy()
        np.testing.assert_array_equal(found, pixels(np.asarray(model.sample(1, y=number, seed=0)))[0])
    assert "name of [cat, dog, 7]. Received: 'elk'" in mistake("sample", run, "--label", "elk", "--to", tmp_path / "a")
    assert "expected classes 0 to 2" in mistake("sample", run, "--label", "3", "--to", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_every_class_is_drawn_from_the_same_codes_by_default(tmp_path, mistake):
    model = variational(condition=3)
    run = run_of(tmp_path / "run", model, ["cat", "dog", "7"])
    for name, words in (("a", []), ("b", ["--label", "all"])):
        assert cli.main(["sample", run, "--n", "4", "--seed", "2", *words, "--to", str(tmp_path / name)]) == 0
        files = sorted(path.name for path in (tmp_path / name).iterdir())
        assert files == [*(f"{k}-{i}.png" for k in range(3) for i in range(1, 5)), "sheet.png"]
        found = tf.io.decode_png((tmp_path / name / "1-3.png").read_bytes()).numpy()
        np.testing.assert_array_equal(found, pixels(np.asarray(model.sample(4, y=1, seed=2)))[2])
    named_all = run_of(tmp_path / "named", model, ["all", "dog", "7"])
    assert cli.main(["sample", named_all, "--n", "1", "--label", "all", "--to", str(tmp_path / "c")]) == 0
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["1.png", "sheet.png"]
    vectors = run_of(tmp_path / "vectors", variational((5,), condition=2))
    assert cli.main(["sample", vectors, "--to", str(tmp_path / "d")]) == 0
    with np.load(tmp_path / "d" / "samples.npz") as found:
        assert found["x"].shape == (16, 5) and found["y"].tolist() == [0] * 8 + [1] * 8
    plain = run_of(tmp_path / "plain", variational())
    assert "expected the number of a class" in mistake("sample", plain, "--label", "all", "--to", tmp_path / "e")


def test_what_cannot_be_drawn_is_refused(tmp_path, mistake):
    with pytest.raises(InputError, match="expected a generative one, received Autoencoder; train one"):
        draw_examples(kerasae.models.Autoencoder(*kerasae.networks.dense((4,), 2, ())), 1)
    run = run_of(tmp_path / "run", variational())
    assert "is not conditional; received 1" in mistake("sample", run, "--label", "1", "--to", tmp_path / "a")
    assert "is not free" in mistake("sample", run, "--to", run)
    assert "there is no folder" in mistake("sample", run, "--to", tmp_path / "no" / "a")
