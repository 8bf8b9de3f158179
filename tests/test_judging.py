"""What `kerasae evaluate` says of codes and of samples."""

import types
from functools import partial

import numpy as np
import pytest

import kerasae
from kerasae import evaluate as measures
from kerasae.evaluate import MEANINGS
from pipelines import evaluate, train
from pipelines.judging import codes, collapse, samples

SMALL = {"epochs": 1, "widths": (32,), "code": 3}


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "vae"
    return train.run(train.Recipe(variant="variational", out=str(out), **{**SMALL, "epochs": 4}))


def test_a_variational_run_is_judged_by_codes_and_samples(digits_run, monkeypatch, capsys):
    monkeypatch.setattr(measures, "trained_judge", partial(measures.trained_judge, steps=40))
    asked = evaluate.Recipe(run=str(digits_run.path), samples=2, generated=200)
    found, said = evaluate.run(asked).figures, capsys.readouterr().out
    assert found["rate"] + found["distortion"] == pytest.approx(found["negative_elbo"], rel=1e-5)
    assert found["frechet_of_training"] < found["frechet"] and found["precision"] <= 1
    assert 0.3 < found["told_apart_of_training"] < 0.7 and found["generated"] == 200
    assert 0 <= found["code_nmi"] <= 1 and 0.5 < found["raw_nmi"] < 0.95
    assert "not Inception's" in said and "nats     what the code says of an example" in said
    assert (digits_run.path / "evaluate" / "nearest.png").stat().st_size > 5000
    unexplained = set(found) - set(MEANINGS) - {"judge", "mse", "sse", "psnr", "examples", "negative_elbo"}
    assert all(name.startswith("cross_entropy_bound") for name in unexplained)


def test_shapes_are_scored_by_their_factors(tmp_path, capsys):
    run = train.run(train.Recipe(variant="total-correlation", data="shapes", out=str(tmp_path / "shapes"), **SMALL))
    found = evaluate.run(evaluate.Recipe(run=str(run.path), samples=2, generated=50)).figures
    names = ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae_score")
    assert all(0 <= found[name] <= 1 for name in names)
    assert "no judge without images of known classes" in capsys.readouterr().out
    assert "frechet" not in found and "told_apart" in found and "code_nmi" not in found


def test_a_run_that_does_not_sample_has_its_codes_clustered(tmp_path):
    run = train.run(train.Recipe(variant="plain", out=str(tmp_path / "plain"), **SMALL))
    found = evaluate.run(evaluate.Recipe(run=str(run.path))).figures
    assert "code_ari" in found and not {"rate", "prior_p_value", "told_apart"} & set(found)


def test_few_test_examples_are_compared_with_nothing(digits_run, tmp_path, capsys):
    asked = evaluate.Recipe(run=str(digits_run.path), samples=2, examples=5, out=str(tmp_path / "few"))
    found = evaluate.run(asked).figures
    assert "rate" in found and not {"prior_p_value", "told_apart", "code_nmi"} & set(found)
    assert "samples are not judged" in capsys.readouterr().out


def test_samples_are_rounded_as_the_data_are_stored():
    info = kerasae.data.load("digits").info
    np.testing.assert_array_equal(samples.as_stored(np.array([-0.1, 0.49 / 16, 0.5, 1.2]), info, 0), [0, 0, 8, 16])
    binary = kerasae.data.load("onehot:4").info
    drawn = samples.as_stored(np.full(10_000, 0.3), binary, 0)
    assert {*np.unique(drawn)} == {0, 1} and drawn.mean() == pytest.approx(0.3, abs=0.02)


def test_samples_of_binarised_grey_values_are_black_or_white():
    grey = kerasae.data.binarized(kerasae.data.load("digits")).info
    drawn = samples.as_stored(np.full(10_000, 0.3), grey, 0)
    assert set(np.unique(drawn)) == {0, 16} and drawn.mean() == pytest.approx(0.3 * 16, abs=0.3)


def test_training_warns_of_a_collapsed_code(tmp_path, capsys):
    own = {**SMALL, "epochs": 12, "options": {"beta": 500.0}, "learning_rate": 5e-3}
    heavy = train.Recipe(variant="variational", out=str(tmp_path / "heavy"), **own)
    verdict = train.run(heavy).figures["collapse_verdict"]
    assert "collapsed" in verdict and "--anneal.beta 0" in verdict and "--options.free_bits" in verdict
    assert f"warning: {verdict}" in capsys.readouterr().out


def test_what_to_try_are_flags_that_the_variant_has():
    networks = kerasae.networks.dense((4,), code=2, posterior="gaussian")
    weighted = kerasae.models.ImportanceWeightedAutoencoder(*networks)
    assert collapse.ways(weighted) == ["more epochs, or another --learning-rate"]
    total = " ".join(collapse.ways(kerasae.models.TotalCorrelationAutoencoder(*networks)))
    assert "--anneal.beta" in total and "--options.beta" in total


def test_training_that_has_not_collapsed_warns_of_nothing(digits_run):
    assert "collapse_verdict" not in digits_run.figures


def test_a_conditional_model_is_asked_for_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(measures, "trained_judge", partial(measures.trained_judge, steps=40))
    source, directory = kerasae.data.load("digits"), types.SimpleNamespace(path=tmp_path)
    networks = kerasae.networks.dense((8, 8, 1), code=3, widths=(8,), posterior="gaussian", condition=10)
    model = kerasae.models.VariationalAutoencoder(*networks, pixel_max=16)
    found = samples.figures_of_samples(directory, model, source, source.test, 60, seed=0)
    asked = samples.asked_classes(model, source, 2000, seed=0)
    assert 0 <= found["asked_class_share"] <= 1 and np.bincount(asked).min() > 150, "as frequent as in training"
    of_codes = codes.figures_of_codes(model, source, source.test, seed=0)
    assert "prior_p_value" in of_codes and "code_nmi" in of_codes and "rate" not in of_codes
