"""Runs of `train` and `stacked` that go on from the weights of another run of the same variant and network."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.models import catalogue
from pipelines import probe, stacked, train
from pipelines.building import going_on

SMALL = {"code": 3, "network": "conv", "filters": (4,), "batch_size": 500, "epochs": 1}
STACK = {"widths": (6, 4), "pretrain_epochs": 1, "pretrain_batch": 500, "supervised": False}


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """A run of a β-VAE with networks of its own sizes."""
    out = str(tmp_path_factory.mktemp("vae") / "run")
    return train.run(train.Recipe(variant="variational", options={"beta": 4.0}, **SMALL, out=out)).path


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A run of two stacked layers."""
    return stacked.run(stacked.Recipe(**STACK, out=str(tmp_path_factory.mktemp("stack") / "run"))).path


def going_on_from(start, out, **changes):
    """A recipe that says nothing of the network."""
    given = {"variant": "variational", "batch_size": 500, "epochs": 1, "start": str(start), "out": str(out)}
    return train.Recipe(**{**given, **changes})


def weights(path):
    return [np.array(w) for w in going_on.learned(kerasae.saving.load_model(path))]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_training_goes_on_from_the_weights_and_keeps_them_for_the_probe(vae, tmp_path, monkeypatch, capsys):
    out = train.run(going_on_from(vae, tmp_path / "next", learning_rate=0.01)).path
    assert f"started from {vae}\n" in capsys.readouterr().out
    assert same(weights(out / "start.keras"), weights(vae / "model.keras"))
    assert not same(weights(out / "model.keras"), weights(vae / "model.keras"))
    content = runs.read_recipe(out)
    assert content["origin"] == runs.fingerprint(runs.load_model(vae))
    assert (content["recipe"]["network"], content["recipe"]["filters"], content["recipe"]["code"]) == ("conv", [4], 3)
    monkeypatch.setattr(kerasae.evaluate.convnet, "STEPS", 2)
    found = probe.run(probe.Recipe(run=str(out), labels=(20,), out=str(tmp_path / "p"))).figures
    features = [kerasae.evaluate.features(runs.load_model(vae), part) for part in labelled_and_test()]
    train_y, test_y = (part.labels for part in labelled_and_test())
    expected = kerasae.evaluate.linear_probe(features[0], train_y, features[1], test_y).accuracy
    assert found["start_probe_accuracy"] == pytest.approx(expected)


def labelled_and_test():
    source = kerasae.data.load("digits")
    return source.train.subset(kerasae.data.balanced_subset(source.train.labels, 20, 0)), source.test


def test_the_same_command_resumes_and_other_weights_are_refused(vae, tmp_path):
    recipe = going_on_from(vae, tmp_path / "next")
    first = weights(train.run(recipe).path / "model.keras")
    assert same(weights(train.run(recipe).path / "model.keras"), first)
    other = train.run(train.Recipe(variant="variational", **SMALL, seed=1, out=str(tmp_path / "other"))).path
    with pytest.raises(InputError, match="start"):
        train.run(replace(recipe, start=str(other)))


def test_a_run_that_went_on_can_be_gone_on_from(vae, tmp_path):
    second = train.run(going_on_from(vae, tmp_path / "second")).path
    third = train.run(going_on_from(second, tmp_path / "third")).path
    assert same(weights(third / "start.keras"), weights(second / "model.keras"))


def test_options_are_those_of_the_weights_unless_others_are_given(vae, tmp_path):
    kept = train.run(going_on_from(vae, tmp_path / "kept")).path
    assert float(runs.load_model(kept).beta) == 4.0
    changed = train.run(going_on_from(vae, tmp_path / "changed", options={"beta": 0.5})).path
    assert float(kerasae.saving.load_model(changed / "start.keras").beta) == 0.5
    assert same(weights(changed / "start.keras"), weights(vae / "model.keras"))


def test_half_precision_starts_from_the_same_weights(vae, tmp_path):
    out = train.run(going_on_from(vae, tmp_path / "half", precision="bfloat16")).path
    assert same(weights(out / "start.keras"), weights(vae / "model.keras"))
    assert kerasae.saving.load_model(out / "start.keras").dtype_policy.name == "float32"


def test_a_file_alone_goes_on_in_the_network_that_is_described(vae, tmp_path):
    file = (tmp_path / "alone.keras").resolve()
    file.write_bytes((vae / "model.keras").read_bytes())
    out = train.run(going_on_from(file, tmp_path / "next", network="conv", filters=(4,), code=3)).path
    assert same(weights(out / "start.keras"), weights(file))
    with pytest.raises(InputError, match=r"another network: .*describe the network"):
        train.run(going_on_from(file, tmp_path / "more", network="conv", filters=(5,), code=3))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"variant": "plain"}, "variant: .* is 'variational', not 'plain'"),
        ({"code": 5}, "code: the weights of .* decide it; leave it out"),
        ({"network": "convnext"}, "network: the weights of .* decide it"),
        ({"start": "weights.pth"}, "import it first: kerasae weights import weights.pth"),
        ({"start": "nothing"}, "nothing"),
        ({"image_size": (4,), "data": "folder:pictures"}, r"examples \(8, 8, 1\), not \(4, 4, 1\): .*give examples"),
    ],
)
def test_what_contradicts_the_weights_is_refused_before_anything_is_written(changes, says, vae, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for i in range(12):
        Image.fromarray(np.full((6, 6), 20 * i, "uint8")).save(tmp_path / "pictures" / f"{i}.png")
    with pytest.raises(InputError, match=says):
        train.run(replace(going_on_from(vae, tmp_path / "run"), **changes))
    assert not (tmp_path / "run").exists()


def test_sizes_that_agree_may_be_repeated(vae, tmp_path):
    out = train.run(going_on_from(vae, tmp_path / "next", network="conv", code=3)).path
    assert same(weights(out / "start.keras"), weights(vae / "model.keras"))


def test_runs_of_other_commands_are_no_start(vae, stack, tmp_path):
    with pytest.raises(InputError, match="expected a run of `train`. Received: .*, a run of `stacked`"):
        train.run(going_on_from(stack, tmp_path / "run"))
    with pytest.raises(InputError, match="expected a run of `stacked`. Received: .*, a run of `train`"):
        stacked.run(stacked.Recipe(**STACK, start=str(vae), out=str(tmp_path / "run")))
    file = tmp_path / "vae.keras"
    file.write_bytes((vae / "model.keras").read_bytes())
    with pytest.raises(InputError, match="expected a StackedAutoencoder. Received: .*, a VariationalAutoencoder"):
        stacked.run(stacked.Recipe(**STACK, start=str(file), out=str(tmp_path / "run")))


@pytest.mark.parametrize(
    ("name", "value"),
    [("code", "many"), ("code", True), ("filters", ["a"]), ("filters", 4), ("activation", "evil"), ("options", [1])],
)
def test_a_recipe_of_a_stranger_is_checked(name, value, vae, tmp_path):
    content = json.loads((vae / "recipe.json").read_text())
    content["recipe"][name] = value
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "recipe.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"recipe.json: {name}: expected a value such as"):
        train.run(going_on_from(tmp_path / "theirs", tmp_path / "run"))


def test_a_stack_goes_on_layer_by_layer(stack, tmp_path):
    recipe = stacked.Recipe(start=str(stack), pretrain_epochs=1, supervised=False, out=str(tmp_path / "next"))
    out = stacked.run(recipe).path
    assert same(weights(out / "start.keras"), weights(stack / "model.keras"))
    # One step at a rate of nearly nothing: what is trained are these weights, not new ones.
    still = {"pretrain_rate": 1e-9, "out": str(tmp_path / "still")}
    out = stacked.run(replace(recipe, **still)).path
    for mine, theirs in zip(weights(out / "model.keras"), weights(stack / "model.keras"), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_a_stack_of_other_layers_is_refused(stack, tmp_path):
    with pytest.raises(InputError, match="widths: the weights of .* decide it"):
        stacked.run(stacked.Recipe(start=str(stack), widths=(6, 5), supervised=False, out=str(tmp_path / "x")))
    file = tmp_path / "stack.keras"
    file.write_bytes((stack / "model.keras").read_bytes())
    for changes in ({"widths": (6,)}, {"variant": "plain"}):
        recipe = stacked.Recipe(**{**STACK, **changes}, start=str(file), out=str(tmp_path / "x"))
        with pytest.raises(InputError, match="a stack of DenoisingAutoencoder, DenoisingAutoencoder; give its variant"):
            stacked.run(recipe)
    assert not (tmp_path / "x").exists()


def info_of(shape):
    """Facts of data of a shape, in [0, 1], of two classes."""
    return kerasae.data.Info("data", shape, "float32", 1.0, {}, ("no", "yes"))


NETWORKS = {"recurrent": {"network": "lstm", "widths": (4,)}}
SHAPES = {"recurrent": (8, 2), "autorec": (12,)}


@pytest.mark.parametrize("variant", catalogue.trained())
def test_the_weights_of_every_variant_are_copied_whole(variant, tmp_path):
    """What the copy computes is what the origin computed; both have been built from other random numbers."""
    shape = SHAPES.get(variant, (8, 8, 1))
    recipe = train.Recipe(variant=variant, code=3, **NETWORKS.get(variant, {"widths": (5,)}))
    info = info_of(shape)
    keras.utils.set_random_seed(1)
    train.build(recipe, info).save(tmp_path / "m.keras")
    origin = kerasae.saving.load_model(tmp_path / "m.keras")
    keras.utils.set_random_seed(2)
    model = train.build(recipe, info)
    x = np.random.default_rng(0).integers(0, 2, (4, *shape)).astype("float32")
    assert not np.array_equal(model.encode(x), origin.encode(x))
    going_on.copy(origin, model, "m.keras")
    given = (x, np.array([0, 1, 1, 0])) if model.needs_condition else (x,)
    np.testing.assert_array_equal(model.encode(*given), origin.encode(*given))
    np.testing.assert_array_equal(model.reconstruct(*given), origin.reconstruct(*given))
    assert same(map(np.array, going_on.learned(model)), map(np.array, going_on.learned(origin)))


def test_sequences_of_another_length_go_on_as_they_are():
    """No weight of a recurrent network depends on the number of steps."""
    recipe = train.Recipe(variant="recurrent", network="lstm", widths=(4,), code=3)
    origin, model = (train.build(recipe, info_of((steps, 2))) for steps in (8, 5))
    going_on.copy(origin, model, "run")
    x = np.random.default_rng(0).random((2, 5, 2), "float32")
    padded = np.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=np.nan)
    np.testing.assert_allclose(model.encode(x), origin.encode(padded), rtol=1e-5)
