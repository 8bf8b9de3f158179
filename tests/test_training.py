"""The training loop: it resumes exactly, keeps the best epoch, and stops on what is not a number."""

import dataclasses
import errno
import functools
import os
import signal

import keras
import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.training import checkpoint, loop
from kerasae.training.checkpoint import Checkpoints
from kerasae.training.loop import Interrupted, Plan, train

BATCH, STEPS, EPOCHS = 16, 7, 3


@pytest.fixture(scope="module")
def split():
    return kerasae.data.load("digits").train.subset(np.arange(BATCH * STEPS))


def denoiser():
    """A model whose step draws random numbers, so that a lost seed shows."""
    keras.utils.set_random_seed(3)
    networks = kerasae.networks.dense((8, 8, 1), 5, (12,))
    model = kerasae.models.DenoisingAutoencoder(*networks, "bernoulli", 16.0)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, STEPS * EPOCHS)))
    return model


def classifier():
    keras.utils.set_random_seed(3)
    encoder, _ = kerasae.networks.dense((8, 8, 1), 5, (12,))
    model = kerasae.models.Classifier(encoder, 10, dropout=0.3, pixel_max=16.0)
    model.compile("adam", loss=kerasae.models.SmoothedCrossentropy(0.1), metrics=["accuracy"])
    return model


def averaging():
    """A classifier whose optimiser averages the weights."""
    model = classifier()
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, loss=kerasae.models.SmoothedCrossentropy(), metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def unbroken(split, tmp_path_factory):
    """A function that trains what a function builds once: the state of the model, and the rows of figures."""

    @functools.cache
    def trained(build):
        rows = []
        run(model := build(), split, tmp_path_factory.mktemp("whole"), on_epoch=rows.append)
        return state(model), rows

    return trained


def run(model, split, folder, plan=None, **options):
    return train(
        model,
        lambda step: kerasae.data.batches(split, BATCH, seed=1, start_step=step, labels=model.takes_labels),
        plan or Plan(EPOCHS, STEPS),
        Checkpoints(folder),
        **options,
    )


def state(model):
    return [keras.ops.convert_to_numpy(v) for v in checkpoint.state_variables(model)]


@pytest.mark.parametrize("build", [denoiser, classifier, averaging])
@pytest.mark.parametrize("stop_after", [3, 10])
def test_resumes_to_the_bit_at_any_step(build, stop_after, unbroken, split, tmp_path):
    whole, rows = unbroken(build)
    resumed_rows = []

    def interrupt(progress, wait):
        if progress.step >= stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="goes on"):
        run(build(), split, tmp_path / "cut", on_chunk=interrupt, on_epoch=resumed_rows.append)
    resumed = build()
    progress = run(resumed, split, tmp_path / "cut", on_epoch=resumed_rows.append)

    assert progress.step == STEPS * EPOCHS
    for a, b in zip(whole, state(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    figures = [{k: v for k, v in row.items() if "second" not in k and k != "data_wait"} for row in rows]
    again = [{k: v for k, v in row.items() if "second" not in k and k != "data_wait"} for row in resumed_rows]
    assert figures == again


@pytest.mark.parametrize(("beside", "opened"), [([], [3]), (["step-000000005"], [5, 3]), (["step-x"], [3])])
def test_data_are_opened_where_training_goes_on(beside, opened, unbroken, split, tmp_path, monkeypatch):
    """At the step of the newest checkpoint, and again only if that one is damaged."""
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e9)  # chunks of 1 and 2 steps, however slow the first

    def interrupt(progress, wait):
        if progress.step >= 3:
            os.kill(os.getpid(), signal.SIGTERM)

    whole, _ = unbroken(denoiser)
    with pytest.raises(Interrupted):
        run(denoiser(), split, tmp_path / "cut", on_chunk=interrupt)
    for name in beside:
        (tmp_path / "cut" / f"{name}.npz").write_bytes(b"damaged")
    steps = []

    def batches(step):
        steps.append(step)
        return kerasae.data.batches(split, BATCH, seed=1, start_step=step, labels=False)

    train(resumed := denoiser(), batches, Plan(EPOCHS, STEPS), Checkpoints(tmp_path / "cut"))
    assert steps == opened
    assert all(map(np.array_equal, state(resumed), whole))


def test_the_model_ends_with_the_average_of_its_weights(split, tmp_path):
    """The weights of every step, from a run without averages, give the average by its recursion."""
    plain, weights = classifier(), []
    plain.compile(keras.optimizers.Adam(0.01), loss=kerasae.models.SmoothedCrossentropy())
    for batch in kerasae.data.batches(split, BATCH, seed=1).take(STEPS):
        plain.train_step(batch)
        weights.append([w.numpy().astype(float) for w in plain.trainable_weights])
    average = weights[0]
    for later in weights[1:]:
        average = [0.9 * a + 0.1 * w for a, w in zip(average, later, strict=True)]

    model = averaging()
    run(model, split, tmp_path / "averaged", Plan(1, STEPS))
    for got, wanted, last in zip(model.trainable_weights, average, weights[-1], strict=True):
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-4, atol=1e-6)
        assert not np.allclose(got.numpy(), last, rtol=1e-3)


def test_the_best_epoch_is_one_of_averaged_weights_and_training_goes_on_from_the_others(split, tmp_path):
    rows, model = [], averaging()
    plan = Plan(EPOCHS, STEPS, monitor="val_loss", mode="min")
    validation = {"validation": lambda: kerasae.data.in_order(split, 64, labels=model.takes_labels)}
    run(model, split, tmp_path / "best", plan, on_epoch=rows.append, **validation)
    best = min(rows, key=lambda row: row["val_loss"])
    figures = model.evaluate(kerasae.data.in_order(split, 64, labels=model.takes_labels), verbose=0, return_dict=True)
    assert figures["loss"] == pytest.approx(best["val_loss"], rel=1e-5)
    unseen = []
    run(averaging(), split, tmp_path / "blind", Plan(EPOCHS, STEPS), on_epoch=unseen.append)
    assert [row["loss"] for row in unseen] == [row["loss"] for row in rows]


def test_finished_stage_is_not_trained_again(split, tmp_path):
    first = denoiser()
    run(first, split, tmp_path)
    rows = []
    second = denoiser()
    progress = run(second, split, tmp_path, on_epoch=rows.append)
    assert progress.done and not rows
    for a, b in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:-9] + b"x" + data[-8:]])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damage, tmp_path):
    model, checkpoints = denoiser(), Checkpoints(tmp_path)
    checkpoints.save(model, {"step": 1})
    before = state(model)
    model.set_weights([w + 1.0 for w in model.get_weights()])
    checkpoints.save(model, {"step": 2})
    newest = sorted(tmp_path.glob("step-*.npz"))[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    assert checkpoints.restore(model) == {"step": 1}
    assert checkpoints.damaged == [newest.name]
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    model, checkpoints = denoiser(), Checkpoints(tmp_path)
    checkpoints.save(model, {"step": 1})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(model, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.npz"]
    assert checkpoints.restore(model) == {"step": 1}


@pytest.mark.parametrize(("call", "code"), [("fsync", errno.ENOSPC), ("replace", errno.EROFS)])
def test_training_stops_at_a_disk_that_fails_and_goes_on_from_the_step_before(
    call, code, unbroken, split, tmp_path, monkeypatch
):
    whole, _ = unbroken(denoiser)

    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    def break_disk(progress, wait):
        if progress.step == 10:
            patch.setattr(checkpoint.os, call, fail)

    with monkeypatch.context() as patch, pytest.raises(OSError, match=os.strerror(code)):
        patch.setattr(loop, "CHUNK_SECONDS", 0.0)  # looks after every step
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(loop, "CHECKPOINT_SHARE", np.inf)
        run(denoiser(), split, tmp_path / "cut", on_chunk=break_disk)
    assert Checkpoints(tmp_path / "cut").newest() == 9, "checkpoints are written inside epochs, too"
    resumed = denoiser()
    run(resumed, split, tmp_path / "cut")
    for a, b in zip(whole, state(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_model_changes_nothing(tmp_path):
    Checkpoints(tmp_path).save(classifier(), {"step": 1})
    model = denoiser()
    before = state(model)
    assert Checkpoints(tmp_path).restore(model) is None
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_stops_at_a_loss_that_is_not_finite_and_keeps_the_checkpoint(split, tmp_path):
    model = denoiser()
    with pytest.raises(InputError, match="reconstruction became nan"):

        def poison(row):
            if row["epoch"] == 1:
                Checkpoints(tmp_path).save(model, dataclasses.asdict(loop.Progress(step=STEPS, epoch=1)))
                model.set_weights([w * np.nan for w in model.get_weights()])

        run(model, split, tmp_path, on_epoch=poison)
    fresh = denoiser()
    fresh.optimizer.build(fresh.trainable_variables)
    assert Checkpoints(tmp_path).restore(fresh)["step"] == STEPS
    assert all(np.isfinite(w).all() for w in fresh.get_weights())


def test_keeps_the_best_epoch_and_stops_early(split, tmp_path):
    rows, weights = [], []
    model = denoiser()
    model.compile(keras.optimizers.SGD(1e-3))

    def note(row):
        rows.append(row)
        weights.append(model.get_weights())
        model.optimizer.learning_rate = -1e-2 if row["epoch"] == 2 else 1e-3  # the third epoch climbs uphill

    plan = Plan(20, STEPS, monitor="val_loss", mode="min", patience=2)
    validation = lambda: kerasae.data.in_order(split, 64, labels=model.takes_labels)  # noqa: E731
    run(model, split, tmp_path, plan, validation=validation, on_epoch=note)
    best = int(np.argmin([row["val_loss"] for row in rows]))
    assert len(rows) == best + 1 + 2
    for a, b in zip(weights[best], model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_equals_keras_fit_on_the_same_batches(split, tmp_path):
    """The loop of our own and `fit` take the same steps."""
    ours, theirs = denoiser(), denoiser()
    run(ours, split, tmp_path)
    data = kerasae.data.batches(split, BATCH, seed=1, labels=False).take(STEPS * EPOCHS)
    theirs.fit(data, verbose=0, shuffle=False)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
