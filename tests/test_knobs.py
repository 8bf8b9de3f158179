"""Numbers of an objective that change while it is trained: set, logged, annealed, saved, resumed."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasae import models, networks
from kerasae.errors import InputError
from kerasae.training.checkpoint import Checkpoints
from kerasae.training.loop import Interrupted, Plan, train

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (32, 8)).astype("uint8")


def variational(**options):
    keras.utils.set_random_seed(3)
    return models.VariationalAutoencoder(*networks.dense((8,), 2, (6,), posterior="gaussian"), "gaussian", **options)


def weight_of_kl(logs):
    return (logs["loss"] - logs["reconstruction"]) / logs["kl"]


def test_a_callback_that_sets_beta_changes_the_loss():
    model, rows = variational(beta=1.0), []

    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rows.append(dict(logs))
            model.beta = 0.5 * float(model.beta)

    model.compile("adam")
    model.fit(X, epochs=3, callbacks=[Halve()], verbose=0)
    assert [weight_of_kl(row) for row in rows] == pytest.approx([1.0, 0.5, 0.25], rel=1e-3)


def test_a_schedule_gives_the_value_of_every_update():
    model, rows = variational(beta=keras.optimizers.schedules.PolynomialDecay(0.0, 4, 1.0)), []
    model.compile("adam")
    for _ in range(6):
        rows.append(float(model.beta))
        model.train_on_batch(X)
    assert rows == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])


def test_a_knob_is_in_the_file_and_out_of_range_is_refused(tmp_path):
    model = variational(beta=1.0)
    model.beta = 0.25
    model.save(tmp_path / "model.keras")
    assert float(keras.saving.load_model(tmp_path / "model.keras").beta) == 0.25
    for value in (-1, float("nan")):
        with pytest.raises(InputError, match="VariationalAutoencoder: beta must be ≥ 0"):
            model.beta = value
    assert float(model.beta) == 0.25


def adversarial():
    """Two players, an annealed knob, and a rate that a callback sets."""
    keras.utils.set_random_seed(3)
    anneal = keras.optimizers.schedules.PolynomialDecay(0.1, 12, 1.0)
    model = models.AdversarialAutoencoder(*networks.dense((8,), 2, (6,)), "gaussian", adversarial_weight=anneal)
    model.compile(keras.optimizers.Adam(1e-2), players={"discriminator": 0.5})
    return model


class Cool(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 1e-2 * 0.5 ** (epoch + 1)


def batches(step):
    return tf.data.Dataset.from_tensors((tf.constant(X[:16]),)).repeat()


def trained(model, folder, rows, **options):
    return train(
        model, batches, Plan(3, 4), Checkpoints(folder), on_epoch=rows.append, callbacks=[Cool()], **options
    )  # fmt: skip


def test_every_rate_and_knob_is_logged_and_resumed_to_the_bit(tmp_path):
    rows, again, whole = [], [], adversarial()
    trained(whole, tmp_path / "whole", rows)
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-2, 5e-3, 2.5e-3])
    assert [row["learning_rate_discriminator"] for row in rows] == pytest.approx([5e-3, 2.5e-3, 1.25e-3])
    assert [row["adversarial_weight"] for row in rows] == pytest.approx([0.4, 0.7, 1.0])

    def interrupt(progress, wait):
        if progress.step >= 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        trained(adversarial(), tmp_path / "cut", again, on_chunk=interrupt)
    resumed = adversarial()
    trained(resumed, tmp_path / "cut", again)
    names = ("loss", "discriminator", "learning_rate", "learning_rate_discriminator", "adversarial_weight")
    assert [[row[name] for name in names] for row in again] == [[row[name] for name in names] for row in rows]
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)
