"""Masked autoencoders that go on from the weights of another, on images of another size and number of channels."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from pipelines import finetune, mae, probe
from pipelines.building import starting

RECIPE = mae.Recipe(data="digits", epochs=2, warmup_epochs=1, batch_size=256, crop=1.0, flip=False, pictures_every=0)


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    """The run of an untrained masked autoencoder of colour images, 12×16, in patches of 4×4."""
    path = tmp_path_factory.mktemp("colour")
    keras.utils.set_random_seed(1)
    sizes = {"width": 12, "depth": 1, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    pair = kerasae.networks.vit((12, 16, 3), 4, **sizes, learned_positions=True, mean=0.5, std=0.25)
    kerasae.models.MaskedAutoencoder(*pair, mask_ratio=0.5, normalize_targets=False).save(path / "model.keras")
    (path / "recipe.json").write_text(json.dumps({"command": "mae", "recipe": {"data": "folder:photos"}}))
    return path


@pytest.fixture(scope="module")
def grey(colour, tmp_path_factory):
    """The run that goes on from it on digits, 8×8 and grey."""
    return mae.run(replace(RECIPE, start=str(colour), out=str(tmp_path_factory.mktemp("grey") / "run")))


def test_a_run_starts_from_adapted_weights_and_trains_them(colour, grey):
    origin, start, end = (
        kerasae.saving.load_model(file)
        for file in (colour / "model.keras", grey.path / "start.keras", grey.path / "model.keras")
    )
    assert start.example_shape == end.example_shape == (8, 8, 1) and start.pixel_max == 16.0
    assert (start.mask_ratio, start.normalize_targets) == (0.5, False)
    expected = kerasae.networks.resize_vit(origin.encoder, (8, 8, 1), start.encoder.layers[1].mean, 1.0)
    for mine, theirs in zip(start.encoder.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)
    assert any(np.any(np.asarray(a) != b) for a, b in zip(start.weights, end.weights, strict=True))
    content = runs.read_recipe(grey.path)
    assert content["origin"] == runs.fingerprint(origin)


def test_the_run_resumes_and_refuses_other_weights(colour, grey, tmp_path):
    again = replace(RECIPE, start=str(colour), out=str(grey.path))
    assert mae.run(again).figures["epochs"] == 2
    (tmp_path / "recipe.json").write_text((colour / "recipe.json").read_text())
    other = kerasae.saving.load_model(colour / "model.keras")
    other.encoder.weights[0].assign(other.encoder.weights[0] + 1.0)
    other.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="start"):
        mae.run(replace(again, start=str(tmp_path)))


def test_a_run_of_minutes_resumes_with_the_weights_that_it_started_from(colour, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "measure", lambda *_, **__: runs.Cost(0.0, 0.0, 1.0))
    recipe = replace(RECIPE, start=str(colour), minutes=2.5 / 60, out=str(tmp_path / "run"))
    first = mae.run(recipe).figures
    assert first["epochs"] == 2 and mae.run(recipe).figures == first


def test_an_encoder_alone_rests_while_its_new_decoder_is_trained(colour, tmp_path):
    small = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    recipe = replace(RECIPE, start=str(colour), new_decoder=True, normalize_targets=True, out=str(tmp_path), **small)
    seen = []

    def fit(stage, model, *args, **options):
        seen.append((stage, [np.array(w) for w in model.encoder.weights]))
        return original(stage, model, *args, **options)

    directory = runs.Run(tmp_path / "run", "mae", recipe)
    original, directory.fit = directory.fit, fit
    source = kerasae.data.load("digits")
    model = mae.build(recipe, source.info, {"mean": 0.3, "std": 0.4}, starting.load_masked(colour))
    before = [np.array(w) for w in model.decoder.weights]
    mae.fit(directory, model, source, recipe)
    assert [stage for stage, _ in seen] == ["decoder", "mae"] and model.normalize_targets
    for first, second in zip(*(weights for _, weights in seen), strict=True):
        np.testing.assert_array_equal(first, second)
    assert any(np.any(a != np.asarray(b)) for a, b in zip(seen[1][1], model.encoder.weights, strict=True))
    assert any(np.any(a != np.asarray(b)) for a, b in zip(before, model.decoder.weights, strict=True))


def test_the_probe_shows_the_weights_before_adaptation(grey, tmp_path, monkeypatch):
    monkeypatch.setattr(kerasae.evaluate.convnet, "STEPS", 2)
    found = probe.run(probe.Recipe(run=str(grey.path), labels=(20,), out=str(tmp_path / "p"))).figures
    start = kerasae.saving.load_model(grey.path / "start.keras")
    source = kerasae.data.load("digits")
    rows = kerasae.data.balanced_subset(source.train.labels, 20, 0)
    x, test_x = (kerasae.evaluate.features(start, part) for part in (source.train.subset(rows), source.test))
    expected = kerasae.evaluate.linear_probe(x, source.train.labels[rows], test_x, source.test.labels).accuracy
    assert found["start_probe_accuracy"] == pytest.approx(expected)


def test_probes_and_fine_tuning_take_images_of_another_shape(colour, tmp_path, capsys):
    few = {"run": str(colour), "data": "digits", "baselines": False}
    probe.run(probe.Recipe(**few, labels=(20,), out=str(tmp_path / "p")))
    assert (
        "positions interpolated from 12×16 to 8×8, the first kernel's weights summed over 3 channels"
        in capsys.readouterr().out
    )
    finetune.run(finetune.Recipe(**few, labels=20, finetune_epochs=1, scratch=False, out=str(tmp_path / "f")))
    assert runs.load_model(tmp_path / "f").example_shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"width": 24}, "width: the weights of .* decide it"),
        ({"decoder_depth": 2}, "decoder_depth: the weights of .* decide it"),
        ({"decoder_epochs": 2}, "decoder_epochs: only with new_decoder"),
        ({"start": None, "new_decoder": True}, "new_decoder: only with start"),
        ({"normalize_targets": True}, "predicts pixels; leave it out, or give new_decoder"),
        ({"start": "weights.pth"}, "import it first: kerasae weights import weights.pth"),
        ({"start": "nothing"}, "nothing"),
        ({"data": "npz:odd"}, "4"),
    ],
)
def test_what_contradicts_the_weights_is_refused(changes, says, colour, tmp_path):
    if "data" in changes:
        np.savez(tmp_path / "odd.npz", x_train=np.zeros((8, 9, 9), "uint8"), x_test=np.zeros((4, 9, 9), "uint8"))
        changes = {"data": f"npz:{tmp_path / 'odd.npz'}"}
    with pytest.raises(InputError, match=says):
        mae.run(replace(RECIPE, **{"start": str(colour), "out": str(tmp_path / "run"), **changes}))
    assert not (tmp_path / "run").exists()


def test_other_models_are_no_start(tmp_path):
    kerasae.models.Autoencoder(*kerasae.networks.dense((8, 8, 1), 4, ())).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match="expected a masked autoencoder"):
        mae.run(replace(RECIPE, start=str(tmp_path / "m.keras"), out=str(tmp_path / "run")))
