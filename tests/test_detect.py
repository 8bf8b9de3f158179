"""`kerasae detect`, from one class of digits, a table and a recording to predictions, and what it refuses."""

import csv
import io
import json

import numpy as np
import pytest

import kerasae
from kerasae import data
from kerasae.errors import InputError
from pipelines.command_line import main as cli

TRAIN = "train plain --epochs 1 --widths 8 --code 2 --holdout 0"


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def said(capsys, *tokens):
    """The status of a command, and what it printed on each stream."""
    capsys.readouterr()
    status = cli.main([str(token) for token in tokens])
    return status, *capsys.readouterr()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of one class of digits, and a detector inside."""
    place = tmp_path_factory.mktemp("detect")
    run = str(place / "run")
    assert cli.main([*TRAIN.split(), "--only-class", "3", "--out", run]) == 0
    assert cli.main(["detect", run, "--score", "neighbours", "--contamination", "0.1"]) == 0
    return place


def test_one_class_is_learned_a_tenth_held_out_and_the_test_part_keeps_all():
    whole = data.load("digits")
    found = data.only_class(whole, "3")
    for part in ("train", "validation"):
        assert set(found.splits[part].labels) == {3}
    both = np.concatenate([found.splits[part].rows for part in ("train", "validation")])
    assert sorted(both) == sorted(whole.train.rows[whole.train.labels == 3])
    np.testing.assert_array_equal(found.test.labels, whole.test.labels)


def test_numbers_are_standardised_by_the_normal_class(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    np.savez(tmp_path / "x.npz", x_train=x, y_train=np.arange(40) % 2, x_test=x, y_test=np.arange(40) % 2)
    found = data.only_class(data.load(f"npz:{tmp_path / 'x.npz'}"), "1")
    np.testing.assert_allclose(found.info.mean, found.train.arrays()[0].mean(axis=0), rtol=1e-5)


def test_the_run_has_the_threshold_of_examples_that_training_has_not_seen(place):
    model = kerasae.runs.load_model(place / "run" / "detect-neighbours")
    held = data.only_class(data.load("digits"), "3").splits["validation"].arrays()[0]
    scores = np.sort(model.score(held))
    assert model.calibration.threshold == scores[int(np.ceil(0.9 * (len(held) + 1))) - 1]
    figures = json.loads((place / "run" / "detect-neighbours" / "summary.json").read_text())
    assert {"auroc", "pca_error_auroc", "nearest_raw_auroc", "one_class_svm_auroc", "threshold"} <= set(figures)
    assert (place / "run" / "detect-neighbours" / "heat_maps.png").stat().st_size > 1000


def test_run_and_export_predict_the_same_scores_and_anomalies(place, capsys):
    x = data.load("digits").test.arrays()[0][:6]
    np.savez(place / "some.npz", x_test=x)
    run, export = place / "run" / "detect-neighbours", place / "exported"
    assert cli.main(["export", str(run), str(export)]) == 0
    table, served = (rows(said(capsys, "predict", path, place / "some.npz")[1]) for path in (run, export))
    assert [row["anomaly"] for row in table] == [row["anomaly"] for row in served]
    model = kerasae.runs.load_model(run)
    expected = model.detect(x)
    np.testing.assert_allclose([float(row["score"]) for row in table], expected["scores"], rtol=1e-5)
    assert [row["anomaly"] == "yes" for row in table] == np.asarray(expected["anomalies"]).tolist()
    written = rows((run / "scores.csv").read_text())[:6]
    assert [row["anomaly"] for row in written] == [row["anomaly"] for row in table]


def test_labels_choose_the_threshold_by_training_examples_of_other_classes(place, capsys):
    out = place / "f1"
    assert cli.main(["detect", str(place / "run"), "--threshold-by", "f1", "--no-baselines", "--out", str(out)]) == 0
    source = data.load("digits")
    model = kerasae.runs.load_model(out)
    held = data.only_class(source, "3").splits["validation"]
    alarms = (np.asarray(model.score(held.arrays()[0])) > model.calibration.threshold).sum()
    assert (model.calibration.alarms, model.calibration.examples) == (alarms, len(held))


def test_a_recording_has_scores_of_its_points(tmp_path):
    t = np.arange(600, dtype="float32")
    np.savez(tmp_path / "wave.npz", x=np.sin(t / 3))
    run = str(tmp_path / "run")
    flags = ["--data", f"series:{tmp_path / 'wave.npz'}", "--window", "12", "--step", "6", "--holdout", "0.2"]
    assert cli.main([*TRAIN.split()[:-2], *flags, "--out", run]) == 0
    assert cli.main(["detect", run, "--score", "squared", "--contamination", "0.1"]) == 0
    written = rows((tmp_path / "run" / "detect-squared" / "points.csv").read_text())
    assert [int(row["sample"]) for row in written] == list(range(480, 600))
    model, test = kerasae.runs.load_model(f"{run}/detect-squared"), np.sin(t[480:492] / 3)[None, :, None]
    first = np.asarray(model.error_map(test.astype("float32")))[0, :6, 0]
    np.testing.assert_allclose([float(row["score"]) for row in written[:6]], first, rtol=1e-4)


def test_a_table_names_the_columns_that_contribute(tmp_path):
    random = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{c:.3f},{'bad' if i % 3 == 0 else 'good'}"
             for i, (a, b, c) in enumerate(random.normal(size=(200, 3)))]  # fmt: skip
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,state", *lines]) + "\n")
    run = str(tmp_path / "run")
    flags = ["--data", f"table:{tmp_path / 't.csv'}", "--target", "state", "--only-class", "good"]
    assert cli.main([*TRAIN.split(), *flags, "--out", run]) == 0
    assert cli.main(["detect", run, "--contamination", "0.1", "--no-baselines"]) == 0
    written = rows((tmp_path / "run" / "detect-reconstruction" / "scores.csv").read_text())
    assert all(sorted(row["columns"].split(";")) == ["a", "b", "c"] for row in written)
    assert {row["labelled_anomaly"] for row in written} == {"yes", "no"}


MISTAKES = [
    ("detect {run} --out {place}/a", "needs at least 99 normal examples"),
    ("detect {run} --contamination 0 --out {place}/a", "contamination: expected a share above 0"),
    ("detect {run} --score bound --out {place}/a", "posterior, which Autoencoder does not have"),
    ("detect {run} --score masked --out {place}/a", "needs a masked autoencoder"),
    ("detect {run}/detect-neighbours", "holds a detector"),
    ("evaluate {run}/detect-neighbours", "holds a detector"),
    ("train plain --only-class llama --out {place}/a", "only_class: expected a class of digits"),
    ("train plain --data onehot:8 --only-class 1 --out {place}/a", "only_class: expected a class of onehot:8"),
    ("predict {place}/uncalibrated {place}/x.npz", "never calibrated"),
    ("export {place}/uncalibrated {place}/nowhere", "never calibrated"),
]


@pytest.mark.parametrize(("tokens", "message"), MISTAKES)
def test_mistakes_are_one_line_and_status_2(tokens, message, place, capsys):
    if "uncalibrated" in tokens and not (place / "uncalibrated").exists():
        np.savez(place / "x.npz", x_test=data.load("digits").test.arrays()[0][:1])
        bare = f"detect {place}/run --no-calibrate --no-baselines --out {place}/uncalibrated"
        assert cli.main(bare.split()) == 0
    status, _, errors = said(capsys, *tokens.format(run=place / "run", place=place).split())
    assert status == 2 and message in errors and errors.strip().count("\n") == 0


def test_a_run_that_held_nothing_out_has_no_threshold(place, capsys):
    run = place / "whole"
    assert cli.main([*TRAIN.split(), "--out", str(run)]) == 0
    status, _, errors = said(capsys, "detect", run)
    assert status == 2 and "this run held none out" in errors


def test_only_class_refuses_too_few_examples(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.eye(3, dtype="float32"), y_train=[0, 1, 1])
    with pytest.raises(InputError, match="at least 2 training examples"):
        data.only_class(data.load(f"npz:{tmp_path / 'x.npz'}"), "0")
