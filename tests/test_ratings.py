"""Ratings with missing entries: AutoRec against NumPy, and what missing entries may not change."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae.errors import InputError
from kerasae.models import AutoRec

RNG = np.random.default_rng(0)
RATINGS = RNG.integers(1, 6, (12, 7)).astype("float32")
SEEN = RNG.random((12, 7)) < 0.6
INCOMPLETE = np.where(SEEN, RATINGS, np.nan)
RHO = 0.01


def autorec(rho=RHO, width=7, code=3, **options):
    regularizer = keras.regularizers.L2(rho) if rho else None
    networks = kerasae.networks.dense((width,), code, (), code_activation="sigmoid", kernel_regularizer=regularizer)
    return AutoRec(*networks, **options)


def loss_and_gradients(model, data):
    model.compile("sgd")
    proposal = model.propose(data)
    return [float(proposal.logs["loss"]), *(g.numpy() for g in proposal.updates[0].gradients)]


def test_loss_is_the_papers():
    model = autorec()
    v, mu, w, b = (weight.numpy() for weight in model.weights[-4:])
    known = np.where(SEEN, RATINGS, 0.0)
    predicted = 1 / (1 + np.exp(-(known @ v + mu))) @ w + b
    squares = np.where(SEEN, (RATINGS - predicted) ** 2, 0.0).sum(1)
    expected = 0.5 * squares + SEEN.sum(1) * 0.5 * np.log(2 * np.pi)
    model.compile("sgd")
    found = model.evaluate(INCOMPLETE, verbose=0, return_dict=True)
    assert found["reconstruction"] == pytest.approx(expected.mean(), rel=1e-5)
    assert found["loss"] == pytest.approx(expected.mean() + RHO * ((v**2).sum() + (w**2).sum()), rel=1e-5)
    np.testing.assert_allclose(model.score(INCOMPLETE), expected, rtol=1e-5)
    np.testing.assert_allclose(model.reconstruct(INCOMPLETE), predicted, rtol=1e-4, atol=1e-5)
    # 2 N times the loss is the paper's eq. 1 with λ = 4 N ρ, but for the constant
    paper = squares.sum() + 0.5 * (4 * 12 * RHO) * ((v**2).sum() + (w**2).sum())
    constant = SEEN.sum() * np.log(2 * np.pi)
    assert 2 * 12 * found["loss"] == pytest.approx(paper + constant, rel=1e-5)


@pytest.mark.parametrize("filler", [0.0, -99.0, 255.0, np.nan, np.inf])
def test_what_missing_entries_hold_counts_for_nothing(filler):
    model = autorec()
    filled = {"x": np.where(SEEN, RATINGS, filler).astype("float32"), "mask": SEEN}
    for one, other in zip(loss_and_gradients(model, INCOMPLETE), loss_and_gradients(model, filled), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
    for method in (model.encode, model.reconstruct, model.score):
        np.testing.assert_array_equal(method(INCOMPLETE), method(filled))


def test_integers_take_a_mask_whatever_they_hide():
    model = autorec()
    hidden = {"x": np.where(SEEN, RATINGS, 99).astype("int32"), "mask": SEEN.astype("int32")}
    scaled = np.where(SEEN, RATINGS / 5.0, np.nan).astype("float32")
    np.testing.assert_allclose(model.reconstruct(hidden), model.reconstruct(scaled), rtol=1e-5)
    with pytest.raises(InputError, match="0…5.*Received: 1 to 99"):
        model.reconstruct(hidden["x"])


def test_a_row_without_any_rating_gets_a_prediction_and_no_loss():
    model = autorec()
    empty = np.full((1, 7), np.nan, "float32")
    assert np.isfinite(model.reconstruct(empty)).all() and float(model.score(empty)[0]) == 0.0


def test_held_out_entries_are_a_target():
    model = autorec(rho=0)
    held_out = np.where(SEEN, np.nan, RATINGS)
    predicted = np.asarray(model.reconstruct(INCOMPLETE))
    squares = np.where(SEEN, 0, (RATINGS - predicted) ** 2)
    with pytest.raises(InputError, match="metrics would count missing values; give them as weighted_metrics"):
        model.compile("sgd", metrics=["mse"])
    model.compile("sgd", weighted_metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
    found = model.evaluate(INCOMPLETE, held_out, verbose=0, return_dict=True)
    expected = 0.5 * squares.sum(1) + (~SEEN).sum(1) * 0.5 * np.log(2 * np.pi)
    assert found["reconstruction"] == pytest.approx(expected.mean(), rel=1e-5)
    assert found["rmse"] == pytest.approx(np.sqrt(squares.sum() / (~SEEN).sum()), rel=1e-5)


def test_networks_that_see_the_mask_take_no_target():
    x, mask = keras.Input((7,)), keras.Input((7,), name="mask")
    code = keras.layers.Dense(3)(keras.layers.Concatenate()([x, mask]))
    model = AutoRec(keras.Model([x, mask], code), kerasae.networks.dense((7,), 3, ())[1])
    assert np.isfinite(model.score(INCOMPLETE)).all()
    with pytest.raises(InputError, match="has no use for y"):
        model.prepare(INCOMPLETE, RATINGS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": RATINGS, "mask": SEEN[:, :5]}, r"mask of shape \('B', 7\).*Received: \('B', 5\)"),
        ({"x": RATINGS, "masks": SEEN}, r"Received a dict of \['masks', 'x'\]"),
        ({"mask": SEEN}, r"Received a dict of \['mask'\]"),
    ],
)
def test_mistakes_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        autorec().score(given)


def test_a_mask_is_refused_where_it_has_no_meaning():
    plain = kerasae.models.Autoencoder(*kerasae.networks.dense((7,), 3, ()))
    with pytest.raises(InputError, match="takes no mask"):
        plain.score({"x": RATINGS, "mask": SEEN})


def low_rank(users=200, items=60, rank=3):
    """Ratings 1 to 5 of rank 3 with item and user means and noise; 30 % known, a tenth of those held out."""
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(items, rank)) @ rng.normal(size=(rank, users)) * 0.6
    scores += rng.normal(0, 0.4, (items, 1)) + rng.normal(0, 0.3, (1, users)) + rng.normal(0, 0.2, scores.shape) + 3.2
    ratings, draw = np.clip(np.round(scores), 1, 5), rng.random(scores.shape)
    return ratings.astype("float32"), draw < 0.27, (0.27 <= draw) & (draw < 0.30)


def rmse(predicted, ratings, where):
    return float(np.sqrt(np.mean((predicted - ratings)[where] ** 2)))


def test_predicts_better_than_means(capsys):
    """RMSE of held-out entries: AutoRec 0.55; global mean 1.07, item mean 1.06, item and user mean 1.06."""
    ratings, train, held = low_rank()
    x = np.where(train, ratings, np.nan)
    mean = np.nanmean(x)
    item, user = np.nanmean(x, 1, keepdims=True), np.nanmean(x, 0, keepdims=True)
    baselines = {"global": mean, "item": item, "item + user": item + user - mean}
    errors = {name: rmse(np.broadcast_to(b, ratings.shape), ratings, held) for name, b in baselines.items()}
    model = autorec(0.01, 200, 16)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(x - mean, batch_size=20, epochs=80, verbose=0)
    found = rmse(np.clip(np.asarray(model.reconstruct(x - mean)) + mean, 1, 5), ratings, held)
    with capsys.disabled():
        print(f"\nAutoRec RMSE {found:.3f}, {errors}")
    assert found < 0.9 * min(errors.values())


def test_saves_and_loads(tmp_path):
    model = autorec()
    model.compile("adam")
    model.fit(INCOMPLETE, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.reconstruct(INCOMPLETE), model.reconstruct(INCOMPLETE))
    assert len(again.losses) == 2


def test_compiled_and_in_half_precision():
    steps = []
    for jit in (False, True):
        keras.utils.set_random_seed(1)
        model = autorec()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit)
        model.fit({"x": INCOMPLETE, "mask": SEEN}, batch_size=6, epochs=2, shuffle=False, verbose=0)
        steps.append(model.get_weights())
    for one, other in zip(*steps, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = autorec()
    model.compile("adam")
    model.fit(INCOMPLETE, epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_micro_batches_take_the_same_step():
    one, parts = (autorec() for _ in range(2))
    parts.set_weights(one.get_weights())
    for model, count in ((one, 1), (parts, 3)):
        model.compile(keras.optimizers.SGD(0.1), micro_batches=count)
        model.train_on_batch(INCOMPLETE)
    for a, b in zip(one.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_loop_trains_it(tmp_path):
    model = autorec()
    model.compile(keras.optimizers.Adam(0.05))
    before = float(np.mean(model.score(INCOMPLETE)))
    data = tf.data.Dataset.from_tensors(INCOMPLETE).repeat()
    plan = kerasae.training.Plan(epochs=2, steps_per_epoch=20)
    kerasae.training.train(model, lambda step: data, plan, kerasae.training.Checkpoints(tmp_path))
    assert float(np.mean(model.score(INCOMPLETE))) < 0.7 * before
