"""Tables of figures from runs, of directories that hold what a run leaves for others."""

import csv
import json

import pytest

from kerasae.errors import InputError
from kerasae.runs import compare
from pipelines.command_line import main as cli


def write(path, name, content):
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(json.dumps(content))


@pytest.fixture
def shelf_of_runs(tmp_path):
    """A maker of finished runs: writes recipe, data record and summary."""

    def make(name, figures, command="stacked", data="digits", fingerprint="a", **recipe):
        path = tmp_path / name
        write(path, "recipe.json", {"command": command, "recipe": {"data": data, "out": str(path), **recipe}})
        record = {"data": data, "fingerprint": fingerprint, "counts": {"train": 9}, "class_names": None}
        write(path, "data.json", record)
        write(path, "summary.json", figures)
        return path

    return make


def cells(table):
    """The rows of a table by name, as they are printed."""
    lines = [line.strip("| ").split(" | ") for line in table.markdown().splitlines() if line.startswith("| ")]
    return {name: values for name, *values in lines}


def test_runs_that_differ_in_the_seed_are_one_row(shelf_of_runs):
    paths = [
        shelf_of_runs(
            f"{variant}-{seed}", {"probe_accuracy": score, "note": "text"}, variant=variant, seed=seed, **more
        )
        for variant, more, scores in (
            ("plain", {"options": {}}, (0.90, 0.92, 0.97)),
            ("contractive", {"options": {"contraction_weight": 3.0}}, (0.95,)),
        )
        for seed, score in enumerate(scores)
    ]
    table = compare(paths)
    # The mean of 0.90, 0.92 and 0.97 is 0.93; deviations −0.03, −0.01, 0.04: √(0.0026 / 2) = 0.03606.
    assert cells(table) == {
        "run": ["repeated", "probe_accuracy"],
        "stacked plain": ["3 seeds", "0.93 ± 0.036"],
        "stacked contractive, contraction weight 3.0": ["once", "0.95"],
    }
    assert table.rows[0].figures["probe_accuracy"] == pytest.approx((0.93, 0.0013**0.5))
    assert "seeds" in table.notes()[0] and len(table.notes()) == 1


def test_the_repeats_of_one_run_are_its_spread_and_seeds_come_first(shelf_of_runs):
    """Large numbers keep all digits before the point."""
    figures = {"probe_accuracy": 0.9, "probe_accuracy_std": 0.01, "test_examples": 12345}
    one = shelf_of_runs("one", figures, variant="plain", repeats=5, seed=0)
    other = shelf_of_runs("other", figures | {"probe_accuracy": 0.8}, variant="plain", repeats=5, seed=1)
    assert cells(compare([one]))["stacked plain"] == ["5 repeats", "0.9 ± 0.01", "12345"]
    assert cells(compare([one, other]))["stacked plain"] == ["2 seeds × 5 repeats", "0.85 ± 0.071", "12345 ± 0"]


def test_runs_inside_runs_are_grouped_by_what_they_start_from(shelf_of_runs):
    paths = []
    for variant, scores in {"plain": (0.7, 0.9), "denoising": (0.8, 0.8)}.items():
        for seed, score in enumerate(scores):
            outer = f"{variant}-{seed}"
            shelf_of_runs(outer, {"test_mse": 1.0}, variant=variant, seed=seed)
            run = {"command": "finetune", "run": "runs/moved", "seed": 0, "labels": 100}
            paths.append(shelf_of_runs(f"{outer}/finetune-100", {"finetune_accuracy": score}, **run))
    assert cells(compare(paths)) == {
        "run": ["repeated", "finetune_accuracy"],
        "finetune of stacked plain": ["2 seeds", "0.8 ± 0.14"],
        "finetune of stacked denoising": ["2 seeds", "0.8 ± 0"],
    }


def test_baselines_stand_once_where_they_agree_and_apart_where_not(shelf_of_runs):
    """Those of runs inside a run count as its own only if it repeats their figures."""
    paths = []
    for variant, scratch in {"plain": 0.6, "denoising": 0.6, "k-sparse": 0.5}.items():
        figures = {"probe_accuracy": 0.8, "finetune_accuracy": 0.9, "scratch_accuracy": scratch}
        paths.append(shelf_of_runs(variant, figures, variant=variant))
        shelf_of_runs(f"{variant}/probe-9", {"probe_accuracy": 0.8, "raw_svm_accuracy": 0.7}, command="probe")
        shelf_of_runs(f"{variant}/probe-99", {"probe_accuracy": 0.85, "raw_probe_accuracy": 0.75}, command="probe")
    assert cells(compare(paths)) == {
        "run": ["repeated", "probe_accuracy", "finetune_accuracy"],
        **{f"stacked {name}": ["once", "0.8", "0.9"] for name in ("plain", "denoising", "k-sparse")},
        "same network from scratch, same steps (stacked plain; stacked denoising)": ["once", "–", "0.6"],
        "same network from scratch, same steps (stacked k-sparse)": ["once", "–", "0.5"],
        "raw input, support vector machine": ["once", "0.7", "–"],
    }
    only = cells(compare(paths[:2], ["finetune_accuracy", "scratch_accuracy"]))
    assert only["stacked plain"] == ["once", "0.9", "0.6"] and only["raw input, support vector machine"][1] == "0.7"


def test_runs_on_other_data_are_marked(shelf_of_runs):
    paths = [shelf_of_runs(name, {"mse": 1.0}, variant="plain", fingerprint=name) for name in ("here", "there")]
    gone = shelf_of_runs("gone", {"mse": 1.0}, variant="sparse")
    (gone / "data.json").unlink()
    table = compare([*paths, gone])
    assert [row.data for row in table.rows] == ["same", "other", "unknown"]
    here, there, _ = list(cells(table))[1:]
    assert here.startswith("stacked plain (") and there.endswith("there) [other data]")
    assert "not comparable" in table.notes()[-1]


def test_a_row_is_named_by_what_most_others_do_not_do(shelf_of_runs):
    """Which controls were measured beside a run is no part of its name."""
    usual = {"tied": True, "widths": [8, 4], "scratch": False}
    settings = [
        {"variant": "plain", **usual, "scratch": True},
        {"variant": "denoising", **usual},
        {"variant": "plain", **usual, "tied": False, "widths": [9]},
    ]
    paths = [shelf_of_runs(str(i), {"mse": 1.0}, **given) for i, given in enumerate(settings)]
    assert list(cells(compare(paths)))[1:] == ["stacked plain", "stacked denoising", "stacked plain, no tied, widths 9"]


def test_runs_without_figures_are_refused(shelf_of_runs, tmp_path):
    run = shelf_of_runs("run", {"mse": 1.0, "verdict": "good", "flag": True})
    unfinished = shelf_of_runs("unfinished", {"verdict": "good"})
    other = shelf_of_runs("other", {"nats": 2.0}, variant="sparse")
    for paths, words in [
        ([run, unfinished], "unfinished has no figures"),
        ([run, run], "different run directories"),
        ([], "Received: none"),
        (["\0"], "not a run directory"),
        ([run, other], "share none; name some of mse, nats"),
        ([tmp_path / "nowhere"], "not a run directory"),
    ]:
        with pytest.raises(InputError, match=words):
            compare(paths)
    with pytest.raises(InputError, match="no run has 'flag'; they have: mse"):
        compare([run], ["flag"])
    assert cells(compare([run, other], ["nats"]))["stacked"] == ["once", "–"]
    assert cells(compare([run, other], ["nats"]))["stacked sparse"] == ["once", "2"]


def test_the_command_prints_and_writes(shelf_of_runs, tmp_path, capfd, mistake):
    run = shelf_of_runs("run", {"mse": 0.123456}, variant="a|b\x1b[1m")
    for name in ("table.md", "table.csv"):
        assert cli.main(["compare", str(run), "--to", str(tmp_path / name)]) == 0
        assert "| stacked a\\|b\\x1b[1m | once | 0.1235 |" in capfd.readouterr().out
    with open(tmp_path / "table.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {"run": "stacked a|b\x1b[1m", "repeated": "once", "data": "same", "mse": "0.123456", "mse_std": ""}
    assert (tmp_path / "table.md").read_text().startswith("| run | repeated | mse |\n|---|---|---|\n")
    assert ".md or .csv" in mistake("compare", run, "--to", tmp_path / "table.txt")
