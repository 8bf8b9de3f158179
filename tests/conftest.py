"""What every test starts from: quiet TensorFlow, float32, and a known seed."""

import os
import sys
import tempfile

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CACHE = tempfile.TemporaryDirectory(prefix="kerasae-cache-")
os.environ["KERASAE_CACHE"] = CACHE.name  # not the user's own


@pytest.fixture(autouse=True)
def clean_keras():
    """Seed everything, and undo what a test did to the global policy; tests without Keras do not pay for it."""
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(20)
    yield
    if keras := sys.modules.get("keras"):
        keras.config.set_dtype_policy("float32")
