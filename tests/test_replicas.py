"""Two mirrored replicas train every model as one device does: the loss is divided by their number once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cases
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results():
    """What `two_replicas.py` printed, by row."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": paths}
    command = [sys.executable, str(ROOT / "tests" / "two_replicas.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", cases.MODELS, ids=lambda case: case.id)
def test_two_replicas_train_as_one_device_does(case, results):
    found = results[case.id]
    assert found["start"] == 0 and found["moved"] > 1e-3
    assert found["apart"] < 1e-3 * found["moved"]
    assert set(found["two"]) == set(found["one"]) >= {"loss"}
    for name, value in found["one"].items():
        assert found["two"][name] == pytest.approx(value, rel=1e-5), name
