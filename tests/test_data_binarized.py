"""Dynamic binarisation: new draws for every step, one fixed draw for all else, as often as the grey values say."""

import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from pipelines import evaluate, train


@pytest.fixture(scope="module")
def source():
    return kerasae.data.binarized(kerasae.data.load("digits"))


def test_values_are_black_or_white_and_as_frequent_as_the_grey_says(source):
    grey = kerasae.data.load("digits").train.arrays()[0] / 16
    drawn = source.train.arrays()[0]
    assert drawn.dtype == np.uint8 and set(np.unique(drawn)) == {0, 16}
    error = np.sqrt((grey * (1 - grey)).sum(0)) / len(grey)
    assert (np.abs((drawn / 16 - grey).mean(0)) <= 5 * error + 1e-6).all()
    certain = (grey == 0) | (grey == 1)
    np.testing.assert_array_equal(drawn[certain] / 16, grey[certain])


def test_evaluation_sees_one_draw_and_each_training_step_another(source):
    np.testing.assert_array_equal(source.test.arrays()[0], source.test.arrays()[0])
    some = source.train.subset(np.arange(50))
    steps = [np.sort(x, axis=0) for x, _ in kerasae.data.batches(some, 50, seed=0).take(3)]
    assert np.any(steps[0] != steps[1]) and np.any(steps[1] != steps[2])
    again = next(iter(kerasae.data.batches(some, 50, seed=0, start_step=2)))[0]
    np.testing.assert_array_equal(np.sort(again, axis=0), steps[2])


def test_splits_that_share_their_examples_still_do(source):
    assert source.train.shares_store(source.test) and source.info.binarized


def test_numbers_of_any_range_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.random.default_rng(0).normal(size=(20, 3)))
    with pytest.raises(InputError, match="are no chances"):
        kerasae.data.binarized(kerasae.data.load(f"npz:{tmp_path / 'x.npz'}"))


def test_a_run_on_drawn_images_has_a_likelihood(tmp_path, capsys):
    run = train.run(
        train.Recipe(variant="variational", binarize=True, code=4, widths=(16,), epochs=1, out=str(tmp_path / "run"))
    )
    figures = evaluate.run(evaluate.Recipe(run=str(run.path), samples=3, examples=20)).figures
    assert "nll_mean" in figures and figures["nll_mean"] > 5
    assert "grey values are chances" in capsys.readouterr().out
