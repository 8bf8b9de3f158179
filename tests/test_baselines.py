"""What the same labels give without pretraining: baselines, their comparison with features, and its words."""

import csv
import json
import shlex
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import kerasae
from kerasae import evaluate, runs
from kerasae.errors import InputError
from kerasae.evaluate import convnet
from pipelines import finetune, mae, probe, stacked, train
from pipelines.command_line import main
from pipelines.labels import baselines, causes, table

RNG = np.random.default_rng(0)


# ---- the baselines


def test_raw_input_is_divided_and_shrunk_by_averaging():
    x = RNG.integers(0, 256, (3, 64, 32, 2)).astype("uint8")
    blocks = x.reshape(3, 32, 2, 16, 2, 2).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(evaluate.raw_input(x, 255.0), blocks.reshape(3, -1), rtol=1e-5)
    np.testing.assert_allclose(evaluate.raw_input(x[:, :8, :8], 255.0), x[:, :8, :8].reshape(3, -1) / 255, rtol=1e-6)
    floats = RNG.normal(size=(4, 5)).astype("float32")
    np.testing.assert_array_equal(evaluate.raw_input(floats, 255.0), floats)


def test_principal_components_are_those_of_the_singular_value_decomposition():
    x, other = RNG.normal(size=(30, 6)) * [5, 3, 2, 1, 1, 1], RNG.normal(size=(4, 6))
    mean = x.mean(axis=0)
    axes = np.linalg.svd(x - mean)[2][:2]
    (found,) = evaluate.principal_components(x, other, count=2)
    np.testing.assert_allclose(np.abs(found), np.abs((other - mean) @ axes.T), rtol=1e-4)
    assert evaluate.principal_components(x, other, count=99)[0].shape == (4, 6)


def test_support_vectors_are_those_of_scikit_learn():
    x, y = RNG.normal(size=(60, 4)), np.arange(60) % 3
    x += y[:, None]
    scaler = StandardScaler().fit(x[:40])
    expected = SVC().fit(scaler.transform(x[:40]), y[:40]).predict(scaler.transform(x[40:]))
    found = evaluate.support_vectors(x[:40], y[:40], x[40:], y[40:])
    np.testing.assert_array_equal(found.predictions, expected)
    assert found.accuracy == np.mean(expected == y[40:]) and "40 labels" in found.protocol


def test_the_convolutional_network_learns_digits_and_repeats_itself():
    digits = kerasae.data.load("digits")
    few = digits.train.subset(kerasae.data.balanced_subset(digits.train.labels, 200, 0))
    first, again = (evaluate.convolutional_baseline(few, digits.test, 10, 16.0, steps=150) for _ in range(2))
    assert first.accuracy > 0.85 and "200 labels, 150 steps of 64 shifted images" in first.protocol
    np.testing.assert_array_equal(first.predictions, again.predictions)
    with pytest.raises(InputError, match="expected images"):
        vectors = kerasae.data.Split.of(np.zeros((4, 3), "float32"), np.array([0, 1, 0, 1]))
        evaluate.convolutional_baseline(vectors, vectors, 2, 1.0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (2, 40, 3), (100, 70, 1), (1, 1, 2)])
def test_the_convolutional_network_takes_images_of_any_size(shape):
    model = evaluate.small_convnet(shape, 3, 255.0)
    assert model(np.zeros((2, *shape), "uint8")).shape == (2, 3)


# ---- what features are worth


def test_worth_is_the_mean_of_the_differences_from_the_best_baseline():
    features = {"linear": [0.8, 0.9, 0.85], "knn": [0.7, 0.7, 0.7]}
    others = {"raw": [0.7, 0.8, 0.81], "majority": [0.1, 0.1, 0.1]}
    found = evaluate.worth_of(features, others)
    differences = np.array([10.0, 10.0, 4.0])
    assert (found.best, found.baseline, found.repeats) == ("linear", "raw", 3)
    assert found.points == pytest.approx(differences.mean()) and found.spread == pytest.approx(differences.std(ddof=1))
    assert found.pays and found.sentence().startswith("Pretraining pays: linear 85.0 %, 8.0 ± 3.5 points above")
    assert not evaluate.worth_of({"a": [0.8, 0.9]}, {"b": [0.9, 0.75]}).pays, "within the spread"
    assert "worth nothing here" in evaluate.worth_of({"a": [0.5]}, {"b": [0.6]}).sentence()
    assert "10.0 points below" in evaluate.worth_of({"a": [0.5]}, {"b": [0.6]}).sentence()
    with pytest.raises(InputError, match="of the same repeats"):
        evaluate.worth_of({"a": [0.5]}, {"b": [0.6, 0.7]})


def test_balanced_accuracy_stands_where_classes_are_unequal():
    labels = np.array([0] * 9 + [1] * 3)
    result = evaluate.most_frequent_class(labels, labels)
    row = table.row("most frequent class", "baseline", (), 12, [result], labels)
    assert row["accuracy"] == 0.75 and row["balanced_accuracy"] == balanced_accuracy_score(labels, [0] * 12) == 0.5
    assert "balanced" in table.spell([row])
    even = table.row("majority", "baseline", (), 12, [evaluate.most_frequent_class(labels[6:], labels[6:])], labels[6:])
    assert even["balanced_accuracy"] == "" and "balanced" not in table.spell([even])


# ---- why they were worth nothing


@pytest.fixture
def pretrained(tmp_path):
    """A function that writes the files of a run with these losses and this error."""

    def made(losses, command="train", **summary):
        recipe = {"variant": "plain", "data": "digits", "epochs": len(losses)}
        (tmp_path / "recipe.json").write_text(json.dumps({"command": command, "recipe": recipe}))
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        with open(tmp_path / "metrics.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("stage", "epoch", "loss"), *(("train", i + 1, x) for i, x in enumerate(losses))])
        return tmp_path

    return made


FLAT, FALLING = [5.0, 3.0] + [2.0] * 18, list(np.linspace(5.0, 2.0, 20))


@pytest.mark.parametrize(
    ("losses", "facts", "trained", "says"),
    [
        (
            FALLING,
            {},
            0.9,
            "still falling when training ended; train longer: kerasae train plain --data digits --out",
        ),
        (FLAT, {"test_mse": 0.5}, 0.9, "no better than that of the mean image"),
        (
            FLAT,
            {"test_mse": 0.01},
            1.0,
            "The probe fits all its training labels; fine-tune the encoder too: kerasae finetune",
        ),
        (FLAT, {"command": "mae"}, 0.9, "1,437 images are few for a masked autoencoder"),
        (FLAT, {}, 0.9, "No known cause applies; give more labels"),
        (FLAT, {}, None, "features pay most where labels are fewest"),
        (FLAT[:3], {}, 0.9, "It trained for 3 epochs only"),
    ],
)
def test_the_cause_is_named_with_the_command_to_try(losses, facts, trained, says, pretrained):
    source, worthless = kerasae.data.load("digits"), evaluate.worth_of({"a": [0.5]}, {"b": [0.6]})
    assert says in causes.verdict(worthless, pretrained(losses, **facts), source, 20, trained)
    paying = evaluate.worth_of({"a": [0.8]}, {"b": [0.6]})
    assert causes.verdict(paying, pretrained(losses, **facts), source, 20, trained) == paying.sentence()


@pytest.mark.parametrize(
    "recipe",
    [
        mae.Recipe(data="folder:my photos", network="vgg", patch=(8,), flip=False, minutes=16.5, mean=(0.25, 0.5, 0.5)),
        stacked.Recipe(widths=(8, 4), variant="sparse", tied=False, pretrain_epochs=3, out="runs/a b"),
        train.Recipe(variant="variational", options={"beta": 4.0}, network="conv", filters=(8, 16), epochs=7),
        train.Recipe(variant="sparse", options={"penalty": "l1", "sparsity_weight": 0.5}),
    ],
    ids=["mae", "stacked", "train", "words"],
)
def test_the_command_of_a_run_gives_its_recipe(recipe, monkeypatch):
    recorded = {"command": type(recipe).__module__.rpartition(".")[2], "recipe": json.loads(json.dumps(asdict(recipe)))}
    words = shlex.split(causes.command(recorded))
    monkeypatch.setattr(main, "execute", lambda run, found: found)
    assert words[0] == "kerasae" and main.parse(words[1:])() == recipe


def test_training_longer_takes_the_minutes_that_were_given():
    recipe = {"command": "mae", "recipe": {"data": "digits", "network": "vgg", "minutes": 5.5, "epochs": 8}}
    assert causes.longer("runs/a", recipe) == (
        "kerasae mae --data digits --out runs/a-longer --network vgg --minutes 16.5"
    )


# ---- the commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run of an untrained autoencoder of digits."""
    path = tmp_path_factory.mktemp("run")
    pair = kerasae.networks.dense((8, 8, 1), 8, (16,))
    kerasae.models.Autoencoder(*pair, pixel_max=16.0).save(path / "model.keras")
    (path / "recipe.json").write_text(
        json.dumps({"command": "train", "recipe": {"variant": "plain", "data": "digits"}})
    )
    return path


@pytest.fixture
def short(monkeypatch):
    """Few steps of the convolutional network."""
    monkeypatch.setattr(convnet, "STEPS", 5)


def test_a_label_curve_shows_every_baseline_and_keeps_them(trained, short, tmp_path, monkeypatch, capsys):
    recipe = probe.Recipe(run=str(trained), labels=(10, 20), repeats=2, out=str(tmp_path / "a"))
    figures = probe.run(recipe).figures
    rows = runs.read_rows(tmp_path / "a" / "probes.csv")
    shown = [name for name in evaluate.BASELINES if name != "start_probe"]  # it began from nothing
    names = ["linear", "knn", *map(evaluate.BASELINES.get, shown)]
    assert [(row["probe"], row["labels"]) for row in rows] == [(n, c) for c in ("10", "20") for n in names]
    untrained = next(row for row in rows if row["probe"].startswith("untrained"))
    assert "8 standardised features of random weights" in untrained["protocol"]
    assert {"labels_10_probe_accuracy_std", "labels_20_convnet_accuracy", "labels_20_probe_verdict"} <= set(figures)
    best = max(figures[f"labels_20_{n}_accuracy"] for n in shown)
    ours = max(figures[f"labels_20_{n}_accuracy"] for n in ("probe", "knn"))
    assert figures["labels_20_probe_worth_points"] == pytest.approx(100 * (ours - best))
    assert "20 labels: Pretraining is worth" in capsys.readouterr().out
    monkeypatch.setattr(evaluate, "convolutional_baseline", lambda *a: pytest.fail("it was kept"))
    assert probe.run(probe.Recipe(**{**vars(recipe), "out": str(tmp_path / "b")})).figures == figures


def test_fine_tuning_ends_where_there_are_too_many_labels_for_baselines(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(baselines, "MOST_LABELS", 10)
    recipe = finetune.Recipe(run=str(trained), labels=20, finetune_epochs=1, scratch=False, out=str(tmp_path / "f"))
    assert set(finetune.run(recipe).figures) == {"finetune_accuracy"}
    assert "finetune_accuracy" in capsys.readouterr().out


def test_a_probe_that_is_named_twice_is_fitted_once(trained, tmp_path):
    twice = {"probes": ("linear", "linear"), "labels": (20,), "baselines": False}
    assert set(probe.run(probe.Recipe(run=str(trained), **twice, out=str(tmp_path / "p"))).figures) == {
        "probe_accuracy"
    }


def test_fine_tuning_stands_beside_its_control_and_the_baselines(trained, short, tmp_path, capsys):
    recipe = finetune.Recipe(run=str(trained), labels=20, finetune_epochs=2, out=str(tmp_path / "f"))
    figures = finetune.run(recipe).figures
    rows = runs.read_rows(tmp_path / "f" / "probes.csv")
    assert [row["probe"] for row in rows[:2]] == ["fine-tuning", "same network from scratch, same steps"]
    assert [row["kind"] for row in rows] == ["features"] + ["baseline"] * (len(rows) - 1)
    others = [float(row["accuracy"]) for row in rows[1:]]
    expected = 100 * (figures["finetune_accuracy"] - max(others))
    assert figures["finetune_worth_points"] == pytest.approx(expected)
    assert figures["finetune_verdict"] in capsys.readouterr().out
