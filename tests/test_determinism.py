"""Two runs from one seed end with the same bits; a run records what it ran on."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae import runs
from kerasae.runs import environment
from pipelines import train

ROOT = Path(__file__).parents[1]


@pytest.fixture(
    scope="module",
    params=[("mae", "finetune"), pytest.param(("train", "stacked"), marks=pytest.mark.slow)],
    ids="-".join,
)
def twice(request, tmp_path_factory):
    """What two processes at the same time made of the same recipes; each hashes its words in another order."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    options = {"env": {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": paths}, "text": True}
    script = str(ROOT / "tests" / "deterministic_runs.py")
    started = [
        subprocess.Popen(
            [sys.executable, script, str(tmp_path_factory.mktemp("runs")), *request.param],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=600) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended[0][1][-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in ended]


def test_two_runs_from_one_seed_are_the_same_to_the_bit(twice):
    assert all(found.pop("deterministic") for found in twice)
    for name in twice[0]:
        first, second = (found[name] for found in twice)
        assert first["weights"] == second["weights"], name
        assert first["rows"] == second["rows"] and len(first["rows"]) >= 2, name
        assert all(float(row["gradient_norm"]) > 0 for row in first["rows"]), name


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    x = np.random.default_rng(0).random((60, 6)).astype("float32")
    file = tmp_path_factory.mktemp("data") / "x.npz"
    np.savez(file, x_train=x, x_test=x[:10])
    return train.Recipe(data=f"npz:{file}", code=2, widths=(4,), epochs=1, batch_size=20, holdout=0.0)


def test_another_seed_gives_other_weights(recipe, tmp_path):
    trained = [train.run(replace(recipe, seed=seed, out=str(tmp_path / str(seed)))) for seed in (0, 1)]
    kernels = [runs.load_model(r.path).get_weights()[0] for r in trained]
    assert not np.allclose(*kernels)


# ---- what a run records


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    return train.run(replace(recipe, out=str(tmp_path_factory.mktemp("runs") / "a")))


def recorded(path):
    return json.loads((path / "environment.json").read_text())


def test_a_run_records_versions_devices_and_commit(trained):
    (here,) = recorded(trained.path)["ran_on"]
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    assert here.items() >= {**versions, "kerasae": kerasae.__version__}.items()
    assert here["python"] == ".".join(map(str, sys.version_info[:3]))
    assert any(device.startswith("CPU:0") for device in here["devices"])
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    assert (here["commit"] or "").removesuffix("+") == head.stdout.strip()


def test_the_hash_is_that_of_the_recipe_and_changes_with_it(trained, recipe, tmp_path):
    """Computed by the `sha256sum` of the canonical JSON of recipe.json, without the module under test."""
    content = json.loads((trained.path / "recipe.json").read_text())
    text = json.dumps({"recipe": content["recipe"], "command": "train"}, sort_keys=True)
    done = subprocess.run(["sha256sum"], input=text, capture_output=True, text=True)
    assert recorded(trained.path)["recipe_sha256"] == done.stdout.split()[0]
    other = runs.Run(tmp_path / "b", "train", replace(recipe, epochs=2))
    assert recorded(other.path)["recipe_sha256"] != recorded(trained.path)["recipe_sha256"]


def test_a_run_that_goes_on_elsewhere_records_both(trained, recipe, monkeypatch):
    again = replace(recipe, out=str(trained.path))
    runs.Run(trained.path, "train", again)
    assert len(recorded(trained.path)["ran_on"]) == 1
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.99")
    runs.Run(trained.path, "train", again)
    assert [here["python"] == "3.99" for here in recorded(trained.path)["ran_on"]] == [False, True]
    (trained.path / "environment.json").write_text("{")
    runs.Run(trained.path, "train", again)
    assert len(recorded(trained.path)["ran_on"]) == 1


def test_an_installed_package_has_no_commit(monkeypatch, tmp_path):
    installed = tmp_path / "site-packages" / "kerasae"
    installed.mkdir(parents=True)
    monkeypatch.setattr(kerasae, "__file__", str(installed / "__init__.py"))
    assert environment.commit() is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # somebody else's checkout around it
    assert environment.commit() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.commit() is None


def test_a_run_that_is_older_than_a_field_of_the_recipe_goes_on(trained, recipe):
    file = trained.path / "recipe.json"
    content = json.loads(file.read_text())
    for name in ("precision", "deterministic", "on_nonfinite"):
        del content["recipe"][name]
    file.write_text(json.dumps(content))
    assert train.run(replace(recipe, out=str(trained.path))).figures
