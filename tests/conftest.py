"""Set up every test: quiet TensorFlow, float32, a fixed seed."""

import os
import random
import sys
import tempfile
from unittest import mock

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CACHE = tempfile.TemporaryDirectory(prefix="kerasae-cache-")
os.environ["KERASAE_CACHE"] = CACHE.name  # not the user's cache


LONGEST = "contract distributed guard replicas fuzz mae_pipeline kills masked precision determinism training".split()
"""Slowest test modules, which start first, so that no worker ends long after the others."""


def pytest_collection_modifyitems(items):
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def seed(keras, number):
    """Set the seeds as `keras.utils.set_random_seed` does, but keep TensorFlow's cache of kernels and functions.

    Filling the cache again takes a seventh of the time of tests outside of graphs. TensorFlow clears it to restart
    stateful random operations, of which kerasae has none.
    """
    from tensorflow.python.eager import context

    def set_global_seed(self, number):
        self._seed, self._rng = number, random.Random(number)

    with mock.patch.object(context.Context, "_set_global_seed", set_global_seed):
        keras.utils.set_random_seed(number)


@pytest.fixture(autouse=True)
def clean_keras():
    """Set the seeds before, and the float32 policy after each test, if Keras is loaded."""
    if keras := sys.modules.get("keras"):
        seed(keras, 20)
    yield
    if keras := sys.modules.get("keras"):
        keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """Share small trained runs between all workers (see `shelf.py`)."""
    from shelf import Shelf

    folder = tmp_path_factory.getbasetemp()
    return Shelf((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "shelf")


@pytest.fixture
def mistake(capfd):
    """Run a command that must fail; return its error line, which follows `notes` other lines."""

    from pipelines.command_line import main as cli

    def run(*tokens, notes=0):
        capfd.readouterr()
        status = cli.main([str(token) for token in tokens])
        lines = capfd.readouterr().err.strip().splitlines()
        assert status == 2 and len(lines) == notes + 1 and lines[-1].startswith("kerasae: error: "), lines
        return lines[-1]

    return run
