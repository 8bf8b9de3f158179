"""Models from files, as a user of the library loads them; what strangers' files may not do is in test_security."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.saving import load_model


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1)).astype("uint8")


@pytest.fixture
def trained(images):
    keras.utils.set_random_seed(0)
    model = kerasae.models.Autoencoder(*kerasae.networks.dense((4, 4, 1), 3, ()))
    model.compile(kerasae.optimizers.LayerwiseAdamW(1e-2, 0.05))
    model.train_on_batch(images)
    return model


def test_a_process_that_has_imported_nothing_else_loads_a_model(trained, images, tmp_path):
    trained.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    script = """
import kerasae, numpy, sys
codes = kerasae.saving.load_model(sys.argv[1]).encode(numpy.load(sys.argv[2]))
numpy.save(sys.argv[3], codes)
"""
    paths = [str(tmp_path / name) for name in ("model.keras", "images.npy", "codes.npy")]
    subprocess.run([sys.executable, "-c", script, *paths], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), trained.encode(images))


def test_a_compiled_model_trains_on_as_if_it_had_not_been_saved(trained, images, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", compiled=True)
    assert isinstance(again.optimizer, kerasae.optimizers.LayerwiseAdamW)
    for model in (trained, again):
        model.train_on_batch(images)
    assert all(map(np.array_equal, again.get_weights(), trained.get_weights()))


def test_what_was_never_compiled_cannot_be_had_compiled(tmp_path):
    kerasae.models.Autoencoder(*kerasae.networks.dense((4, 4, 1), 3, ())).save(tmp_path / "model.keras")
    assert not load_model(tmp_path / "model.keras").compiled
    with pytest.raises(InputError, match="without an optimiser"):
        load_model(tmp_path / "model.keras", compiled=True)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="nothing.keras cannot be loaded: .*No such file"):
        load_model(tmp_path / "nothing.keras")
