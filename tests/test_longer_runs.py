"""A run whose epochs are raised goes on from its last checkpoint, and never passes an old result off as the new one."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.runs.budget import Cost
from kerasae.training import loop
from kerasae.training.checkpoint import Checkpoints
from kerasae.training.loop import Interrupted
from pipelines import probe, train
from pipelines.command_line import main as cli

PEAK = 1e-3
RECIPE = train.Recipe(
    variant="denoising", network="conv", filters=(3,), code=4, epochs=2, batch_size=300, learning_rate=PEAK, holdout=0.2
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run that has ended after two epochs by the cosine schedule."""
    return train.run(replace(RECIPE, out=str(tmp_path_factory.mktemp("runs") / "ended")))


@pytest.fixture
def copy(ended, tmp_path):
    """A function that copies the ended run; returns the recipe that raises its epochs there."""

    def copied(name, **changes):
        shutil.copytree(ended.path, tmp_path / name)
        return replace(RECIPE, out=str(tmp_path / name), **changes)

    return copied


def weights(directory):
    return runs.load_model(directory.path).get_weights()


def same(one, other):
    return all(map(np.array_equal, weights(one), weights(other)))


def interrupt(monkeypatch, recipe):
    """Stop a run after its first steps."""
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(loop._Stop, "requested", True)
        patch.setattr(loop, "CHUNK_SECONDS", 0.0)
        train.run(recipe)


def test_goes_on_by_the_schedule_of_the_new_length(ended, copy, capsys):
    longer = train.run(copy("longer", epochs=4))
    steps = kerasae.data.steps_per_epoch(train.splits(kerasae.data.load("digits"), RECIPE)[0], 300)
    rates = [float(row["learning_rate"]) for row in runs.read_rows(longer.path / "metrics.csv")]
    wanted = [PEAK * (1 + math.cos(math.pi * epoch / of)) / 2 for epoch, of in ((1, 2), (2, 2), (3, 4), (4, 4))]
    np.testing.assert_allclose(rates, wanted, atol=1e-9)
    assert longer.figures["epochs"] == 4 and not same(longer, ended)
    assert runs.read_recipe(longer.path)["recipe"]["epochs"] == 4
    said = capsys.readouterr().out
    assert f"epochs 2 → 4: goes on from step {2 * steps}; the cosine schedule is that of 4 epochs" in said
    train.run(longer.recipe)
    assert "→" not in capsys.readouterr().out


def test_raised_twice_is_raised_once_also_if_killed_in_between(copy, monkeypatch):
    once = train.run(copy("once", epochs=5))
    monkeypatch.setattr(loop._Loop, "_epochs", lambda *args: 1 / 0)  # raised, and stopped before a step
    with pytest.raises(ZeroDivisionError):
        train.run(twice := copy("twice", epochs=3))
    monkeypatch.undo()
    interrupt(monkeypatch, twice := replace(twice, epochs=5))
    interrupt(monkeypatch, twice)
    assert Checkpoints(f"{twice.out}/checkpoints/train").newest() > once.raised * 3
    assert same(train.run(twice), once)


def test_at_a_constant_rate_raised_is_never_stopped(tmp_path):
    """Where no schedule looks at the end, 1, 2 and then 4 epochs are 4 epochs, to the bit; the best epoch is kept."""
    steady = replace(RECIPE, schedule="constant", keep_best=True)
    whole = train.run(replace(steady, epochs=4, out=str(tmp_path / "whole")))
    for epochs in (1, 2, 4):
        raised = train.run(replace(steady, epochs=epochs, out=str(tmp_path / "raised")))
    assert same(raised, whole)
    losses = [[row["loss"] for row in runs.read_rows(run.path / "metrics.csv")] for run in (raised, whole)]
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_an_old_result_is_not_passed_off_as_the_new_one(ended, copy, monkeypatch):
    """A longer run that was killed has no summary; its model is the old one as a whole until the new one is."""
    recipe = copy("killed", epochs=4)
    assert runs.read_summary(recipe.out)["epochs"] == 2
    interrupt(monkeypatch, recipe)
    assert runs.read_summary(recipe.out) == {}
    assert all(map(np.array_equal, runs.load_model(recipe.out).get_weights(), weights(ended)))
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(runs.Run, "finish", lambda *args: 1 / 0)  # killed between model and summary
        train.run(recipe)
    assert runs.read_summary(recipe.out) == {}
    assert train.run(recipe).figures["epochs"] == 4 == runs.read_summary(recipe.out)["epochs"]


def test_a_kill_before_the_new_recipe_is_written_leaves_the_old_run_to_finish(ended, copy, monkeypatch):
    recipe = copy("early", epochs=4)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(runs.Run, "write_json", lambda *args: 1 / 0)
        train.run(recipe)
    assert runs.read_summary(recipe.out) == {}
    again = train.run(replace(recipe, epochs=2))
    assert again.raised is None and same(again, ended)
    assert runs.read_summary(recipe.out) == runs.read_summary(ended.path)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 1}, r"\(epochs 2 there, 1 here\)"),
        ({"epochs": 4, "code": 5}, r"code 4 there, 5 here.*epochs 2 there, 4 here"),
        ({"schedule": "constant"}, r"\(schedule 'cosine' there, 'constant' here\)"),
    ],
)
def test_fewer_epochs_and_other_changes_are_refused(changes, difference, copy):
    recipe = copy("refused", **changes)
    with pytest.raises(InputError, match=difference):
        train.run(recipe)
    assert runs.read_summary(recipe.out)["epochs"] == 2


def test_results_of_the_old_model_inside_the_run_are_named_first(copy):
    """A probe inside would stand beside a model that it did not see; nothing is changed before it is moved."""
    recipe = copy("probed", epochs=3)
    probed = probe.run(probe.Recipe(run=recipe.out, labels=(20,), baselines=False))
    with pytest.raises(InputError, match=r"its model of 2 epochs \(probe-20\)"):
        train.run(recipe)
    assert runs.read_summary(recipe.out)["epochs"] == runs.read_recipe(recipe.out)["recipe"]["epochs"] == 2
    shutil.rmtree(probed.path)
    assert train.run(recipe).figures["epochs"] == 3


def test_lowered_epochs_are_one_line(ended, capsys):
    words = "train denoising --network conv --filters 3 --code 4 --batch-size 300 --holdout 0.2 --epochs 1 --out"
    assert cli.main([*words.split(), str(ended.path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "epochs 2 there, 1 here" in message


def test_a_run_by_minutes_goes_on_to_given_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr(Cost, "epochs_within", lambda self, minutes: 2)
    recipe = replace(RECIPE, out=str(tmp_path / "run"), minutes=0.01)
    train.run(recipe)
    with pytest.raises(InputError, match="minutes 0.01 there, None here"):
        train.run(replace(recipe, minutes=None, epochs=1))
    longer = train.run(replace(recipe, minutes=None, epochs=3))
    assert longer.raised == 2 and longer.figures["epochs"] == 3
    with pytest.raises(InputError, match="minutes None there, 0.01 here"):
        train.run(recipe)


def test_a_training_that_lost_patience_stays_ended(tmp_path):
    """More epochs do not wake a stage that stopped because nothing got better."""
    model, source = train.build(RECIPE, kerasae.data.load("digits").info), kerasae.data.load("digits")
    split = source.train.subset(np.arange(600))
    train.compile_model(model, 10, replace(RECIPE, schedule="constant", learning_rate=1e-12))
    steps = []
    for epochs in (6, 12):
        plan = loop.Plan(epochs, 2, "val_loss", "max", 1)  # at this rate nothing gets better
        progress = loop.train(
            model,
            lambda step: kerasae.data.batches(split, 300, seed=0, start_step=step, labels=False),
            plan,
            Checkpoints(tmp_path / "stage"),
            validation=lambda: kerasae.data.in_order(split, 600, False),
        )
        steps.append(progress.step)
    assert steps[0] < 12 and steps[0] == steps[1]
