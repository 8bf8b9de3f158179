import doctest
import types

import keras
import numpy as np
import pytest
from sklearn.metrics import mean_squared_error

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import hidden_patch_error, mean_score, reconstruction, reconstruction_error


@pytest.fixture(scope="module")
def model():
    return kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), code=3, widths=(16,)), pixel_max=16)


def test_errors_of_stored_digits_equal_numpy(model):
    split = kerasae.data.load("digits").test
    x, _ = split.arrays()
    unit = x.astype(np.float64) / 16
    output = np.asarray(model(x.astype(np.float32) / 16), np.float64)
    mse = mean_squared_error(unit.reshape(len(x), -1), output.reshape(len(x), -1))
    for data in (x, split, (unit.astype(np.float32), None)):
        found = reconstruction_error(model, data, batch_size=100)
        assert found["examples"] == len(x)
        assert found["mse"] == pytest.approx(mse, rel=1e-5)
        assert found["sse"] == pytest.approx(64 * mse, rel=1e-5)
        assert found["psnr"] == pytest.approx(10 * np.log10(1 / mse), abs=1e-4)


def test_mean_score_is_the_loss_of_evaluate(model):
    split = kerasae.data.load("digits").test
    model.compile()
    expected = model.evaluate(split.arrays()[0], verbose=0, return_dict=True)["loss"]
    assert mean_score(model, split, batch_size=100) == pytest.approx(expected, rel=1e-5)


def test_a_smaller_last_batch_weighs_less():
    zero = types.SimpleNamespace(reconstruct=lambda x: 0 * x)
    x = np.array([[1.0], [1.0], [1.0], [0.0]], np.float32)
    assert reconstruction_error(zero, x, batch_size=3)["mse"] == 0.75


def test_no_error_is_infinite_psnr():
    exact = types.SimpleNamespace(reconstruct=lambda x: x)
    assert reconstruction_error(exact, np.ones((2, 3), np.float32))["psnr"] == np.inf


def test_wrong_shapes_are_named():
    flat = types.SimpleNamespace(reconstruct=lambda x: x[:, :1])
    with pytest.raises(InputError, match="shape"):
        reconstruction_error(flat, np.ones((2, 3), np.float32))


def test_examples_run():
    failed, tried = doctest.testmod(reconstruction, extraglobs={"np": np})
    assert failed == 0 and tried >= 3


@pytest.mark.parametrize("normalised", [False, True])
def test_hidden_patches_alone_are_measured(normalised):
    """Against NumPy on the pixels that a fixed mask hides; nothing of pixels where targets are normalised."""
    keras.utils.set_random_seed(0)
    pair = kerasae.networks.vit((8, 8, 1), 2, width=8, depth=1, heads=2, decoder_width=4, decoder_heads=1)
    model = kerasae.models.MaskedAutoencoder(*pair, normalize_targets=normalised, pixel_max=16.0)
    x = np.random.default_rng(0).integers(0, 17, (6, 8, 8, 1)).astype("uint8")
    found = hidden_patch_error(model, x)
    assert found["hidden_error"] == pytest.approx(float(np.mean(model.score(x))), rel=1e-5)
    if normalised:
        assert set(found) == {"hidden_error", "examples"}
        return
    made = np.asarray(model.reconstruct(x))
    hidden = made != x / np.float32(16)
    assert hidden.mean() == pytest.approx(0.75, abs=0.05)
    mse = ((made - x / 16)[hidden] ** 2).sum() / (6 * 48)
    assert found["hidden_mse"] == pytest.approx(mse, rel=1e-4)
    assert found["hidden_psnr"] == pytest.approx(-10 * np.log10(mse), rel=1e-4)
