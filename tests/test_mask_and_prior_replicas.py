"""Masks, conditions, spheres and learned priors: two mirrored replicas take the step of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ("auto_rec", "recurrent", "vamp_prior", "conditional", "hyperspherical")


@pytest.fixture(scope="module")
def results():
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": paths}
    command = [sys.executable, str(ROOT / "tests" / "mask_and_prior_replicas.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_take_the_step_of_one_device(name, results):
    found = results[name]
    assert found["updated"] and found["moved"] > 1e-3
    assert found["apart"] < 1e-5 and found["loss"] < 1e-5
