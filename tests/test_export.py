"""Exports: what they hold, that a process without kerasae runs them, and that a wrong one is caught."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae import export, models, networks
from kerasae.errors import InputError
from pipelines import export as exporting
from pipelines import train

SHAPE = (5, 7, 2)
X = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), "uint8")


def vae():
    return models.VariationalAutoencoder(*networks.conv(SHAPE, 3, (4,), code_parameters=2), pixel_max=200.0)


def classifier():
    return models.Classifier(vae().feature_encoder(), 4, dropout=0.5, pixel_max=200.0)


@pytest.mark.parametrize(
    ("build", "names"),
    [(vae, ["decode", "encode", "reconstruct", "score"]), (classifier, ["classify", "encode"])],
)
def test_a_fresh_process_without_kerasae_agrees(build, names, tmp_path):
    model = build()
    path = export.save(model, tmp_path / "export", card={"data": {"spec": "digits"}})
    assert export.verify(model, path, X) <= 1e-5
    card = json.loads((path / "card.json").read_text())
    assert sorted(card["endpoints"]) == names and card["data"] == {"spec": "digits"}
    assert card["input"] == {"shape": [None, *SHAPE], "dtype": "uint8", "range": [0, 200.0]}


def test_raw_bytes_in_and_batches_of_any_size(tmp_path):
    """The preprocessing is inside: an endpoint on raw bytes equals the model on x / pixel_max."""
    model = vae()
    loaded = tf.saved_model.load(export.save(model, tmp_path / "export"))
    for n in (1, 2, 6):
        np.testing.assert_allclose(loaded.encode(X[:n])["codes"], model.encode(X[:n] / np.float32(200)), atol=1e-5)
    signatures = loaded.signatures["score"](images=tf.constant(X))
    np.testing.assert_allclose(signatures["scores"], model.score(X), rtol=1e-5)


def test_the_check_notices_another_model(tmp_path):
    path = export.save(vae(), tmp_path / "export")
    with pytest.raises(RuntimeError, match="differs by"):
        export.verify(vae(), path, X)


def test_the_check_notices_a_missing_endpoint(tmp_path):
    path = export.save(classifier(), tmp_path / "export")
    with pytest.raises(RuntimeError, match="does not work in a fresh process"):
        export.verify(vae(), path, X)


def test_the_check_really_has_no_kerasae():
    code = f"import runpy; m = runpy.run_path({str(export.CHECK)!r}); import sys; "
    code += "sys.meta_path.insert(0, m['Refuse']()); import kerasae"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "kerasae is not available" in result.stderr


def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="no export of kerasae"):
        export.save(vae(), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"
    export.save(vae(), tmp_path / "export")
    model = classifier()
    export.save(model, tmp_path / "export")
    assert hasattr(tf.saved_model.load(tmp_path / "export"), "classify")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export", "mine"]


def test_the_command_exports_a_run_on_float_vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).random((60, 9), "float32")
    np.savez("x.npz", x_train=x)
    train.run(train.Recipe(data="npz:x.npz", out="run", code=2, widths=(8,), epochs=1, holdout=0.0))
    result = exporting.run(exporting.Recipe(run="run"))
    assert result.figures["export_max_abs_diff"] <= 1e-5
    card = json.loads((tmp_path / "saved_models" / "run" / "card.json").read_text())
    assert card["run"]["recipe"]["code"] == 2 and card["input"]["dtype"] == "float32" and "epochs" in card["metrics"]
    assert kerasae.export.endpoints(exporting_model("run")).keys() == card["endpoints"].keys()


def exporting_model(path):
    from pipelines.run import load_model

    return load_model(path)
