"""The pipelines on a few real digits: what they write, that they resume, and how they answer mistakes."""

import csv
import dataclasses
import json
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.runs.progress_bar import ProgressBar
from kerasae.training.loop import Interrupted
from pipelines import evaluate, finetune, probe, stacked, train
from pipelines.command_line import main as cli
from pipelines.labels import table


@pytest.fixture(scope="module")
def small_digits(tmp_path_factory):
    """A hundred real digits as an npz file, so that the pipelines take seconds."""
    source = kerasae.data.load("digits")
    rows = kerasae.data.balanced_subset(source.train.labels, 120, 0)
    x, y = source.train.subset(rows).arrays()
    x_test, y_test = source.test.arrays()
    file = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(file, x_train=x * 15, y_train=y, x_test=x_test[:60] * 15, y_test=y_test[:60])
    return f"npz:{file}"


def stack(data, out, **changes):
    recipe = stacked.Recipe(
        baselines=False,
        data=data,
        out=str(out),
        widths=(24, 12),
        pretrain_epochs=2,
        pretrain_batch=30,
        joint_epochs=1,
        labels=40,
        finetune_epochs=2,
        finetune_batch=20,
        finetune_min_steps=1,
    )
    return replace(recipe, **changes)


@pytest.fixture(scope="module")
def stacked_run(small_digits, tmp_path_factory):
    return stacked.run(stack(small_digits, tmp_path_factory.mktemp("runs") / "stacked"))


@pytest.fixture(scope="module")
def vae_run(small_digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "vae"
    recipe = train.Recipe(
        variant="variational",
        options={"beta": 0.5},
        network="conv",
        filters=(4,),
        code=3,
        data=small_digits,
        out=str(out),
        epochs=2,
        keep_best=True,
    )
    return train.run(recipe)


def test_a_run_directory_holds_the_truth(stacked_run):
    path = stacked_run.path
    recipe = json.loads((path / "recipe.json").read_text())
    assert recipe["command"] == "stacked" and recipe["recipe"]["widths"] == [24, 12]
    with open(path / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    stages = [(row["stage"], row["epoch"]) for row in rows]
    assert stages == [("layer-1", "1"), ("layer-1", "2"), ("layer-2", "1"), ("layer-2", "2"), ("joint", "1")]
    assert all(float(row["examples_per_second"]) > 0 for row in rows)
    summary = json.loads((path / "summary.json").read_text())
    assert {"probe_accuracy", "finetune_accuracy", "scratch_accuracy"} <= set(summary)
    assert all(isinstance(value, int | float) for value in summary.values())
    assert any((path / "tensorboard").rglob("events.*"))
    model = runs.load_model(path)
    assert model.code_shape == (12,)
    assert isinstance(runs.load_model(path / "finetune-40"), kerasae.models.Classifier)


def test_greedy_layers_see_the_codes_below(small_digits, tmp_path, monkeypatch):
    """Layer 2 is trained on what the trained layer 1 encodes, and the stack encodes through both."""
    seen, train_layer = [], stacked.train_layer

    def spy(directory, stage, layer, split, recipe):
        train_layer(directory, stage, layer, split, recipe)
        seen.append((layer, split.arrays()[0]))

    monkeypatch.setattr(stacked, "train_layer", spy)
    directory = stacked.run(stack(small_digits, tmp_path / "run", supervised=False, joint_epochs=0))
    (lower, x), (upper, codes) = seen
    np.testing.assert_allclose(codes, lower.encode(x), rtol=1e-5, atol=1e-6)
    model = runs.load_model(directory.path)
    np.testing.assert_allclose(model.encode(x), upper.encode(codes), rtol=1e-5, atol=1e-6)


def test_finetuning_starts_from_the_pretrained_weights_and_the_control_does_not(stacked_run, small_digits):
    model, source = runs.load_model(stacked_run.path), kerasae.data.load(small_digits)
    recipe = finetune.Recipe(run=str(stacked_run.path), data=small_digits)
    tuned, control = (finetune.build(model, source, recipe, 0, fresh=fresh) for fresh in (False, True))
    pretrained = model.feature_encoder().get_weights()
    for a, b in zip(pretrained, tuned.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(pretrained[0], control.encoder.get_weights()[0])
    assert [w.shape for w in tuned.weights] == [w.shape for w in control.weights]


def test_labels_beyond_the_subset_are_never_used(small_digits, monkeypatch):
    source = kerasae.data.load(small_digits)
    recipe = finetune.Recipe(run="", labels=40, holdout=0.25)
    kept, held = finetune.labelled_splits(source.train, recipe, seed=3)
    assert len(kept) == 30 and len(held) == 10
    assert not {tuple(x.ravel()) for x in kept.arrays()[0]} & {tuple(x.ravel()) for x in held.arrays()[0]}
    np.testing.assert_array_equal(np.bincount(held.labels), 1)


def test_train_probe_and_evaluate_a_vae(vae_run):
    assert runs.load_model(vae_run.path).beta == 0.5
    probed = probe.run(probe.Recipe(run=str(vae_run.path), labels=(40,), repeats=2, baselines=False)).figures
    assert 0.0 <= probed["probe_accuracy"] <= 1.0 and "probe_accuracy_std" in probed
    figures = evaluate.run(evaluate.Recipe(run=str(vae_run.path), samples=20, generated=0)).figures
    assert figures["cross_entropy_bound_mean"] <= figures["negative_elbo"]
    assert figures["cross_entropy_bound_standard_error"] > 0


def test_some_test_examples_are_drawn_at_random(small_digits):
    """Data are often sorted by class; the first of them would be of one."""
    split = kerasae.data.load(small_digits).test
    split = split.subset(np.argsort(split.labels))
    asked = evaluate.Recipe(run="", examples=20)
    some, again, others = (evaluate.drawn(split, r) for r in (asked, asked, dataclasses.replace(asked, seed=1)))
    assert len(np.unique(some.labels)) > 3 and len(some) == 20
    np.testing.assert_array_equal(some.arrays()[0], again.arrays()[0])
    assert not np.array_equal(some.arrays()[0], others.arrays()[0])
    assert evaluate.drawn(split, evaluate.Recipe(run="")) is split


@pytest.fixture
def masked_run(small_digits, tmp_path):
    """The run of an untrained masked autoencoder."""
    pair = kerasae.networks.vit((8, 8, 1), 2, width=8, depth=1, heads=2, decoder_width=4, decoder_heads=1)
    kerasae.models.MaskedAutoencoder(*pair, pixel_max=255.0).save(tmp_path / "model.keras")
    (tmp_path / "recipe.json").write_text(json.dumps({"command": "mae", "recipe": {"data": small_digits}}))
    return tmp_path


def test_all_probes_stand_in_one_table_with_their_protocols(masked_run, capsys):
    recipe = probe.Recipe(
        run=str(masked_run),
        probes=("attentive", "knn", "linear", "sgd", "svm"),
        labels=(40,),
        repeats=2,
        sgd_batch=16,
        baselines=False,
    )
    probed = probe.run(recipe)
    assert probed.path.name == "probe-40-attentive-knn-linear-sgd-svm"
    rows = runs.read_rows(probed.path / "probes.csv")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split("  ")[0] == "probe" and len({line.index("test acc") for line in printed[:1]}) == 1
    summary = json.loads((probed.path / "summary.json").read_text())
    names = {"attentive": "attentive", "knn": "knn", "linear": "probe", "sgd": "sgd_probe", "svm": "svm_probe"}
    assert set(summary) == {f"{name}_accuracy{end}" for name in names.values() for end in ("", "_std")}
    for line, found, name in zip(printed[1:], rows, names, strict=False):
        assert found["probe"] == name == line.split()[0] and found["labels"] == "40" and found["repeats"] == "2"
        accuracy, spread = (summary[f"{names[name]}_accuracy{end}"] for end in ("", "_std"))
        assert float(found["accuracy"]) == accuracy and float(found["accuracy_std"]) == spread
        assert f"{100 * accuracy:.2f} ± {100 * spread:.2f} %" in line and line.endswith(found["protocol"])
        assert "40 labels" in found["protocol"]
    assert rows[0]["features"] == "17 × 8" and {row["features"] for row in rows[1:]} == {"8"}
    assert "in 500 steps of 40" in rows[0]["protocol"] and "in 1000 steps of 16" in rows[3]["protocol"]


def test_attentive_probe_needs_tokens(vae_run, tmp_path):
    out = tmp_path / "probe"
    with pytest.raises(InputError, match="tokens of a vision transformer.*VariationalAutoencoder"):
        probe.run(probe.Recipe(run=str(vae_run.path), probes=("linear", "attentive"), out=str(out)))
    assert not out.exists()


def test_protocols_that_differ_in_a_word_are_one_line():
    lines = ["C=1 chosen of 6, 40 labels", "C=0.1 chosen of 6, 40 labels", "C=1 chosen of 6, 40 labels"]
    assert table.common(lines) == "C=1/C=0.1 chosen of 6, 40 labels"
    assert table.common(["a b", "c"]) == "a b; or c" and table.common(["a b"]) == "a b"


def test_evaluate_prints_the_confusion_matrix(stacked_run, capsys):
    figures = evaluate.run(evaluate.Recipe(run=str(stacked_run.path / "finetune-40"))).figures
    assert figures["accuracy"] == pytest.approx(1 - figures["error"])
    stored = json.loads((stacked_run.path / "finetune-40" / "evaluate" / "confusion.json").read_text())
    matrix = np.array(stored["matrix"])
    assert matrix.sum() == 60 and np.trace(matrix) / 60 == pytest.approx(figures["accuracy"])
    assert "confusion matrix" in capsys.readouterr().out


def test_the_same_command_resumes_and_ends_the_same(small_digits, tmp_path, monkeypatch):
    """Ctrl-C inside layer 2; the repeated command ends with the weights of a run that was never stopped."""
    options = {"supervised": False, "pretrain_epochs": 3}
    whole = stacked.run(stack(small_digits, tmp_path / "whole", **options))
    fit = runs.Run.fit

    def stop_in_layer_2(self, stage, *args, **kwargs):
        if stage == "layer-2":
            monkeypatch.setattr(
                "kerasae.runs.progress_bar.ProgressBar.show", lambda *a: os.kill(os.getpid(), signal.SIGINT)
            )
        return fit(self, stage, *args, **kwargs)

    monkeypatch.setattr(runs.Run, "fit", stop_in_layer_2)
    with pytest.raises(Interrupted):
        stacked.run(stack(small_digits, tmp_path / "cut", **options))
    monkeypatch.undo()
    resumed = stacked.run(stack(small_digits, tmp_path / "cut", **options))
    a, b = (runs.load_model(directory.path).get_weights() for directory in (whole, resumed))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    stages = [[(r["stage"], int(r["epoch"])) for r in directory.rows] for directory in (whole, resumed)]
    assert stages[0] == stages[1]


def test_another_recipe_in_the_same_directory_is_refused_with_the_difference(stacked_run, small_digits):
    with pytest.raises(InputError, match=r"pretrain_epochs 2 there, 7 here"):
        stacked.run(stack(small_digits, stacked_run.path, pretrain_epochs=7))
    with pytest.raises(InputError, match="a run of `stacked`"):
        train.run(train.Recipe(data=small_digits, out=str(stacked_run.path)))


def test_a_folder_that_is_no_run_is_left_alone(small_digits, tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="not a run directory"):
        train.run(train.Recipe(data=small_digits, out=str(tmp_path)))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": 4000}, "4000"),
        ({"labels": 3}, "from 10 to 120"),
        ({"variant": "denosing"}, "did you mean 'denoising'"),
        ({"corruption_level": (1.5,)}, r"rate must be in \[0, 1\)"),
        ({"widths": (0,)}, "from 1 up"),
    ],
)
def test_mistakes_in_a_recipe(changes, message, small_digits, tmp_path):
    with pytest.raises(InputError, match=message):
        stacked.run(stack(small_digits, tmp_path / "run", **changes))


def test_the_initializer_of_a_recipe_reaches_the_network(small_digits):
    """By the bound of uniform first weights, of 64 inputs and 50 units before a rectifier."""
    info = kerasae.data.load(small_digits).info
    shared = {"variant": "plain", "data": small_digits, "out": "none", "widths": (50,), "code": 5}
    for initializer, bound in (("fan_in", np.sqrt(6 / 64)), ("glorot_uniform", np.sqrt(6 / 114))):
        model = train.build(train.Recipe(**shared, initializer=initializer), info)
        assert 0.98 * bound < np.abs(model.encoder.layers[2].kernel).max() <= bound


def test_conv_on_vectors_says_why(tmp_path):
    np.savez(tmp_path / "vectors.npz", x_train=np.random.default_rng(0).random((40, 6), "float32"))
    recipe = train.Recipe(network="conv", data=f"npz:{tmp_path / 'vectors.npz'}", out=str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"conv: shape must be \(T, D\) or \(H, W, C\)"):
        train.run(recipe)


def test_labels_missing_where_needed(vae_run, tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((40, 8, 8), "uint8"))
    with pytest.raises(InputError, match="label"):
        probe.run(probe.Recipe(run=str(vae_run.path), data=f"npz:{tmp_path / 'x.npz'}", out=str(tmp_path / "p")))


def test_data_of_another_shape_than_the_model_takes(stacked_run, tmp_path):
    x, y = np.zeros((40, 9, 9), "uint8"), np.arange(40) % 2
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    recipe = finetune.Recipe(run=str(stacked_run.path), data=f"npz:{tmp_path / 'x.npz'}", out=str(tmp_path / "f"))
    with pytest.raises(InputError, match=r"\(8, 8, 1\).*\(9, 9, 1\)"):
        finetune.run(recipe)


def test_an_interrupt_at_the_very_end_of_a_stage_stops_the_pipeline(small_digits, tmp_path, monkeypatch):
    """Ctrl-C during the last steps of layer 1: layer 2 must not begin."""
    show = ProgressBar.show

    def interrupt(self, progress, wait):
        show(self, progress, wait)
        if progress.step == self.plan.epochs * self.plan.steps_per_epoch:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "show", interrupt)
    with pytest.raises(Interrupted):
        stacked.run(stack(small_digits, tmp_path / "run", supervised=False))
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["layer-1"]


def test_a_run_stopped_in_its_first_epoch_is_not_continued_under_another_recipe(small_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(ProgressBar, "show", lambda *a: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted):
        stacked.run(stack(small_digits, tmp_path / "run", pretrain_epochs=3, supervised=False))
    monkeypatch.undo()
    with pytest.raises(InputError, match="seed 0 there, 7 here"):
        stacked.run(stack(small_digits, tmp_path / "run", pretrain_epochs=3, supervised=False, seed=7))


@pytest.mark.parametrize("variant", ["variational", "adversarial"])
def test_layers_with_unbounded_codes_are_not_reconstructed_by_cross_entropy(variant, small_digits):
    recipe = stack(small_digits, "unused", variant=variant)
    source = kerasae.data.load(small_digits)
    lower, upper = (stacked.build_layer(i, 12, shape, source, recipe) for i, shape in ((1, (8, 8, 1)), (2, (12,))))
    assert isinstance(lower.likelihood, kerasae.distributions.Bernoulli)
    assert isinstance(upper.likelihood, kerasae.distributions.Gaussian)
    codes = np.asarray(lower.encode(np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1)).astype("uint8")))
    assert codes.min() < 0 or codes.max() > 1


def test_a_damaged_best_epoch_stops_instead_of_passing_off_the_last(small_digits, tmp_path):
    recipe = train.Recipe(data=small_digits, out=str(tmp_path / "run"), code=2, widths=(8,), epochs=2, keep_best=True)
    train.run(recipe)
    model = (tmp_path / "run" / "model.keras").read_bytes()
    for file in (tmp_path / "run" / "checkpoints" / "train" / "best").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="best epoch are damaged"):
        train.run(recipe)
    assert (tmp_path / "run" / "model.keras").read_bytes() == model


def test_data_of_their_own_do_not_inherit_how_the_run_read_its_data(vae_run, small_digits):
    recipe = probe.Recipe(run=str(vae_run.path), data="digits", data_dir=None).resolved()
    assert recipe.data == "digits" and recipe.image_size is None and not recipe.skip_broken
    assert probe.Recipe(run=str(vae_run.path)).resolved().data == small_digits


# ---- a class of a user's own

OWN = """
import keras
from kerasae.models import VariationalAutoencoder


@keras.saving.register_keras_serializable("mine")
class MyAutoencoder(VariationalAutoencoder):
    def __init__(self, encoder, decoder, beta=0.25, **kwargs):
        super().__init__(encoder, decoder, beta=beta, **kwargs)


class Unregistered(VariationalAutoencoder):
    pass
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module in the working directory, which the import path does not name."""
    (tmp_path / "my_module.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "my_module"
    sys.modules.pop("my_module", None)


def test_a_class_of_a_users_own_is_trained_by_the_command(own_module, small_digits, tmp_path):
    import keras

    flags = f"--data {small_digits} --code 3 --widths 8 --epochs 1 --options.speed 0.1"
    assert cli.main(f"train my_module:MyAutoencoder {flags}".split()) == 2  # it has no such argument
    assert cli.main(f"train my_module:MyAutoencoder {flags.rpartition(' --')[0]}".split()) == 0
    model = keras.saving.load_model(tmp_path / "runs" / "MyAutoencoder" / "model.keras")
    assert type(model).__name__ == "MyAutoencoder" and model.beta == 0.25 and model.code_shape == (3,)
    assert model.encoder.output_shape[-1] == 6, "the mean and the log-variance of the class's posterior"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_module:Absent", "MODULE:CLASS to import.*no attribute 'Absent'"),
        ("absent:MyAutoencoder", "MODULE:CLASS to import.*No module named 'absent'"),
        ("my_module:keras", "not a subclass of kerasae.models.Autoencoder"),
        ("my_module:Unregistered", "register_keras_serializable"),
    ],
)
def test_what_is_no_class_to_train_says_why(name, message, own_module, small_digits):
    with pytest.raises(InputError, match=message):
        train.run(train.Recipe(variant=name, data=small_digits))
