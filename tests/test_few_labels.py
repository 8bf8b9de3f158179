"""`kerasae train` with a few labels: what the model sees of them, what is measured, what is refused."""

import csv
import json
import types

import numpy as np
import pytest

import kerasae
from kerasae.data import Split
from kerasae.errors import InputError
from pipelines import evaluate, predict, train
from pipelines.labels import partly


def settings(**changes):
    given = {"labels": 6, "labelled_share": 0.5, "seed": 3, "variant": "semi-supervised", "network": "dense"}
    return types.SimpleNamespace(**{**given, **changes})


def test_only_the_chosen_labels_are_seen_and_they_make_their_share():
    y = np.arange(60) % 3
    y[:9] = -1  # never known
    x = np.arange(60, dtype="float32")[:, None]
    training, held = partly.split(Split.of(x, y), Split.of(x[:12], y[:12]), settings())
    seen, labels = training.arrays()
    known = labels >= 0
    chosen = np.unique(seen[known])
    assert len(chosen) == 6 and np.all(chosen >= 9)
    np.testing.assert_array_equal(labels[known], seen[known, 0] % 3)
    assert np.bincount(chosen.astype(int) % 3).tolist() == [2, 2, 2]
    assert sorted(seen[~known, 0]) == sorted(set(range(60)) - set(chosen))  # all others once
    assert np.mean(known) == pytest.approx(0.5, abs=0.02)
    assert np.all(held.labels == -1)
    again, _ = partly.split(Split.of(x, y), None, settings())
    np.testing.assert_array_equal(again.labels, training.labels)
    other, _ = partly.split(Split.of(x, y), None, settings(seed=4))
    assert set(other.arrays()[0][other.labels >= 0, 0]) != set(chosen)


def test_all_labels_are_used_once_where_none_are_counted():
    y = np.arange(20) % 2
    training, _ = partly.split(Split.of(np.zeros((20, 1), "float32"), y), None, settings(labels=None))
    assert len(training) == 20 and np.all(np.sort(training.labels) == np.sort(y))


def recipe(out, variant="semi-supervised", **changes):
    given = {"out": str(out), "variant": variant, "labels": 100, "epochs": 2, "code": 4, "widths": (16,)}
    return train.Recipe(**{**given, "batch_size": 200, **changes})


def test_the_run_measures_the_inferred_classes_beside_raw_pixels(tmp_path, capsys):
    run = train.run(recipe(tmp_path / "run", batch_size=50, epochs=6, learning_rate=5e-3))
    figures = json.loads((tmp_path / "run" / "summary.json").read_text())
    source = kerasae.data.load("digits")
    model = kerasae.runs.load_model(run.path)
    x, y = source.test.arrays()
    assert figures["test_accuracy"] == np.mean(np.asarray(model.probabilities(x)).argmax(1) == y) > 0.5
    rows = partly.known_rows(train.splits(source, run.recipe)[0], run.recipe)
    known = train.splits(source, run.recipe)[0].subset(rows)
    probe = kerasae.evaluate.linear_probe(*known.arrays(), x, y)
    assert figures["raw_probe_accuracy"] == pytest.approx(probe.accuracy, abs=1e-6) and figures["labels"] == 100
    assert f"kerasae probe {tmp_path / 'run'} --labels 100 --seed 0" in capsys.readouterr().out
    measured = evaluate.run(evaluate.Recipe(run=str(run.path)))
    assert measured.figures["accuracy"] == pytest.approx(figures["test_accuracy"])
    np.savez(tmp_path / "some.npz", x_test=x[:5], x_train=x[:5])
    predict.run(predict.Recipe(model=str(run.path), inputs=(str(tmp_path / "some.npz"),), to=str(tmp_path / "a.csv")))
    with open(tmp_path / "a.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows[:5]] == [str(c) for c in np.asarray(model.probabilities(x[:5])).argmax(1)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "plain"}, "labels: has no effect on plain"),
        ({"network": "convnext", "widths": (512,)}, "takes dense or conv"),
        ({"data": "onehot:8", "labels": None}, "learns one class per example"),
        ({"labels": 5}, "labels"),
    ],
)
def test_mistakes_are_refused_before_training(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        train.run(recipe(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_unlabelled_examples_are_measured_and_encoded_by_the_inferred_class():
    info, (x, y) = kerasae.data.load("digits").info, kerasae.data.load("digits").test.arrays()
    model = train.build(recipe("unused"), info)
    partly_labelled = Split.of(x, np.where(np.arange(len(y)) % 2, y, -1))
    expected = np.square(np.asarray(model.reconstruct(x)) - x / 16).mean(dtype="float64")
    for split in (partly_labelled, Split.of(x, y)):  # no known class leaks into a code
        assert kerasae.evaluate.reconstruction_error(model, split)["mse"] == pytest.approx(expected, rel=1e-5)
        codes = np.concatenate(list(kerasae.evaluate.embedded(model, split)))
        np.testing.assert_allclose(codes, model.encode(x), rtol=1e-4, atol=1e-5)


def test_a_condition_is_given_to_the_decoder_alone_by_the_supervised_adversarial_autoencoder(tmp_path):
    run = train.run(recipe(tmp_path / "run", "adversarial", labels=None, conditional=True))
    model = kerasae.runs.load_model(run.path)
    assert len(model.encoder.inputs) == 1 and model.condition_width == 10
    x, y = kerasae.data.load("digits").test.arrays()
    expected = np.square(np.asarray(model.reconstruct(x, y)) - x / 16).mean(dtype="float64")
    assert run.figures["test_mse"] == pytest.approx(expected, rel=1e-5)
