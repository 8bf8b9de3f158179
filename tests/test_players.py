"""Several players with several optimisers: their rates, checkpoints, files and micro-batches."""

import os
import signal

import keras
import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.models import AdversarialAutoencoder
from kerasae.training.checkpoint import Checkpoints, optimizers, state_variables
from kerasae.training.loop import Interrupted, Plan, rates, train

BATCH, STEPS, EPOCHS = 16, 5, 2
X = np.random.default_rng(0).integers(0, 17, (BATCH, 8, 8, 1)).astype("uint8")


def adversarial(optimizer=None, discriminator=None, **options):
    keras.utils.set_random_seed(3)
    networks = kerasae.networks.dense((8, 8, 1), 3, (12,))
    model = AdversarialAutoencoder(*networks, "bernoulli", 16.0, discriminator)
    model.compile(optimizer or keras.optimizers.Adam(0.01), **{"players": {"discriminator": 0.5}, **options})
    return model


def values(variables):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def equal(one, other):
    return all(map(np.array_equal, one, other))


def test_a_callback_moves_the_rates_of_both_players():
    """The compiled step reads the new rate: at a rate of zero both players stand still."""
    model, seen = adversarial(keras.optimizers.SGD(0.1)), []
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: (0.1, 0.04, 0.0)[epoch])
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((rates(model), values(model.trainable_weights)))
    )
    model.fit(X, epochs=3, batch_size=BATCH, callbacks=[schedule, note], verbose=0)
    names = ("learning_rate", "learning_rate_discriminator")
    found = [[rate[name] for name in names] for rate, _ in seen]
    np.testing.assert_allclose(found, [[0.1, 0.05], [0.04, 0.02], [0.0, 0.0]], rtol=1e-6)
    rival = {id(w) for w in model.discriminator.weights}
    for weight, first, second, third in zip(model.trainable_weights, *(w for _, w in seen), strict=True):
        assert np.any(first != second) and np.array_equal(second, third), (weight.path, id(weight) in rival)


def test_a_rate_that_is_set_scales_the_step_of_the_discriminator():
    """Plain gradient descent: twice the rate is twice the way, in an already compiled step."""
    ways = []
    for rate in (0.1, 0.2):
        model = adversarial(keras.optimizers.SGD(0.0))
        model.train_on_batch(X)
        state = values(model.discriminator.weights)
        model.optimizer.learning_rate = rate
        model.train_on_batch(X)
        ways.append([b - a for a, b in zip(state, values(model.discriminator.weights), strict=True)])
    for one, two in zip(*ways, strict=True):
        np.testing.assert_allclose(two, 2 * one, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_schedule_reaches_both_players(scaled):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.03])
    optimizer = keras.optimizers.SGD(schedule)
    model = adversarial(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer)
    for _ in range(3):
        model.train_on_batch(X)
    found = rates(model)
    assert found["learning_rate"] == pytest.approx(0.03)
    assert found["learning_rate_discriminator"] == pytest.approx(0.015)


def test_a_run_with_two_optimisers_resumes_to_the_bit(tmp_path):
    split = kerasae.data.load("digits").train.subset(np.arange(BATCH * STEPS))

    def run(model, folder, **options):
        train(
            model,
            lambda step: kerasae.data.batches(split, BATCH, seed=1, start_step=step, labels=False),
            Plan(EPOCHS, STEPS),
            Checkpoints(tmp_path / folder),
            **options,
        )
        return model

    def interrupt(progress, wait):
        if progress.step >= 3:
            os.kill(os.getpid(), signal.SIGTERM)

    def slower(row):
        """As a callback does at the end of an epoch; both players' rates are in the checkpoint."""
        model_now[0].optimizer.learning_rate = 0.002

    model_now = [adversarial()]
    whole = run(model_now[0], "whole", on_epoch=slower)
    with pytest.raises(Interrupted):
        run(adversarial(), "cut", on_chunk=interrupt)
    model_now[0] = adversarial()
    resumed = run(model_now[0], "cut", on_epoch=slower)
    assert equal(values(state_variables(whole)), values(state_variables(resumed)))
    own, rival = (optimizer.variables for optimizer in optimizers(resumed).values())
    assert len(rival) > 2 and {v.path for v in own}.isdisjoint(v.path for v in rival if "iteration" not in v.path)
    assert rates(resumed) == {
        "learning_rate": pytest.approx(0.002),
        "learning_rate_discriminator": pytest.approx(0.001),
        "adversarial_weight": 1.0,
    }


def test_a_saved_model_has_both_optimisers(tmp_path):
    model = adversarial()
    for _ in range(3):
        model.train_on_batch(X)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.seed_generator.state.assign(model.seed_generator.state)  # the random state is in no Keras file
    for name, optimizer in optimizers(model).items():
        assert equal(values(optimizer.variables), values(optimizers(again)[name].variables)), name
    for one in (model, again):
        one.optimizer.learning_rate = 0.02
        one.train_on_batch(X)
    assert equal(values(model.weights), values(again.weights))
    assert rates(again) == rates(model)


def indifferent():
    """A discriminator of which the score of a draw does not depend on the draw: a bias, and no gradient to codes."""
    inputs = keras.Input((3,))
    still = keras.layers.Rescaling(0.0)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones")(still))


def test_micro_batches_give_the_step_of_the_whole_batch():
    """With a discriminator that ignores the draws of the prior, which come in another order."""
    whole, parts = (
        adversarial(keras.optimizers.SGD(0.1), indifferent(), micro_batches=n, players={"discriminator": 2.0})
        for n in (1, 2)
    )
    for model in (whole, parts):
        start = values(model.trainable_weights)
        for _ in range(2):
            logs = model.train_on_batch(X, return_dict=True)
        moved = [np.any(a != b) for a, b in zip(start, values(model.trainable_weights), strict=True)]
        assert sum(moved) >= len(moved) - 1, "all but the kernel of nothing"
        assert set(logs) == {"loss", "reconstruction", "adversarial", "discriminator"}
    for a, b in zip(values(whole.trainable_weights), values(parts.trainable_weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    found = [model.get_metrics_result() for model in (whole, parts)]
    assert {k: float(v) for k, v in found[1].items()} == pytest.approx({k: float(v) for k, v in found[0].items()})


def test_micro_batches_leave_the_reconstruction_as_it_is_with_any_discriminator():
    """The draws differ; the terms of the codes alone, and the model's gradient, do not."""
    whole, parts = (adversarial(keras.optimizers.SGD(0.1), micro_batches=n) for n in (1, 4))
    logs, proposed = [], []
    for model in (whole, parts):
        model.build_training()
        proposal = model.propose(X)
        logs.append({name: float(value) for name, value in proposal.logs.items()})
        proposed.append(proposal.updates[0].gradients)
    for name in ("loss", "reconstruction", "adversarial"):
        assert logs[1][name] == pytest.approx(logs[0][name], rel=1e-5)
    for a, b in zip(*proposed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("players", [{"critic": 0.5}, {"model": 0.5}])
def test_unknown_players_are_refused(players):
    with pytest.raises(InputError, match="players must be among discriminator"):
        adversarial(players=players)
