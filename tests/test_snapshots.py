"""Reconstructions that a run keeps as it learns, and their picture."""

import keras
import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.report import pictures


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A directory with the snapshots of five epochs, and the model."""
    path = tmp_path_factory.mktemp("snapshots")
    source = kerasae.data.load("digits")
    model = kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), code=8, widths=(16,)), pixel_max=16.0)
    model.compile(keras.optimizers.Adam(3e-3))
    x = source.train.gather(np.arange(256))[0].numpy()
    model.fit(x, batch_size=64, epochs=5, verbose=0, callbacks=[runs.Snapshots(path, model, source.test, last=5)])
    return path, model, source


def test_powers_of_two_and_the_last_epoch_are_kept(learned):
    original, made = runs.read_snapshots(learned[0])
    assert list(made) == [1, 2, 4, 5] and original.shape == (8, 8, 8, 1)


def test_the_last_is_what_the_model_makes_of_the_originals_now(learned):
    path, model, source = learned
    original, made = runs.read_snapshots(path)
    stored = source.test.gather(np.linspace(0, len(source.test) - 1, 8).astype(int))[0].numpy()
    np.testing.assert_allclose(original, stored / 16, atol=1e-6)
    np.testing.assert_allclose(made[5], model.reconstruct(stored), atol=1e-6)
    assert not np.allclose(made[1], made[5])


def test_the_page_has_a_row_for_each(learned):
    assert pictures.epochs(learned[0]).title == "Epochs"


def test_a_run_without_any_has_no_picture(tmp_path):
    assert pictures.epochs(tmp_path) is None


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "epochs").mkdir()
    (tmp_path / "epochs" / "1.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="1.npz"):
        pictures.epochs(tmp_path)


def test_arrays_of_other_shapes_are_refused(tmp_path):
    (tmp_path / "epochs").mkdir()
    np.savez(tmp_path / "epochs" / "2.npz", original=np.zeros((8, 4)), made=np.zeros((8, 5)))
    with pytest.raises(InputError, match="2.npz is damaged"):
        pictures.epochs(tmp_path)
