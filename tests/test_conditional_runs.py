"""Class-conditional autoencoders by the commands: trained, measured, drawn, and refused without classes."""

import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from pipelines import evaluate, latent, sample, train
from pipelines.command_line import main as cli


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("conditional") / "run")
    recipe = train.Recipe(variant="variational", conditional=True, code=2, widths=(64,), epochs=15, out=out)
    return train.run(recipe)


def test_training_measures_reconstructions_under_the_right_class(run):
    model, test = kerasae.runs.load_model(run.path), kerasae.data.load("digits").test
    x, y = test.arrays()
    assert model.conditional and model.condition_width == 10
    mse = float(np.square(np.array(model.reconstruct(x, y)) - x / 16).mean())
    assert run.figures["test_mse"] == pytest.approx(mse, rel=1e-4)
    wrong = float(np.square(np.array(model.reconstruct(x, (y + 1) % 10)) - x / 16).mean())
    assert mse < 0.9 * wrong


def test_evaluation_measures_the_likelihood_given_the_class(run):
    figures = evaluate.run(evaluate.Recipe(run=str(run.path), samples=3, examples=40, generated=0)).figures
    assert figures["cross_entropy_bound_mean"] > 5 and figures["mse"] > 0


def test_classes_are_drawn_by_name_and_under_one_code(run, tmp_path):
    found = sample.run(sample.Recipe(run=str(run.path), to=str(tmp_path / "threes"), n=4, label="3"))
    assert len(list(found.glob("*.png"))) == 5
    every = sample.run(sample.Recipe(run=str(run.path), to=str(tmp_path / "every"), n=2))
    assert len(list(every.glob("*.png"))) == 2 * 10 + 1
    pictures = latent.run(latent.Recipe(run=str(run.path), examples=2, stops=3, side=4)).figures["pictures"]
    assert pictures == "classes.png"


def test_a_map_says_that_the_encoder_was_given_the_classes(run, tmp_path, capsys):
    words = ["map", str(run.path), "--method", "pca", "--examples", "30", "--to", str(tmp_path / "map.html")]
    assert cli.main(words) == 0
    assert "the encoder was given the classes" in capsys.readouterr().out


def test_a_condition_is_refused_without_classes_and_for_other_networks(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.random.default_rng(0).random((30, 8, 8), "float32"))
    unlabelled = kerasae.data.load(f"npz:{tmp_path / 'x.npz'}")
    with pytest.raises(InputError, match="has no classes"):
        train.check(train.Recipe(variant="variational", conditional=True), unlabelled)
    with pytest.raises(InputError, match="conditional: has no effect on plain convnext"):
        train.check(train.Recipe(network="convnext", conditional=True), kerasae.data.load("digits"))
