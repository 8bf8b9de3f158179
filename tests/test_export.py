"""Exports: what is served equals the model, in a process without kerasae, and nothing that is there is lost."""

import json
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasae import distributions, export, models, networks
from kerasae.errors import InputError
from kerasae.export import check, destination, offers, parity
from pipelines import export as pipeline

IMAGES = np.random.default_rng(0).integers(0, 16, (7, 5, 3, 2)).astype("uint8")


def variational():
    pair = networks.conv((5, 3, 2), 3, (4,), posterior="gaussian")
    return models.VariationalAutoencoder(*pair, distributions.Gaussian(0.5, squash=True), pixel_max=15.0, beta=0.5)


def classifier():
    encoder, _ = networks.conv((5, 3, 2), 3, (4,))
    return models.Classifier(encoder, 4, dropout=0.3, input_dropout=0.2, pixel_max=15.0)


class Silent(nullcontext):
    """A checker for which exports have no endpoints."""

    def __init__(self, runtime="tensorflow"):
        super().__init__(self)
        self.runtime = runtime

    def ask(self, path, questions):
        return {}


def plain(pixel_max=15.0):
    return models.Autoencoder(*networks.dense((6,), 2, (5,), activation="tanh"), "bernoulli", pixel_max=pixel_max)


@pytest.fixture(scope="module")
def checker():
    """One fresh process for the exports of this module; the command starts one of its own."""
    with export.Checker() as found:
        yield found


def build_and_save(build, folder, checker):
    """A model, its export, verified in a fresh process, and the export reloaded in this one."""
    keras.utils.set_random_seed(3)
    model, dest = build(), folder / "name"
    assert export.save(model, dest, card={"metrics": {"é": 0.5}}, examples=IMAGES, checker=checker) == dest
    return model, dest, tf.saved_model.load(str(dest))


@pytest.fixture(scope="module")
def exported_variational(tmp_path_factory, checker):
    return build_and_save(variational, tmp_path_factory.mktemp("saved_models"), checker)


@pytest.fixture(scope="module")
def exported_classifier(tmp_path_factory, checker):
    return build_and_save(classifier, tmp_path_factory.mktemp("saved_models"), checker)


@pytest.fixture(params=["variational", "classifier"])
def exported(request):
    return request.getfixturevalue(f"exported_{request.param}")


def read_card(dest):
    return json.loads((dest / "card.json").read_text(encoding="utf-8"))


def test_a_fresh_process_agrees(exported):
    model, dest, _ = exported
    parity = read_card(dest)["parity"]
    assert 0.0 <= parity["max_abs_diff"] <= 1e-5
    assert parity["batch_sizes"] == [1, 7]
    assert set(parity["endpoints"]) == {*export.endpoints(model), "serving_default"}
    assert [path.name for path in dest.parent.iterdir()] == ["name"]


def scaled(images):
    return images.astype("float32") / 15


@pytest.mark.parametrize("size", [2, 5])
def test_a_variational_autoencoder_is_served(exported_variational, size):
    """Against its networks, fed with images that NumPy scaled, and the equations in NumPy."""
    model, _, served = exported_variational
    x, raw = scaled(IMAGES[:size]), tf.constant(IMAGES[:size])
    mean, log_var = np.split(np.asarray(model.encoder(x), "float64"), 2, axis=-1)
    y = 1 / (1 + np.exp(-np.asarray(model.decoder(mean), "float64")))
    distortion = (2 * (x - y) ** 2 + np.log(0.5) + 0.5 * np.log(2 * np.pi)).sum((1, 2, 3))
    rate = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(-1)
    codes = tf.constant(mean, "float32")
    for endpoint, output, batch, wanted in (
        ("encode", "codes", raw, mean),
        ("decode", "decoded", codes, y),
        ("reconstruct", "reconstructions", raw, y),
        ("serving_default", "reconstructions", raw, y),
        ("score", "scores", raw, distortion + rate),
    ):
        found = served.signatures[endpoint](batch)
        assert found.keys() == {output}
        np.testing.assert_allclose(found[output], wanted, rtol=1e-5, atol=1e-5, err_msg=endpoint)


@pytest.mark.parametrize("size", [2, 5])
def test_a_classifier_is_served(exported_classifier, size):
    """Against its networks, fed with images that NumPy scaled; no dropout."""
    model, _, served = exported_classifier
    codes = np.asarray(model.encoder(scaled(IMAGES[:size])))
    logits = np.asarray(model.head(codes), "float64")
    odds = np.exp(logits)
    for endpoint in ("classify", "serving_default"):
        found = served.signatures[endpoint](tf.constant(IMAGES[:size]))
        np.testing.assert_allclose(found["logits"], logits, atol=1e-5)
        np.testing.assert_allclose(found["probabilities"], odds / odds.sum(-1, keepdims=True), atol=1e-6)
        np.testing.assert_array_equal(found["labels"], logits.argmax(-1))
    np.testing.assert_allclose(served.signatures["encode"](tf.constant(IMAGES[:size]))["codes"], codes, atol=1e-5)


def test_the_card_says_what_goes_in_and_out(exported):
    model, dest, served = exported
    card = read_card(dest)
    assert card["input"] == {"name": "images", "shape": [None, 5, 3, 2], "dtype": "uint8", "range": [0.0, 15.0]}
    assert card["model"] == type(model).__name__ and card["metrics"] == {"é": 0.5}
    assert card["versions"]["tensorflow"] == tf.__version__
    assert [*card["endpoints"], "serving_default"] == list(export.endpoints(model)) + ["serving_default"]
    for name, endpoint in card["endpoints"].items():
        signature = served.signatures[name]
        inputs = signature.structured_input_signature[1]
        assert endpoint["inputs"] == {k: offers.spell(v) for k, v in inputs.items()}
        assert endpoint["outputs"] == {k: offers.spell(v) for k, v in signature.structured_outputs.items()}


def test_another_model_does_not_pass(exported_variational, checker):
    """A bias that moved by 0.001 after the export is found by the fresh process, in the first endpoint it reaches."""
    model, dest, _ = exported_variational
    bias = model.decoder.trainable_weights[-1]
    kept = bias.numpy()
    bias.assign(kept + 1e-3)
    try:
        with pytest.raises(export.ParityError, match="endpoint reconstruct/reconstructions/one: differs by 0.000"):
            export.verify(model, dest, IMAGES, checker=checker)
    finally:
        bias.assign(kept)


def test_the_check_refuses_to_run_beside_kerasae():
    with pytest.raises(ModuleNotFoundError, match="kerasae.models is out of reach"):
        check.Refuse.find_spec("kerasae.models")
    assert check.Refuse.find_spec("kerasaes") is None
    with pytest.raises(SystemExit, match="kerasae can be imported"):
        check.prove_alone()


def test_what_cannot_run_alone_says_why(tmp_path, monkeypatch):
    script = "import os, sys\nsys.exit(f'{eval(input())[0]} in {os.listdir()}, {sys.path[0] == sys.argv[0]}')"
    monkeypatch.setattr(parity, "CHECK", write(tmp_path / "check.py", script))
    with pytest.raises(export.ParityError, match=r"does not work without kerasae: /there in \[\], False"):
        with export.Checker() as checker:
            checker.ask("/there", {"images/one": IMAGES[:1]})


def test_one_checker_serves_several_exports_also_after_one_that_does_not_load(tmp_path):
    vectors, odd = np.float32(np.random.default_rng(1).random((4, 6))), tmp_path / "a\nb é"
    write(tmp_path / "broken" / "saved_model.pb")
    with export.Checker() as checker:
        options = {"examples": vectors, "checker": checker}
        export.save(plain(), odd, dtype="float32", **options)
        with pytest.raises(export.ParityError, match="broken does not work without kerasae: [A-Z]"):
            export.verify(plain(), tmp_path / "broken", **options)
        with pytest.raises(export.ParityError, match="differs"):  # from another model, with other random weights
            export.verify(plain(), odd, **options)
        export.save(plain(), odd, dtype="float32", **options)
        assert checker.process.poll() is None
    assert read_card(odd)["parity"]["max_abs_diff"] <= 1e-5
    assert checker.process.poll() is not None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"score/scores/all": np.float32([1.0, 900.02])}, "score/scores/all: differs by 0.02"),
        ({"score/scores/all": np.float32([1.00002, 900.0])}, "score/scores/all: differs by 2e-05"),
        ({"score/scores/all": np.float32([np.nan, 900.0])}, "score/scores/all: differs by nan"),
        ({"score/scores/all": np.float32([1.0])}, r"float32 \[1\] instead of float32 \[2\]"),
        ({}, "score/scores/all: not in the export"),
        ({"score/scores/all": np.float32([1, 900]), "x/y/all": np.zeros(2)}, "x/y/all: only in the export"),
    ],
)
def test_differences_are_seen(found, message):
    with pytest.raises(export.ParityError, match=message):
        parity.compare({"score/scores/all": np.float32([1.0, 900.0])}, found, 1e-5)


def test_large_scores_may_differ_in_their_last_digits():
    wanted, found = np.float32([900.0]), np.float32([900.004])
    assert parity.compare({"score": wanted}, {"score": found}, 1e-5) == {"score": pytest.approx(0.004, abs=1e-4)}


def write(path, text="mine"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("file", ["name", "name/notes.txt", "name/card.json", "name/saved_model.pb"])
def test_a_folder_that_is_no_export_is_left_alone(file, tmp_path):
    path = write(tmp_path / file)
    with pytest.raises(InputError, match="name.* choose another"):
        export.save(plain(), tmp_path / "name")
    assert path.read_text() == "mine"


def test_an_export_to_which_someone_added_a_file_is_left_alone(tmp_path):
    for part in ("saved_model.pb", "card.json", "notes.txt"):
        write(tmp_path / "name" / part)
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        export.save(plain(), tmp_path / "name")


def test_an_earlier_export_stays_until_the_new_one_is_verified(tmp_path, monkeypatch):
    vectors, dest = np.float32(np.random.default_rng(1).random((4, 6))), tmp_path / "new" / "name"
    export.save(plain(), dest, dtype="float32", card={"turn": 1})
    monkeypatch.setattr(destination, "Checker", Silent)
    with pytest.raises(export.ParityError):
        export.save(plain(), dest, dtype="float32", card={"turn": 2}, examples=vectors)
    assert read_card(dest)["turn"] == 1
    model = plain()
    export.save(model, dest, dtype="float32", card={"turn": 3})
    assert read_card(dest)["turn"] == 3 and [path.name for path in dest.parent.iterdir()] == ["name"]
    served = tf.saved_model.load(str(dest)).signatures["encode"](inputs=tf.constant(vectors))
    np.testing.assert_allclose(served["codes"], model.encoder(vectors), atol=1e-6)


def test_a_failed_move_brings_the_earlier_export_back(tmp_path):
    write(tmp_path / "name" / "card.json", "earlier")
    with pytest.raises(OSError):
        destination.put_in_place(tmp_path / "missing", tmp_path / "name", tmp_path / "aside")
    assert (tmp_path / "name" / "card.json").read_text() == "earlier"


def test_arguments_are_checked(tmp_path):
    with pytest.raises(InputError, match="dtype.*'int8'"):
        export.save(plain(), tmp_path / "name", dtype="int8")
    for wrong in (np.zeros((1, 6), "uint8"), np.zeros((4, 5), "uint8")):
        with pytest.raises(InputError, match=r"examples: .*Received"):
            export.save(plain(), tmp_path / "name", examples=wrong)
    assert not any(tmp_path.iterdir())


# ---- the command


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run inside another one, on data with fewer test examples than the check asks for."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(2).integers(0, 16, (9, 6)).astype("uint8")
    np.savez("data.npz", x_train=x[:6], x_test=x[6:])
    for folder, recipe in (("outer", {"data": "digits"}), ("outer/inner", {"data": "npz:data.npz", "run": "outer"})):
        write(tmp_path / folder / "recipe.json", json.dumps({"command": "train", "recipe": recipe}))
    write(tmp_path / "outer/inner/summary.json", '{"test_mse": 0.25}')
    plain(255.0).save("outer/inner/model.keras")
    return "outer/inner"


def test_the_command_exports_and_verifies(run, capsys):
    result = pipeline.run(pipeline.Recipe(run=run))
    card = read_card(result.path.parents[2] / "saved_models/outer-inner")
    assert result.figures == {"export_max_abs_diff": card["parity"]["max_abs_diff"]}
    assert result.figures["export_max_abs_diff"] <= 1e-5
    assert card["data"]["counts"] == {"train": 6, "test": 3} and card["metrics"] == {"test_mse": 0.25}
    assert card["recipe"]["recipe"]["run"] == "outer" and card["pretraining"]["recipe"] == {"data": "digits"}
    printed = capsys.readouterr().out
    assert "decode       codes float32 [B, 2]  decoded float32 [B, 6]" in printed
    assert "tf.saved_model.load('saved_models/outer-inner')" in printed
    assert "m.signatures['reconstruct'](tf.zeros([2, 6], 'uint8'))" in printed


def test_the_command_names_what_is_wrong(run, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="outer is not free"):
        pipeline.run(pipeline.Recipe(run=run, dest="outer"))
    monkeypatch.setattr(destination, "Checker", Silent)
    with pytest.raises(InputError, match="decode.*not in the export.*--tolerance"):
        pipeline.run(pipeline.Recipe(run=run, dest="elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / run / "model.keras").unlink()
    with pytest.raises(InputError, match="no model.keras"):
        pipeline.run(pipeline.Recipe(run=run))
