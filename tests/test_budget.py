"""Minutes choose the epochs of a run: by what was measured, once, and with nothing else changed by the measuring."""

from dataclasses import replace

import keras
import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.runs.budget import Cost
from kerasae.training import checkpoint, loop, pace, processes
from kerasae.training.loop import Interrupted
from kerasae.training.pace import Pace
from pipelines import mae, stacked, train
from pipelines.command_line import main as cli

TRAIN = train.Recipe(variant="denoising", network="conv", filters=(3,), code=4, batch_size=300, holdout=0.2)
MAE = mae.Recipe(
    patch=(4,),
    width=12,
    depth=1,
    heads=2,
    decoder_width=12,
    decoder_depth=1,
    decoder_heads=2,
    batch_size=300,
    accumulate=2,
    pictures_every=0,
)
STACKED = stacked.Recipe(widths=(8, 4), pretrain_batch=300, joint_epochs=1, supervised=False)


@pytest.fixture
def clock(monkeypatch):
    """A clock that does not move: 2 s to start and 0.1 s a step; and each time it was read."""
    read = []

    def measured(model, batches, seconds):
        read.append(seconds)
        return Pace(spent=4.0, start=2.0, step=0.1)

    monkeypatch.setattr(pace, "measure", measured)
    return read


@pytest.mark.parametrize(("minutes", "epochs"), [(0.21, 1), (0.29, 1), (0.31, 2), (1.01, 9), (60.01, 599)])
def test_epochs_end_within_the_minutes(minutes, epochs):
    """By hand: six seconds before the first epoch, and six for each."""
    assert Cost(spent=4.0, start=2.0, epoch=6.0).epochs_within(minutes) == epochs


def test_a_larger_choice_than_a_recipe_may_hold_is_the_largest():
    assert Cost(0.0, 0.0, 1e-9).epochs_within(1e6) == 2**31 - 1


def test_validation_is_counted(clock):
    """The 1,150 digits to train on are 3 whole batches of 300; one batch of the 287 held out is a third of a step."""
    source = kerasae.data.load("digits")
    cost = train.cost(train.build(TRAIN, source.info), source, replace(TRAIN, minutes=1.0))
    assert cost == pytest.approx((4.0, 2.0, 0.1 * (3 + 1 / 3)))


@pytest.mark.parametrize("minutes", [0.01, 100.0])
def test_measuring_is_a_small_share_of_the_minutes(minutes, clock):
    source = kerasae.data.load("digits")
    train.cost(train.build(TRAIN, source.info), source, replace(TRAIN, minutes=minutes))
    assert clock == [min(3.0, 0.05 * 60 * minutes)]


@pytest.mark.parametrize(
    ("pipeline", "recipe", "field"),
    [
        pytest.param(train, TRAIN, "epochs", id="train"),
        pytest.param(mae, MAE, "epochs", id="mae", marks=pytest.mark.slow),
        pytest.param(stacked, STACKED, "pretrain_epochs", id="stacked"),
    ],
)
def test_measuring_changes_nothing_and_is_done_once(pipeline, recipe, field, tmp_path, monkeypatch, capsys):
    """The real measuring: a run by minutes is that of its epochs, to the bit, also if it is killed and repeated."""
    monkeypatch.setattr(Cost, "epochs_within", lambda self, minutes: 2)
    asked = replace(recipe, minutes=0.02)
    by_epochs = pipeline.run(replace(recipe, out=str(tmp_path / "epochs"), **{field: 2}, **warmup(recipe)))
    by_minutes = pipeline.run(replace(asked, out=str(tmp_path / "minutes")))
    kept = runs.read_recipe(by_minutes.path)["recipe"]
    assert (kept["minutes"], kept[field]) == (0.02, 2)
    assert f"{field} 2 for 0.02 minutes: " in capsys.readouterr().out

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(loop._Stop, "requested", True)
        pipeline.run(replace(asked, out=str(tmp_path / "cut")))
    monkeypatch.setattr(pace, "measure", None)
    resumed = pipeline.run(replace(asked, out=str(tmp_path / "cut")))
    assert "as this run chose before" in capsys.readouterr().out
    wanted = runs.load_model(by_epochs.path).get_weights()
    for directory in (by_minutes, resumed):
        assert all(map(np.array_equal, runs.load_model(directory.path).get_weights(), wanted))


def warmup(recipe):
    """By minutes, a tenth of these few steps, which is none, warms up."""
    return {"warmup_epochs": 0} if hasattr(recipe, "warmup_epochs") else {}


@pytest.mark.parametrize("minutes", [None, 5.0])
def test_few_minutes_do_not_end_in_the_warm_up(minutes):
    recipe = replace(MAE, epochs=30, warmup_epochs=10, minutes=minutes)
    assert mae.warmup_steps(recipe, 7) == (70 if minutes is None else 21)
    assert mae.warmup_steps(replace(recipe, epochs=200), 7) == 70


def test_measuring_restores_all_that_a_step_changes():
    keras.utils.set_random_seed(0)
    source = kerasae.data.load("digits")
    model = train.build(TRAIN, source.info)
    train.compile_model(model, 10, TRAIN)
    model.build_training()
    before = [keras.ops.convert_to_numpy(v) for v in checkpoint.state_variables(model)]
    seen = []

    def batches(step):
        seen.append(step)
        return kerasae.data.batches(source.train, 300, seed=0, start_step=step, labels=False)

    found = pace.measure(model, batches, 0.01)
    after = [keras.ops.convert_to_numpy(v) for v in checkpoint.state_variables(model)][: len(before)]
    assert seen == [0, 0] and min(found) > 0 and found.spent > found.start
    assert len(before) > 10 and all(map(np.array_equal, before, after))


def test_a_batch_that_cannot_be_shared_is_named_before_it_is_measured(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "replicas", lambda: 2)
    recipe = replace(TRAIN, minutes=1.0, batch_size=301, out=str(tmp_path / "run"))
    with pytest.raises(InputError, match="batch_size: 301 cannot be shared evenly by 2 devices"):
        train.run(recipe)
    assert not clock and not (tmp_path / "run").exists()


def test_too_few_minutes_leave_nothing(clock, tmp_path, capsys):
    words = ["train", "--widths", "8", "--batch-size", "300", "--minutes", "0.1", "--out", str(tmp_path / "run")]
    assert cli.main(words) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "minutes: expected at least 0.1" in message and "Received: 0.1;" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "line",
    [
        "train --epochs 3 --minutes 2",
        "train --recipe vae-digits --minutes 2 --epochs 120",
        "mae --minutes 2 --epochs 100",
        "stacked --minutes 2 --pretrain-epochs 5",
        "train --minutes 0",
        "train --minutes -1",
        "train --minutes nan",
        "train --minutes soon",
    ],
)
def test_mistakes_are_one_line(line, tmp_path, capsys):
    assert cli.main([*line.split(), "--out", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "minutes" in message
    assert ("both" in message) == ("epochs" in line)
    assert not (tmp_path / "run").exists()


def test_other_minutes_or_another_recipe_are_refused_without_measuring(clock, tmp_path):
    recipe = replace(TRAIN, minutes=0.13, out=str(tmp_path / "run"))  # 1.8 s for epochs of a third
    assert train.run(recipe).recipe.epochs == 5
    assert len(clock) == 1
    for changes in ({"minutes": 0.2}, {"code": 5}):
        with pytest.raises(InputError, match=r"another recipe \((minutes 0.13 there, 0.2|code 4 there, 5) here\)"):
            train.run(replace(recipe, **changes))
    assert len(clock) == 1


def test_a_choice_that_never_began_is_made_anew_for_another_recipe(clock, tmp_path, monkeypatch):
    recipe = replace(TRAIN, minutes=0.13, out=str(tmp_path / "run"))
    monkeypatch.setattr(runs.Run, "fit", lambda *args, **options: 1 / 0)
    for minutes, times in ((0.13, 1), (0.13, 1), (0.199, 2)):
        with pytest.raises(ZeroDivisionError):
            train.run(replace(recipe, minutes=minutes))
        assert len(clock) == times
    assert runs.read_recipe(tmp_path / "run")["recipe"]["epochs"] == 17


def test_layers_share_the_minutes(clock):
    """Two layers, each 5 steps of 0.1 s an epoch and 2 s to start; a joint epoch takes as long as one of both."""
    source = kerasae.data.load("digits")
    steps = kerasae.data.steps_per_epoch(source.train, 300)
    found = stacked.cost(source, replace(STACKED, minutes=1.0, joint_epochs=3))
    assert found == pytest.approx((8.0, 4.0 + 3 * 0.2 * steps, 0.2 * steps))
