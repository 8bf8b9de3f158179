"""Sequences with padding: the recurrent autoencoder against NumPy, and what padding may not change."""

import keras
import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.models import RecurrentAutoencoder

LENGTHS = np.array([5, 3, 6, 0, 1])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6, 2)).astype("float32")
SEEN = np.arange(6) < LENGTHS[:, None]


def recurrent(steps=6, widths=(4, 3), **options):
    return RecurrentAutoencoder(*kerasae.networks.lstm((steps, 2), 3, widths), **options)


def padded(steps, filler):
    """X with 6 or more steps, and `filler` after the end of each sequence."""
    longer = np.concatenate([X, np.zeros((5, steps - 6, 2), "float32")], axis=1)
    seen = np.arange(steps) < LENGTHS[:, None]
    return np.where(seen[..., None], longer, filler).astype("float32"), seen


def loss_and_gradients(model, data):
    model.compile("sgd")
    proposal = model.propose(data)
    return [proposal.logs["loss"].numpy(), *(g.numpy() for g in proposal.updates[0].gradients)]


@pytest.mark.parametrize("filler", [0.0, 7.0, np.nan, np.inf])
@pytest.mark.parametrize("steps", [6, 9])
def test_padding_counts_for_nothing(filler, steps):
    model, other = recurrent(), recurrent(steps)
    other.set_weights(model.get_weights())
    short, (long, seen) = {"x": X, "mask": SEEN}, padded(steps, filler)
    given = long if np.isnan(filler) else {"x": long, "mask": seen}
    np.testing.assert_array_equal(model.encode(short), other.encode(given))
    np.testing.assert_array_equal(model.reconstruct(short), other.reconstruct(given)[:, :6])
    np.testing.assert_allclose(model.score(short), other.score(given), rtol=1e-6, atol=1e-6)
    for one, two in zip(loss_and_gradients(model, short), loss_and_gradients(other, given), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_step_that_is_missing_in_the_middle_is_left_out():
    model = recurrent(4)
    gap, closed = X[:, [0, 1, 5, 3]], {"x": X[:, [0, 1, 3, 5]], "mask": np.array([[1, 1, 1, 0]] * 5)}
    gap[:, 2] = np.nan
    np.testing.assert_array_equal(model.encode(gap), model.encode(closed))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(inputs, kernel, recurrent_kernel, bias):
    """States h of one sequence [T, D]: Hochreiter's cell with a forget gate; gates i, f, c, o as Keras has them."""
    h = c = np.zeros(len(recurrent_kernel))
    states = []
    for x in inputs:
        i, f, new, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def test_codes_reconstructions_and_scores_are_those_of_numpy():
    model = recurrent()
    model.set_weights([RNG.normal(0, 0.5, w.shape) for w in model.get_weights()])
    cells = {layer.name: layer.get_weights() for net in (model.encoder, model.decoder) for layer in net.layers}
    codes, outputs, scores = [], [], []
    for x, length in zip(X, LENGTHS, strict=True):
        last = np.zeros(3)
        if length:
            last = lstm(lstm(x[:length][::-1], *cells["lstm_encode_1"]), *cells["lstm_encode_2"])[-1]
        kernel, bias = cells["lstm_code"]
        codes.append(last @ kernel + bias)
        written = lstm(lstm([codes[-1]] * 6, *cells["lstm_decode_2"]), *cells["lstm_decode_1"])
        kernel, bias = cells["lstm_values"]
        outputs.append(written @ kernel + bias)
        squares = (outputs[-1] - x)[:length] ** 2
        scores.append(0.5 * squares.sum() + length * 2 * 0.5 * np.log(2 * np.pi))
    given = {"x": X, "mask": SEEN}
    np.testing.assert_allclose(model.encode(given), codes, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(given), outputs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.score(given), scores, rtol=1e-4, atol=1e-5)
    model.compile("sgd")
    assert model.evaluate(given, verbose=0, return_dict=True)["loss"] == pytest.approx(np.mean(scores), rel=1e-4)


def test_the_target_of_noisy_sequences_is_padded_as_they_are():
    model = recurrent()
    clean = np.where(SEEN[..., None], X, np.nan)
    found = model.prepare({"x": X + 1, "mask": SEEN}, clean)
    np.testing.assert_array_equal(found.target, np.where(SEEN[..., None], X, 0))
    np.testing.assert_array_equal(found.mask, SEEN)
    assert np.isfinite(model.objective(found)["reconstruction"]).all()


def sines(count, seed):
    """Sine waves of 8 to 24 steps, of random phase and one of three periods, NaN after the end."""
    rng = np.random.default_rng(seed)
    lengths, phase = rng.integers(8, 25, count), rng.uniform(0, 2 * np.pi, (count, 1))
    waves = np.sin(2 * np.pi * np.arange(24) / rng.choice([6, 9, 14], (count, 1)) + phase)
    return np.where(np.arange(24) < lengths[:, None], waves, np.nan)[..., None].astype("float32")


def squared_error(x, reconstructed):
    return float(np.nanmean((np.asarray(reconstructed) - x) ** 2))


def test_learns_sine_waves_of_any_length(capsys):
    """Squared error of new waves: 0.005; the mean of each step 0.50, a constant per wave 0.48."""
    train, test = sines(512, 1), sines(128, 2)
    keras.utils.set_random_seed(5)
    model = RecurrentAutoencoder(*kerasae.networks.lstm((24, 1), 6, (32,)))
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(train, batch_size=32, epochs=40, verbose=0)
    by_step = squared_error(test, np.nanmean(train, 0))
    constant = squared_error(test, np.nanmean(test, 1, keepdims=True))
    found = squared_error(test, model.reconstruct(test))
    with capsys.disabled():
        print(f"\nLSTM {found:.3f}, mean of each step {by_step:.3f}, constant {constant:.3f}")
    assert found < 0.1 * min(by_step, constant)


def test_saves_loads_and_gives_features(tmp_path):
    model = recurrent()
    given = np.where(SEEN[..., None], X, np.nan)
    model.compile("adam")
    model.fit(given, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    for method in ("encode", "reconstruct", "score"):
        np.testing.assert_array_equal(getattr(again, method)(given), getattr(model, method)(given))
    features = model.feature_encoder()
    np.testing.assert_array_equal(features(given), model.encode(given))
    features.save(tmp_path / "features.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "features.keras")(given), model.encode(given))


def test_steps_are_the_same_in_micro_batches():
    weights = []
    for parts in (1, 5):
        keras.utils.set_random_seed(1)
        model = recurrent()
        model.compile(keras.optimizers.SGD(0.1), micro_batches=parts, jit_compile=False)
        model.fit({"x": X, "mask": SEEN}, batch_size=5, epochs=2, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_half_precision_is_finite():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = recurrent()
    model.compile("adam")
    model.fit({"x": X, "mask": SEEN}, epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_mistakes_are_refused():
    _, decoder = kerasae.networks.lstm((6, 2), 3, (4,))
    with pytest.raises(InputError, match="second input 'mask'.*padding"):
        RecurrentAutoencoder(kerasae.networks.dense((6, 2), 3)[0], decoder)
    with pytest.raises(InputError, match="takes no mask, but its networks do; use Autoencoder"):
        kerasae.models.ContractiveAutoencoder(*kerasae.networks.lstm((6, 2), 3, (4,), code_activation="sigmoid"))
    with pytest.raises(InputError, match=r"mask of shape \('B', 6\), 1 = counts. Received: \('B', 6, 2\)"):
        recurrent().encode({"x": X, "mask": np.ones_like(X)})
    with pytest.raises(InputError, match="shape must be"):
        kerasae.networks.lstm((6,), 3)
    with pytest.raises(InputError, match="at least one layer"):
        kerasae.networks.lstm((6, 2), 3, ())
