"""What no input may bring about: running code, taking memory that a file merely claims, writing through links."""

import hashlib
import io
import json
import os
import zipfile
from importlib import import_module

import cases
import h5py
import hostile
import hostile_files
import keras
import numpy as np
import pytest

import kerasae
from kerasae import saving
from kerasae.data import checks, load
from kerasae.errors import InputError
from kerasae.networks import sizes
from kerasae.training import checkpoint
from kerasae.training.loop import Plan, Progress
from pipelines.command_line import main as cli

TRAIN = ["train", "plain", "--epochs", "1", "--widths", "8", "--code", "2", "--holdout", "0", "--out", "run"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def begun(tmp_path):
    """A run directory with a recipe and a model, as a training leaves it, without the training."""
    (tmp_path / "run").mkdir()
    recipe = {"data": "digits", "out": "run", "seed": 0}
    (tmp_path / "run" / "recipe.json").write_text(json.dumps({"command": "train", "kerasae": "1", "recipe": recipe}))
    saved(tmp_path / "run" / "model.keras")
    return tmp_path / "run"


def saved(file):
    """A small model in a file, and its members."""
    model = kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), 2, (4,)), "bernoulli", 16)
    model.save(file, include_optimizer=False)
    return dict(hostile_files.members(file.read_bytes()))


def changed(file, **new):
    """The model's file with other bytes, or none, for some members (a dot is written as two underscores)."""
    found = {**saved(file), **{name.replace("__", "."): content for name, content in new.items()}}
    file.write_bytes(hostile_files.zipped([(name, content) for name, content in found.items() if content is not None]))


def configured(file, change):
    """The model's file with a changed configuration."""
    config = json.loads(saved(file)["config.json"])
    change(config)
    changed(file, config__json=json.dumps(config).encode())


def layer_of(config, kind="Dense"):
    """The first layer of that class in the encoder."""
    layers = config["config"]["encoder"]["config"]["layers"]
    return next(layer for layer in layers if layer["class_name"] == kind)


def refused(file, *words):
    with pytest.raises(InputError) as caught:
        saving.load_model(file)
    message = str(caught.value)
    assert message.startswith(f"{file} cannot be loaded") and all(word in message for word in words), message


# ---- models


@pytest.mark.parametrize("case", cases.MODELS, ids=lambda case: case.id)
def test_every_model_is_read_back_as_it_was(case, tmp_path):
    model = case.compile()
    model.save(tmp_path / "model.keras", include_optimizer=False)
    found = saving.load_model(tmp_path / "model.keras")
    assert type(found) is type(model) and not found.compiled
    assert all(map(np.array_equal, found.get_weights(), model.get_weights()))


def test_a_network_of_your_own_is_read_back(tmp_path):
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(2.0, -1.0)(x)[:, 1:] / 2 + 0.5
    x = keras.layers.SeparableConv2D(4, 3, activation=keras.activations.hard_swish, pointwise_regularizer="l2")(x)
    x = keras.layers.concatenate([keras.layers.BatchNormalization()(x), keras.ops.tanh(x)])
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5, "relu", kernel_constraint="non_neg")])
    encoder = keras.Model(inputs, inner(keras.layers.GlobalAveragePooling2D()(x)))
    model = kerasae.models.Autoencoder(encoder, kerasae.networks.dense((8, 8, 3), 5, ())[1])
    model.save(tmp_path / "model.keras", include_optimizer=False)
    assert all(map(np.array_equal, saving.load_model(tmp_path / "model.keras").get_weights(), model.get_weights()))


@pytest.mark.parametrize("number", range(len(hostile_files.lambdas("x"))))
def test_classes_that_run_code_or_read_files_are_refused_wherever_they_stand(number, tmp_path):
    bad, file = hostile_files.lambdas(tmp_path / "executed")[number], tmp_path / "model.keras"
    places = {
        "a layer": lambda config: config["config"]["encoder"]["config"]["layers"].append(bad),
        "an activation": lambda config: layer_of(config)["config"].update(activation=bad),
        "an argument": lambda config: config["config"].update(likelihood=bad),
        "nowhere that is read": lambda config: config.update(build_config={"x": [bad]}),
    }
    for change in places.values():
        configured(file, change)
        refused(file, bad["class_name"], "nothing of it was run")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("units", [10**3, 10**9])
def test_a_configuration_that_asks_for_more_weights_than_the_file_has(units, tmp_path, monkeypatch):
    file = tmp_path / "model.keras"

    def grow(config):
        for layer in config["config"]["encoder"]["config"]["layers"]:
            layer.pop("build_config", None)  # the shapes that the layers were built for
        layer_of(config)["config"].update(units=units)

    configured(file, grow)
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", lambda *args, **options: pytest.fail("made"))
    refused(file, "bytes of weights")


def test_archives_that_are_no_model(tmp_path):
    file = tmp_path / "model.keras"
    changed(file, assets__x=b"x")
    refused(file, "expected an archive of", "assets.x")
    changed(file, metadata__json=None)
    refused(file, "expected an archive of")
    file.write_bytes(hostile_files.zipped(saved(file).items(), zipfile.ZIP_DEFLATED))
    refused(file, "compressed")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(file)
    refused(file, "Sequential", "no model of kerasae")
    changed(file, config__json=b"[" * 100_000)
    refused(file)
    changed(file, config__json=b"[]")
    refused(file)


def test_weights_that_claim_memory_or_are_no_numbers(tmp_path):
    file = tmp_path / "model.keras"
    for spoil, words in ((claim, "claim"), (spoilt, "NaN")):
        stream = io.BytesIO(saved(file)["model.weights.h5"])
        with h5py.File(stream, "r+") as content:
            names = []
            content.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)  # noqa: B023
            spoil(content, names[0])
        changed(file, model__weights__h5=stream.getvalue())
        refused(file, words)


def claim(content, name):
    """An array of a tebibyte in a few bytes."""
    del content[name]
    content.create_dataset(name, (2**38,), "f4", chunks=(2**20,), compression="gzip")


def spoilt(content, name):
    content[name][...] = np.nan


# ---- the size of what is trained


def test_networks_too_large_for_the_machine_are_refused_before_they_are_made(mistake, monkeypatch):
    monkeypatch.setattr(checks, "_physical_memory", lambda: 2**30)
    assert "memory" in mistake(*TRAIN[:4], "--widths", "2147483647")
    assert "memory" in mistake("mae", "--patch", "2", "--width", "65536", "--heads", "4")
    assert "memory" in mistake("stacked", "--widths", "2147483647", "--no-tied")
    assert "up to 1000" in mistake("mae", "--patch", "2", "--depth", "1000000")
    assert "2147483647" in mistake("train", "plain", "--epochs", "1" + "0" * 30)


def test_what_is_refused_leaves_nothing_to_be_made_later():
    def refuse(size):
        raise InputError(f"{size}")

    with pytest.raises(InputError, match="4000000024000000000"):
        sizes.checked(lambda: kerasae.networks.dense((4,), 10**9, (10**9,))[0], refuse)
    with keras.StatelessScope():
        pass
    assert sizes.checked(lambda: kerasae.networks.dense((4,), 2, ()), lambda size: None)[0].count_params() == 10


def test_no_memory_is_one_line(mistake, monkeypatch):
    def full(*args, **options):
        raise MemoryError("Unable to allocate 4 TiB")

    monkeypatch.setattr(kerasae.data, "load", full)
    assert "Unable to allocate" in mistake(*TRAIN)


# ---- checkpoints


def written(folder, body):
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256(body).hexdigest().encode()
    (folder / "step-000000001.npz").write_bytes(digest + b"\n" + body)
    return checkpoint.Checkpoints(folder)


def test_checkpoints_that_agree_with_their_checksum_and_are_none(tmp_path):
    model = kerasae.models.Autoencoder(*kerasae.networks.dense((3,), 2, ()))
    model.compile("adam")
    variables = checkpoint.state_variables(model)
    arrays = dict(zip(checkpoint.keys(variables), map(np.asarray, variables), strict=True))
    first = next(iter(arrays))
    progress = np.frombuffer(json.dumps({"step": 1, "written_by": kerasae.__version__}).encode(), "u1")
    objects = np.array([hostile_files.Executed(tmp_path / "executed")])
    compressed = io.BytesIO()
    np.savez_compressed(compressed, progress=progress, **arrays)
    bodies = [
        compressed.getvalue(),
        hostile_files.npz(progress=progress, **{**arrays, first: objects}),
        hostile_files.npz(progress=progress, **{**arrays, first: arrays[first].astype("U9")}),
        hostile_files.npz(progress=np.frombuffer(b"[1]", "u1"), **arrays),
        hostile_files.npz(**arrays),
        hostile_files.npy(arrays[first]),
        b"",
    ]
    for body in bodies:
        kept = written(tmp_path / "kept", body)
        assert kept.restore(model) is None and len(kept.damaged) == 1
    assert not (tmp_path / "executed").exists()
    assert written(tmp_path / "kept", hostile_files.npz(progress=progress, **arrays)).restore(model) == {"step": 1}


def test_a_progress_that_this_training_cannot_have_come_to():
    plan = Plan(epochs=3, steps_per_epoch=10)
    good = [{}, {"step": 29, "epoch": 2, "best": 0.5}, {"step": 30, "epoch": 3, "done": True}]
    bad = [{"step": 10**18}, {"step": "1"}, {"step": 10}, {"step": -1}]
    bad += [{"epoch": 4, "step": 40}, {"best": "x"}, {"done": 1}]
    assert all(Progress(**values).fits(plan) for values in good)
    assert not any(Progress(**values).fits(plan) for values in bad)


def test_a_checkpoint_with_another_progress_stops_the_training(mistake, tmp_path):
    assert cli.main(TRAIN) == 0
    (file,) = tmp_path.glob("run/checkpoints/train/step-*.npz")
    other = {"step": 99999999, "surprise": 1, "written_by": kerasae.__version__}
    members = dict(hostile_files.members(file.read_bytes().partition(b"\n")[2]))
    members["progress.npy"] = hostile_files.npy(np.frombuffer(json.dumps(other).encode(), "u1"))
    written(file.parent, hostile_files.zipped(members.items()))
    (file.parent / "step-000000001.npz").replace(file)
    assert "another training" in mistake(*TRAIN)


# ---- run directories


@pytest.mark.parametrize("name", [".recipe.json.tmp", "evaluate", "checkpoints", "pictures"])
def test_links_that_lead_out_of_a_run_are_not_followed(name, mistake, begun, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    goal = tmp_path / "elsewhere" / ("file" if name.endswith("tmp") else "")
    (begun / name).symlink_to(goal)
    assert name in mistake("evaluate", "run")
    assert name in mistake("evaluate", "run", "--data", "digits")
    assert name in mistake(*TRAIN)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_atomic_writing_does_not_write_through_a_link(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / ".x.tmp").symlink_to(tmp_path / "precious")
    checkpoint.write_atomic(tmp_path / "x", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_link_inside_the_run_is_fine(begun):
    (begun / "model.keras").rename(begun / "other.keras")
    (begun / "model.keras").symlink_to("other.keras")
    assert cli.main(["evaluate", "run"]) == 0


@pytest.mark.parametrize("name", ["recipe.json", "model.keras", "metrics.csv", "summary.json"])
def test_pipes_are_not_waited_for(name, begun, capfd):
    (begun / name).unlink(missing_ok=True)
    os.mkfifo(begun / name)
    assert cli.main(["report", "run"]) == (2 if name == "recipe.json" else 0)
    assert "Traceback" not in capfd.readouterr().err


ODD = [("data", 5), ("data_dir", ["x"]), ("image_size", 5), ("image_size", ["x"]), ("repeats", "x"), ("run", {})]


@pytest.mark.parametrize(("name", "value"), ODD)
def test_recipes_with_values_of_another_kind(name, value, mistake, begun):
    content = json.loads((begun / "recipe.json").read_text())
    content["recipe"][name] = value
    (begun / "recipe.json").write_text(json.dumps(content))
    for command in ("evaluate", "report", "export"):
        assert f"{name}: expected" in mistake(command, "run")


@pytest.mark.parametrize("text", ["{", "[1]", "5", "[" * 100_000, "\udcff"])
def test_a_damaged_summary(text, mistake, begun):
    (begun / "summary.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "summary.json" in mistake("export", "run")
    assert cli.main(["report", "run"]) == 0


@pytest.mark.parametrize(
    "text",
    [b"stage,epoch\ntrain\n", b"stage\ntrain,1\n", b"stage,epoch\ntrain,x\n", b"\xff\xfe", b"a\n" + b"x" * 200_000],
)
def test_damaged_metrics_are_not_written_over(text, mistake, begun):
    recipe = vars(import_module("pipelines.train").Recipe())
    (begun / "recipe.json").write_text(json.dumps({"command": "train", "recipe": recipe}))
    (begun / "metrics.csv").write_bytes(text)
    assert "metrics.csv" in mistake("train", "plain", "--out", "run")
    assert (begun / "metrics.csv").read_bytes() == text


# ---- data and text


def test_npz_members_that_are_no_arrays_or_claim_too_much(mistake, tmp_path):
    for content in (
        b"no array",
        hostile_files.header("(99999999999999999999, 4)"),
        hostile_files.header("(4, 4)", "'|O'"),
    ):
        name = "x_train.npy" if content.startswith(b"\x93") else "x_train"
        (tmp_path / "data.npz").write_bytes(hostile_files.zipped([(name, content)]))
        assert "data.npz cannot be read" in mistake("train", "plain", "--data", "npz:data.npz")


@pytest.mark.parametrize("kind", ["png", "gif", "jpeg", "bmp"])
def test_pictures_that_promise_too_much(kind, mistake, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / f"x.{kind}").write_bytes(hostile.bombs(30_000)[kind])
    assert f"x.{kind}" in mistake("train", "plain", "--data", "folder:pictures")


def test_data_sets_whose_code_would_be_run(tmp_path):
    with pytest.raises(InputError, match="namespace"):
        load("tfds:somebody:mnist")
    (tmp_path / "executed.py").write_text("raise SystemExit('executed')")
    for key in ("pythonClassName", "python_class_name", "type"):
        folder = tmp_path / "tfds" / "mnist" / "3.0.1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "features.json").write_text(json.dumps({"a": [{key: "executed.Feature"}]}))
        with pytest.raises(InputError, match="executed.Feature"):
            load("tfds:mnist", data_dir=tmp_path / "tfds")


def test_text_from_files_does_not_steer_the_terminal(mistake):
    line = mistake("train", "plain", "--data", "npz:\x1b[31m\x07")
    assert "\x1b" not in line and "\\x1b[31m\\x07" in line
