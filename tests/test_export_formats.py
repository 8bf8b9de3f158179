"""ONNX, LiteRT and `sample`: each format answers as the model does, in its own runtime, without TensorFlow."""

import json
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from kerasae import export, models, networks
from kerasae.errors import InputError
from kerasae.export import check, destination, offers, parity, portable, quantized
from pipelines import export as pipeline

IMAGES = np.random.default_rng(0).integers(0, 16, (6, 4, 4, 1)).astype("uint8")
VECTORS = np.random.default_rng(1).integers(0, 16, (6, 5)).astype("uint8")


def dense_variational(**options):
    pair = networks.dense((5,), 2, (4,), activation="gelu", posterior="gaussian", **options)
    return models.VariationalAutoencoder(*pair, "bernoulli", pixel_max=15.0)


def convolutional():
    return models.Autoencoder(*networks.conv((4, 4, 1), 3, (2,)), "bernoulli", pixel_max=15.0)


def vit_classifier():
    sizes = {"patch": 2, "width": 4, "depth": 1, "heads": 2}
    pair = networks.vit((4, 4, 1), **sizes, decoder_width=4, decoder_depth=1, decoder_heads=2)
    return models.Classifier(models.MaskedAutoencoder(*pair, pixel_max=15.0).feature_encoder(), 3, pixel_max=15.0)


def stacked_classifier():
    inner, outer = networks.dense((5,), 4, (), activation="gelu"), networks.dense((4,), 2, (), activation="gelu")
    stack = models.StackedAutoencoder([models.Autoencoder(*pair, pixel_max=15.0) for pair in (inner, outer)])
    return models.Classifier(stack.feature_encoder(), 3, pixel_max=15.0)


def segmenter():
    """Its head enlarges in two steps."""
    sizes = {"patch": 4, "width": 4, "depth": 1, "heads": 2, "decoder_width": 4, "decoder_depth": 1, "decoder_heads": 2}
    return models.Segmenter(networks.vit((4, 4, 1), **sizes)[0], 3, "conv", head_width=4, pixel_max=15.0)


BUILDERS = {
    "dense": (dense_variational, VECTORS),
    "conv": (convolutional, IMAGES),
    "vit": (vit_classifier, IMAGES),
    "stacked": (stacked_classifier, VECTORS),
    "segmenter": (segmenter, IMAGES),
}


@pytest.fixture(scope="module")
def checkers():
    """One process for each runtime."""
    with export.Checker() as served, export.Checker("onnx") as onnx_files, export.Checker("litert") as litert_files:
        yield {checker.runtime: checker for checker in (served, onnx_files, litert_files)}


def exported(model, x, format, folder, checkers, **options):
    """Export a model, verified; returns the card."""
    names = {"labels": {"kind": "class", "names": ["a", "é", "c"]}}
    options |= {"checker": checkers[export.FORMATS[format].runtime], "card": names}
    export.save(model, folder / "name", format=format, examples=x, **options)
    return json.loads((folder / "name" / "card.json").read_text(encoding="utf-8"))


def rows():
    """Every kind in every format; LiteRT takes seconds for an endpoint, so that two kinds are enough for most runs."""
    for kind in BUILDERS:
        yield kind, "onnx"
        yield pytest.param(kind, "litert", marks=[pytest.mark.slow] if kind in ("dense", "conv") else [])


@pytest.mark.parametrize(("kind", "format"), [*rows()])
def test_a_file_for_each_endpoint_answers_as_the_model(kind, format, tmp_path, checkers):
    build, x = BUILDERS[kind]
    keras.utils.set_random_seed(3)
    model = build()
    card = exported(model, x, format, tmp_path, checkers)
    endpoints = {*export.endpoints(model)} - {"sample"}
    assert set(card["endpoints"]) == endpoints == set(card["parity"]["endpoints"])
    assert card["parity"]["max_abs_diff"] <= 1e-4 and card["parity"]["batch_sizes"] == [1, 6]
    assert card["labels"]["names"] == ["a", "é", "c"] and card["input"]["dtype"] == "uint8"
    suffix = {"onnx": ".onnx", "litert": ".tflite"}[format]
    files = {path.name: path.stat().st_size for path in (tmp_path / "name").iterdir() if path.name != "card.json"}
    assert files == {entry["file"]: entry["bytes"] for entry in card["endpoints"].values()}
    assert set(files) == {name + suffix for name in endpoints}


def test_onnx_files_are_valid_and_take_stored_bytes_in_any_number(tmp_path):
    """By onnx's own checker and onnxruntime, against the networks fed with values that NumPy scaled."""
    keras.utils.set_random_seed(3)
    model, session = dense_variational(), pytest.importorskip("onnxruntime").InferenceSession
    export.save(model, tmp_path / "name", format="onnx")
    file = str(tmp_path / "name" / "encode.onnx")
    onnx.checker.check_model(file, full_check=True)
    for size in (1, 4):
        (codes,) = session(file).run(None, {"inputs": VECTORS[:size]})
        wanted = np.asarray(model.encoder(VECTORS[:size].astype("float32") / 15))[:, :2]
        np.testing.assert_allclose(codes, wanted, atol=1e-6)


def test_gelus_are_as_they_were_after_an_export(tmp_path):
    model = dense_variational()
    with portable.plain_gelus(model):
        inside = [layer.activation for layer in model.encoder.layers if hasattr(layer, "activation")]
    after = [layer.activation for layer in model.encoder.layers if hasattr(layer, "activation")]
    assert keras.activations.gelu in after and keras.activations.gelu not in inside


def test_eight_bits_are_measured_beside_floats(tmp_path, checkers):
    """With labels that are the model's own classes but one, so that the accuracy in floats is known."""
    keras.utils.set_random_seed(3)
    model = stacked_classifier()
    labels = np.asarray(model.answer(VECTORS)["labels"]).copy()
    labels[0], labels[1] = (labels[0] + 1) % 3, -1
    test = (VECTORS, labels)
    card = exported(model, VECTORS, "litert-int8", tmp_path, checkers, calibration=test, test=test)
    found = card["quantized"]
    assert found["measure"] == "accuracy" and (found["examples"], found["labelled"]) == (6, 5)
    assert found["model"] == pytest.approx(0.8) and 0.0 <= found["export"] <= 1.0
    assert 0 < found["outputs"]["encode/codes"]["mean_abs_diff"] < 0.1
    assert card["parity"]["tolerance"] is None and card["parity"]["max_abs_diff"] > 1e-5
    lines = pipeline.summary("there", card)
    assert "accuracy on 5 test examples: litert-int8" in lines and "float 80%" in lines


def test_eight_bits_of_a_segmenter_are_measured_by_the_pixels_of_the_same_class(tmp_path, checkers):
    keras.utils.set_random_seed(3)
    card = exported(
        segmenter(), IMAGES, "litert-int8", tmp_path, checkers, calibration=(IMAGES, None), test=(IMAGES, None)
    )
    same = card["quantized"]["outputs"]["segment/classes"]["same"]
    assert 0.8 < same <= 1.0
    assert f"segment/classes on 6 test examples: {100 * same:.4g}% the same" in pipeline.summary("there", card)


class Moved:
    """A checker whose export answers 0.25 more than the model does, in batches."""

    runtime = "litert"

    def __init__(self, model):
        self.model = model

    def ask(self, path, questions):
        found = {"encode/codes": self.model.encode(questions["images/all"])}
        found["decode/decoded"] = self.model.decode(questions["codes/all"])
        return {f"{name}/all": np.asarray(values) + 0.25 for name, values in found.items()}


def test_the_cost_of_eight_bits_of_an_autoencoder_is_the_difference_of_its_outputs():
    """Over more examples than one batch."""
    model, x = convolutional(), np.tile(IMAGES, (50, 1, 1, 1))
    found = quantized.cost(model, "there", (x, None), Moved(model), ["encode", "decode"])
    assert found["examples"] == 300 and found.keys() == {"examples", "outputs"}
    for name, wanted in (("encode/codes", model.encode(x)), ("decode/decoded", model.reconstruct(x))):
        assert found["outputs"][name]["mean_abs_diff"] == pytest.approx(0.25, rel=1e-5)
        assert found["outputs"][name]["deviation"] == pytest.approx(np.asarray(wanted).std(), rel=1e-4)
    card = {"quantized": found, "format": "litert-int8"}
    assert pipeline.costs(card)[0].startswith("encode/codes on 300 test examples: mean absolute difference 0.25 to")


def test_weights_in_eight_bits_are_smaller(tmp_path, checkers):
    """A float takes 4 bytes for each weight."""
    encoder, _ = networks.dense((5,), 40, (100,))
    model = models.Classifier(encoder, 3, pixel_max=15.0)
    card = exported(model, VECTORS, "litert-dynamic", tmp_path, checkers)
    assert card["endpoints"]["classify"]["bytes"] < 2.5 * model.count_params()
    assert 0 < card["parity"]["max_abs_diff"] < 0.05


@pytest.mark.parametrize(
    ("kind", "y", "answers", "wanted"),
    [
        ("class", [1, 0, -1], [[0.2, 0.8], [0.4, 0.6], [0.0, 1.0]], ("accuracy", 2, 0.5)),
        ("classes", [[1.0, 0.0], [np.nan, 1.0], [1.0, 1.0]], [[0.9, 0.8], [0, 0], [0.6, 0.7]], ("accuracy", 2, 0.75)),
        ("numbers", [[1.0], [5.0], [np.nan]], [[2.0], [2.0], [2.0]], ("mae", 2, 2.0)),
    ],
)
def test_measures_of_eight_bits_by_hand(kind, y, answers, wanted):
    options = {"shift": [0.0], "scale": [1.0]} if kind == "numbers" else {}
    encoder, _ = networks.dense((5,), 2, ())
    model = models.Classifier(encoder, len(answers[0]), kind=kind, **options)
    given = {"estimate/values" if kind == "numbers" else "classify/probabilities": np.array(answers)}
    found = quantized.judged(model, np.array(y), given, given)
    assert (found["measure"], found["labelled"], found["export"]) == (wanted[0], wanted[1], pytest.approx(wanted[2]))


# ---- sampling and conditions


def test_a_served_model_draws_what_the_model_draws(tmp_path, checkers):
    model = dense_variational()
    exported(model, VECTORS, "saved_model", tmp_path, checkers)
    draw = tf.saved_model.load(str(tmp_path / "name")).signatures["sample"]
    served = [draw(n=tf.constant(3), seed=tf.constant(seed))["samples"].numpy() for seed in (2**31 - 1, 2**31 - 1, 8)]
    np.testing.assert_array_equal(served[0], served[1])
    assert np.abs(served[0] - served[2]).max() > 1e-3
    np.testing.assert_allclose(served[0], model.sample(3, seed=2**31 - 1), atol=1e-6)


def test_a_conditional_model_takes_labels(tmp_path, checkers):
    model, labels = dense_variational(condition=3), np.array([2, 0, 1, 2], "int32")
    card = exported(model, VECTORS, "saved_model", tmp_path, checkers)
    served = tf.saved_model.load(str(tmp_path / "name")).signatures
    assert list(card["endpoints"]["encode"]["inputs"]) == ["inputs", "labels"]
    assert list(card["endpoints"]["sample"]["inputs"]) == ["labels", "seed"]
    for name, method, output in (("encode", model.encode, "codes"), ("score", model.score, "scores")):
        found = served[name](inputs=tf.constant(VECTORS[:4]), labels=tf.constant(labels))[output]
        np.testing.assert_allclose(found, method(VECTORS[:4], labels), atol=1e-5)
        assert np.abs(found - method(VECTORS[:4], (labels + 1) % 3)).max() > 1e-4
    found = served["sample"](labels=tf.constant(labels), seed=tf.constant(4))["samples"]
    np.testing.assert_allclose(found, model.sample(4, y=labels, seed=4), atol=1e-6)
    with pytest.raises(InputError, match="conditional VariationalAutoencoder, which needs the class"):
        export.ServedModel(tmp_path / "name")


def test_files_of_a_conditional_model_take_labels_too(tmp_path, checkers):
    card = exported(dense_variational(condition=3), VECTORS, "onnx", tmp_path, checkers)
    assert list(card["endpoints"]["decode"]["inputs"]) == ["codes", "labels"]
    assert "random numbers" in card["left_out"]["sample"]


def test_a_model_that_infers_the_class_classifies(tmp_path, checkers):
    pair = networks.dense((5,), 2, (4,), posterior="gaussian", condition=3)
    classes, _ = networks.dense((5,), 3, (4,))
    model = models.SemiSupervisedVariationalAutoencoder(*pair, "bernoulli", pixel_max=15.0, classifier=classes)
    card = exported(model, VECTORS, "saved_model", tmp_path, checkers)
    assert list(card["endpoints"]["encode"]["inputs"]) == ["inputs"]
    assert list(card["endpoints"]["decode"]["inputs"]) == ["codes", "labels"]
    found = export.ServedModel(tmp_path / "name").predict(VECTORS)
    np.testing.assert_allclose(found, model.probabilities(VECTORS), atol=1e-6)


def test_samples_from_chains_are_left_out_and_said():
    machine = models.RestrictedBoltzmannMachine((5,), 3, "bernoulli", pixel_max=15.0)
    assert "sample" not in export.endpoints(machine) and "kerasae sample" in offers.unserved(machine)["sample"]


# ---- what does not work


@pytest.mark.parametrize(
    ("format", "module", "extra"), [("onnx", "tf2onnx", "onnx"), ("litert", "ai_edge_litert", "litert")]
)
def test_a_format_without_its_extra_is_refused(format, module, extra, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf'format: {module} is not installed; pip install "kerasae\[{extra}\]"'):
        export.save(dense_variational(), tmp_path / "name", format=format)
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_converted_is_left_out_or_refused(tmp_path):
    def fails_but_for(kept):
        def convert(name, endpoint):
            if name not in kept:
                raise ValueError("loc: error\nTF Select ops: Betainc\nDetails")
            return b"file", {"inputs": {}, "outputs": {}}

        return convert

    model = convolutional()
    described, left_out = portable.write_each(model, tmp_path / "some", "uint8", fails_but_for(["encode"]), ".onnx")
    assert list(described) == ["encode"] and (tmp_path / "some/encode.onnx").read_bytes() == b"file"
    assert left_out["score"] == "the format has no operation Betainc"
    with pytest.raises(InputError, match="no endpoint.*no operation Betainc.*SavedModel"):
        portable.write_each(model, tmp_path / "none", "uint8", fails_but_for([]), ".onnx")


def test_an_odd_file_fails_verification(tmp_path, checkers):
    (tmp_path / "encode.onnx").write_bytes(b"\x08\x07no model")
    with pytest.raises(export.ParityError, match="does not work without kerasae"):
        checkers["onnx"].ask(tmp_path, {"images/one": IMAGES})


def test_any_finite_difference_passes_where_eight_bits_have_no_tolerance():
    wanted = {"a/b/one": np.float32([1.0])}
    assert parity.compare(wanted, {"a/b/one": np.float32([9.0])}, None) == {"a/b/one": 8.0}
    with pytest.raises(export.ParityError, match="differs by nan.*tolerance=none"):
        parity.compare(wanted, {"a/b/one": np.float32([np.nan])}, None)


def test_other_runtimes_run_without_tensorflow(tmp_path):
    script = f"import sys; sys.argv = ['check.py', 'onnx']; exec(open({check.__file__!r}).read())"
    script += "\nassert 'onnxruntime' in sys.modules and 'tensorflow' not in sys.modules\nimport keras"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, input="", capture_output=True, text=True)
    assert "keras is out of reach" in done.stderr


@pytest.mark.parametrize("options", [{"format": "pickle"}, {"format": "litert-int8"}])
def test_formats_are_checked(options, tmp_path):
    with pytest.raises(InputError, match=r"Received: ('pickle'|None)"):
        export.save(dense_variational(), tmp_path / "name", **options)
    assert not any(tmp_path.iterdir())


# ---- the command


def test_the_command_writes_several_formats(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    labels = np.arange(6) % 3
    np.savez("data.npz", x_train=VECTORS, x_test=VECTORS[:4], y_train=labels, y_test=labels[:4])
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.json").write_text(json.dumps({"command": "finetune", "recipe": {"data": "npz:data.npz"}}))
    models.Classifier(networks.dense((5,), 2, (4,))[0], 3).save("run/model.keras")
    formats = ("onnx", "litert-int8")
    result = pipeline.run(pipeline.Recipe(run="run", format=formats))
    printed = capsys.readouterr().out
    differences = {"onnx_max_abs_diff", "litert_int8_max_abs_diff"}
    assert set(result.figures) == differences | {"float_accuracy", "litert_int8_accuracy"}
    assert result.path.name == "export-onnx-litert-int8"
    assert "accuracy on 4 test examples: litert-int8" in printed
    for format, file in zip(formats, ("encode.onnx", "encode.tflite"), strict=True):
        assert (tmp_path / f"saved_models/run-{format}" / file).is_file()
    for runtime in ("onnxruntime", "litert"):
        command = next(line for line in printed.splitlines() if runtime in line and line.startswith("python"))
        code = command.removeprefix('python -c "').removesuffix('"')
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0 and "[[" in done.stdout
    with pytest.raises(InputError, match="format: expected each once"):
        pipeline.Recipe(run="run", format=("onnx", "onnx"))


def test_one_format_goes_where_it_is_told():
    several = pipeline.Recipe(run="r", dest="d", format=("saved_model", "onnx"))
    assert pipeline.destinations(several) == {"saved_model": "d", "onnx": "d-onnx"}
    assert pipeline.destinations(pipeline.Recipe(run="r", dest="d", format=("litert",))) == {"litert": "d"}
    assert destination.FORMATS.keys() == {*pipeline.Recipe.__annotations__["format"].__args__[0].__args__}
