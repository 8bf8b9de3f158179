"""The commands that train and measure energy models, on a hundred small binary patterns."""

import os
import signal

import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.runs.progress_bar import ProgressBar
from kerasae.training.loop import Interrupted
from pipelines import evaluate, stacked, train


@pytest.fixture(scope="module")
def patterns(tmp_path_factory):
    """Rows of three bars that are on or off, with shares of 0.8, 0.5 and 0.2, and a pixel that is always on."""
    rng = np.random.default_rng(0)
    bars = (rng.random((160, 3)) < [0.8, 0.5, 0.2]).repeat(3, axis=1)
    x = np.concatenate([bars, np.ones((160, 1))], axis=1).astype("uint8")
    file = tmp_path_factory.mktemp("data") / "bars.npz"
    np.savez(file, x_train=x[:120], x_test=x[120:])
    return f"npz:{file}"


def recipe(data, out, variant="rbm", **changes):
    given = {"data": data, "out": str(out), "variant": variant, "code": 4, "epochs": 2, "batch_size": 20}
    return train.Recipe(**{**given, "holdout": 0.0, **changes})


def test_a_machine_looks_at_the_data_before_its_first_step(patterns, tmp_path):
    run = train.run(recipe(patterns, tmp_path / "rbm", learning_rate=1e-6))
    x = kerasae.data.load(patterns).train.arrays()[0]
    share = (x.sum(0) + 1.0) / (len(x) + 2.0)
    np.testing.assert_allclose(runs.load_model(run.path).visible_bias, np.log(share / (1 - share)), atol=1e-3)


def test_a_codebook_starts_from_the_data(patterns, tmp_path):
    """Its entries are codes of examples; without a look at the data they were small random numbers."""
    options = {"widths": (8,), "learning_rate": 1e-9, "options": {"entries": 3, "decay": 1.0}}
    run = train.run(recipe(patterns, tmp_path / "vq", "vector-quantized", **options))
    model = runs.load_model(run.path)
    z = np.asarray(model.encoder(kerasae.data.load(patterns).train.arrays()[0].astype("float32")))
    entries = np.asarray(model.codebook.vectors)
    assert np.abs(entries).max() > 0.1
    assert np.abs(z[:, None] - entries).max(-1).min(0).max() < 1e-3
    chosen = np.asarray(model.indices(kerasae.data.load(patterns).test.arrays()[0])).ravel()
    p = np.bincount(chosen)[np.bincount(chosen) > 0] / len(chosen)
    assert run.figures["test_codebook_used"] == pytest.approx(len(set(chosen.tolist())) / 3)
    assert run.figures["test_codebook_perplexity"] == pytest.approx(np.prod(p**-p))


def test_other_weights_are_not_adapted_again(patterns, tmp_path):
    first = train.run(recipe(patterns, tmp_path / "first", learning_rate=0.5))
    again = train.run(recipe(patterns, tmp_path / "again", start=str(first.path), learning_rate=1e-9))
    biases = [np.asarray(runs.load_model(run.path).visible_bias) for run in (first, again)]
    np.testing.assert_allclose(biases[1], biases[0], atol=1e-5)


@pytest.mark.parametrize("stop_at", [1, 7])
def test_a_stopped_run_goes_on_to_the_bit(patterns, tmp_path, monkeypatch, stop_at):
    options = {"options": {"chains": 20, "centring": 0.1}, "optimizer": "sgd"}
    whole = train.run(recipe(patterns, tmp_path / "whole", **options))

    def interrupt(self, progress, wait):
        if progress.step >= stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "show", interrupt)
    with pytest.raises(Interrupted):
        train.run(recipe(patterns, tmp_path / "cut", **options))
    monkeypatch.undo()
    resumed = train.run(recipe(patterns, tmp_path / "cut", **options))
    for one, other in zip(*(runs.load_model(run.path).get_weights() for run in (whole, resumed)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_evaluation_gives_the_likelihood_from_above_from_below_and_exactly(patterns, tmp_path):
    run = train.run(recipe(patterns, tmp_path / "rbm", epochs=100, learning_rate=0.05, options={"chains": 20}))
    asked = evaluate.Recipe(run=str(run.path), samples=50, temperatures=100, examples=30, generated=0)
    found = evaluate.run(asked).figures
    model, source = runs.load_model(run.path), kerasae.data.load(patterns)
    x = evaluate.drawn(source.test, asked).arrays()[0]
    exact = -np.asarray(model.score(x)).mean() - kerasae.evaluate.exact_log_z(model)
    assert found["log_likelihood_exact"] == pytest.approx(exact, abs=1e-4)
    assert abs(found["log_likelihood_forward"] - exact) < 0.2
    away = found["log_z_forward"] - found["log_z_exact"]
    assert found["log_z_exact_standard_error"] == 0 < found["log_z_forward_standard_error"]
    assert abs(away) < 5 * found["log_z_forward_standard_error"]
    assert abs(found["log_likelihood_reverse"] - exact) < 0.3
    assert found["reverse_examples"] == 30 and found["log_likelihood_reverse_standard_error"] > 0
    # Bars have 1.69 nats, pixels without their ties three times as many.
    assert exact > -3.5


def test_grey_values_are_no_density(tmp_path, capsys):
    run = train.run(recipe("digits", tmp_path / "rbm", epochs=1, batch_size=100))
    found = evaluate.run(evaluate.Recipe(run=str(run.path), samples=2, temperatures=2, examples=9, generated=9)).figures
    assert "grey_log_likelihood_forward" in found and "log_likelihood_forward" not in found
    assert "not a density" in capsys.readouterr().out


def belief(data, out, **changes):
    given = {"data": data, "out": str(out), "variant": "rbm", "widths": (6, 4), "supervised": False}
    return stacked.Recipe(**{**given, "pretrain_epochs": 2, "pretrain_batch": 20, **changes})


def test_stacked_machines_are_a_deep_belief_network(patterns, tmp_path):
    run = stacked.run(belief(patterns, tmp_path / "dbn", joint_epochs=1))
    model = runs.load_model(run.path)
    assert type(model) is kerasae.models.DeepBeliefNetwork and model.sample(3, seed=1, steps=2).shape == (3, 10)
    again = stacked.run(belief(patterns, tmp_path / "again", start=str(run.path), pretrain_rate=1e-9))
    for one, other in zip(model.encoder.weights, runs.load_model(again.path).encoder.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_machine_above_the_first_looks_at_the_codes_below(patterns, tmp_path):
    run = stacked.run(belief(patterns, tmp_path / "dbn", pretrain_rate=1e-6))
    bottom, top = runs.load_model(run.path).autoencoders
    codes = np.asarray(bottom.encode(kerasae.data.load(patterns).train.arrays()[0]))
    share = (codes.sum(0) + 1.0) / (len(codes) + 2.0)
    np.testing.assert_allclose(top.visible_bias, np.log(share / (1 - share)), atol=1e-3)


def test_settings_that_machines_cannot_follow_are_refused(patterns, tmp_path):
    for words, changes in {"activation: the codes of 'rbm' are sigmoid": {"activation": "relu"},
                           "tied: has no effect": {"tied": False}}.items():  # fmt: skip
        with pytest.raises(InputError, match=words):
            stacked.run(belief(patterns, tmp_path / "dbn", **changes))


def test_the_encoder_problem_is_solved_by_the_command_of_recirculation(tmp_path):
    options = {"code": 3, "optimizer": "sgd", "learning_rate": 20.0, "epochs": 60, "batch_size": 100}
    run = train.run(recipe("onehot:8", tmp_path / "run", "recirculation", **options))
    found = np.asarray(runs.load_model(run.path).reconstruct(np.eye(8, dtype="uint8")))
    np.testing.assert_array_equal(found > 0.5, np.eye(8) == 1)
    assert runs.load_model(run.path).code_shape == (3,) and "test_mse" in run.figures


def test_a_stochastic_network_takes_its_options_from_the_command(patterns, tmp_path):
    given = {"widths": (), "corruption": "salt_and_pepper", "corruption_level": (0.4,)}
    run = train.run(recipe(patterns, tmp_path / "gsn", "gsn", options={"walkback": 2.0, "code_noise": 0.1}, **given))
    model = runs.load_model(run.path)
    assert model.walkback == 2 and float(model.code_noise) == pytest.approx(0.1)
    assert model.corruption.rate == 0.4 and model.sample(3, seed=1, steps=2).shape == (3, 10)


def test_every_layer_takes_the_options_of_its_variant(patterns, tmp_path):
    options = {"options": {"chains": 20, "centring": 0.1}, "pretrain_optimizer": "sgd", "pretrain_rate": 0.05}
    first = stacked.run(belief(patterns, tmp_path / "dbn", **options))
    layers = runs.load_model(first.path).autoencoders
    assert [(layer.chains, layer.centring) for layer in layers] == [(20, 0.1), (20, 0.1)]
    again = stacked.run(belief(patterns, tmp_path / "again", start=str(first.path), pretrain_optimizer="sgd"))
    assert runs.load_model(again.path).autoencoders[1].chains == 20
    with pytest.raises(InputError, match="has no option 'links'"):
        stacked.run(belief(patterns, tmp_path / "other", options={"links": 1}))
