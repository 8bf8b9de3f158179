"""Class-conditional autoencoders by the commands: trained, measured, drawn, and refused without classes."""

from functools import partial

import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from pipelines import evaluate, latent, sample, train
from pipelines.command_line import main as cli
from pipelines.judging import changes


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


def test_samples_and_changes_of_class_are_judged(run, monkeypatch, tmp_path):
    monkeypatch.setattr(kerasae.evaluate, "trained_judge", partial(kerasae.evaluate.trained_judge, steps=40))
    asked = evaluate.Recipe(run=str(run.path), samples=1, examples=40, generated=40, out=str(tmp_path / "judged"))
    found = evaluate.run(asked).figures
    judged = {name for name in found if name.endswith(("_share", "_kept", "judge_accuracy"))}
    assert judged <= set(kerasae.evaluate.MEANINGS) and len(judged) == 14


def test_changes_are_those_of_decode_under_another_class():
    """A model that paints the class it is asked for without style, beside real images of that class."""
    source = kerasae.data.load("digits")
    x, y = source.train.arrays()
    typical = np.stack([x[y == label][0] for label in range(10)])

    class Painter:
        conditional = True

        def encode(self, x, y):
            return np.zeros((len(x), 1))

        def decode(self, z, y):
            return typical[y] / 16

    found = changes.figures_of_changes(Painter(), source, source.test, seed=0)
    assert found["changed_class_share"] > 0.95 and found["judge_accuracy"] > 0.95
    assert abs(found["changed_slant_kept"]) < 1e-6 and abs(found["restored_width_kept"]) < 1e-6
    assert found["random_class_share"] == pytest.approx(found["judge_accuracy"], abs=0.05)  # both of real images
    for name in ("slant", "width"):
        assert abs(found[f"random_{name}_kept"]) < 0.2 < found[f"nearest_{name}_kept"] < 1
    Painter.conditional = False
    assert changes.figures_of_changes(Painter(), source, source.test, seed=0) == {}


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
