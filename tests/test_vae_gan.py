"""The autoencoder with a discriminator's features: its three losses by NumPy, and who moves which weights."""

import keras
import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.models import AdversarialVariationalAutoencoder
from kerasae.models.contract.terms import logged
from pipelines import train

X = np.random.default_rng(0).random((8, 6)).astype("float32")


def small(**options):
    pair = kerasae.networks.dense((6,), 2, (5,), posterior="gaussian")
    return AdversarialVariationalAutoencoder(*pair, critic=kerasae.networks.dense((6,), 3, (4,))[0], **options)


def dense(network, x):
    """NumPy's forward pass through two dense layers, the first with a rectifier."""
    first, first_bias, last, last_bias = network.get_weights()
    return np.maximum(x @ first + first_bias, 0) @ last + last_bias


def test_all_losses_are_numpys():
    model = small(gamma=0.3, beta=0.7)
    random = model.random(False)
    noise, drawn = (random.normal((8, 2)).numpy() for _ in range(2))
    mean, log_var = np.split(dense(model.encoder, X), 2, axis=1)
    codes = (mean + np.exp(log_var / 2) * noise, drawn)
    features = [dense(model.critic, x) for x in (X, *(1 / (1 + np.exp(-dense(model.decoder, z))) for z in codes))]
    kernel, bias = model.judge.get_weights()
    real, copy, new = (1 / (1 + np.exp(-(f @ kernel + bias)[:, 0])) for f in features)
    kl = 0.5 * np.sum(mean**2 + np.exp(log_var) - 1 - log_var, 1)
    feature = 0.5 * np.sum((features[0] - features[1]) ** 2, 1)
    generator, judge = -np.log(copy) - np.log(new), -np.log(real) - np.log(1 - copy) - np.log(1 - new)
    found = model(model.prepare(X)).terms
    for name, value in zip(model.terms, (kl, feature, generator, judge), strict=True):
        np.testing.assert_allclose(logged(found[name]), value, rtol=1e-4, atol=1e-5, err_msg=name)
    losses = {name: float(player.loss(found, None, False)) for name, player in model.players().items()}
    expected = (0.7 * kl + feature, 0.3 * feature + generator, judge)
    assert losses == pytest.approx(
        dict(zip(("model", "decoder", "discriminator"), map(np.mean, expected), strict=True)), rel=1e-4
    )


@pytest.mark.parametrize("still", ["decoder", "discriminator"])
def test_every_player_moves_its_own_weights(still):
    model = small()
    model.compile(keras.optimizers.SGD(0.1), players={still: 0.0}, run_eagerly=True)
    before = [w.numpy() for w in model.trainable_weights]
    model.train_on_batch(X)
    kept = {id(w) for w, old in zip(model.trainable_weights, before, strict=True) if np.all(w.numpy() == old)}
    assert kept == {id(w) for w in model.players()[still].trainable_weights}


def test_a_critic_of_other_examples_is_refused():
    pair = kerasae.networks.dense((6,), 2, (5,), posterior="gaussian")
    with pytest.raises(InputError, match=r"critic takes \(5,\).*must take examples \(6,\)"):
        AdversarialVariationalAutoencoder(*pair, critic=kerasae.networks.dense((5,), 3)[0])


def test_the_command_trains_and_saves_it(tmp_path):
    settings = {"variant": "vae-gan", "code": 3, "widths": (8,), "epochs": 1, "batch_size": 300}
    run = train.run(train.Recipe(**settings, out=str(tmp_path / "run")))
    model = runs.load_model(run.path)
    assert model.critic.output_shape == (None, 128) and run.figures["test_mse"] > 0
    rows = runs.read_rows(run.path / "metrics.csv")
    assert float(rows[0]["loss"]) == pytest.approx(float(rows[0]["kl"]) + float(rows[0]["feature"]), rel=1e-4)
