"""The commands on ConvNeXt networks and a few real digits: pretrain, probe, fine-tune, export, and the mistakes."""

from dataclasses import replace

import keras
import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from pipelines import export, finetune, mae, probe, train

MASKED = mae.Recipe(
    data="digits",
    network="convnext",
    patch=(2,),
    widths=(8, 16),
    depths=(1, 2),
    kernel=3,
    decoder_width=16,
    mask_ratio=0.5,
    epochs=6,
    warmup_epochs=1,
    batch_size=60,
    base_rate=2e-2,
    crop=1.0,
    flip=False,
    pictures_every=6,
)
DENOISING = train.Recipe(
    data="digits",
    variant="denoising",
    network="convnext",
    patch=(4,),
    filters=(8, 16),
    depths=(1, 1),
    kernel=3,
    code=12,
    epochs=3,
    learning_rate=5e-3,
)


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    return mae.run(replace(MASKED, out=str(tmp_path_factory.mktemp("runs") / "mae")))


@pytest.fixture(scope="module")
def denoising(tmp_path_factory):
    return train.run(replace(DENOISING, out=str(tmp_path_factory.mktemp("runs") / "denoising")))


def test_masked_pretraining_learns_and_draws(masked):
    model, test = runs.load_model(masked.path), kerasae.data.load("digits").test.arrays()[0]
    keras.utils.set_random_seed(0)
    untrained = mae.build(MASKED, kerasae.data.load("digits").info, mae.statistics(MASKED, kerasae.data.load("digits")))
    assert np.mean(model.score(test)) < 0.9 * np.mean(untrained.score(test))
    assert (masked.path / "pictures" / "epoch-0006.png").is_file()


@pytest.mark.parametrize("run", ["masked", "denoising"])
def test_codes_are_probed(run, request):
    """Far above the 10 % of a guess, after seconds of training."""
    path, probes = request.getfixturevalue(run).path, probe.USUAL
    figures = probe.run(probe.Recipe(run=str(path), labels=(400,), probes=probes, baselines=False)).figures
    assert figures["probe_accuracy"] > 0.5 and figures["knn_accuracy"] > 0.4


def test_places_are_probed_by_attention(masked):
    recipe = probe.Recipe(
        run=str(masked.path), labels=(200,), probes=("attentive",), attentive_epochs=1, baselines=False
    )
    assert probe.run(recipe).figures["attentive_accuracy"] > 0.3


def tuned(path, **changes):
    settings = {"labels": 200, "finetune_epochs": 3, "finetune_batch": 50, "finetune_rate": 5e-3}
    settings |= {"scratch": False, "baselines": False}
    return finetune.Recipe(run=str(path), **{**settings, **changes})


def test_a_classifier_is_fine_tuned_and_served(masked, tmp_path):
    recipe = tuned(masked.path, layer_decay=0.8, drop_path=0.2, crop=0.8, mixup=0.2)
    directory = finetune.run(replace(recipe, out=str(tmp_path / "finetune")))
    classifier = runs.load_model(directory.path)
    blocks = [layer for layer in classifier.encoder.layers if isinstance(layer, kerasae.layers.ConvNextBlock)]
    assert [block.drop_path for block in blocks] == pytest.approx(np.linspace(0, 0.2, len(blocks)))
    assert directory.figures["finetune_accuracy"] > 0.3
    export.run(export.Recipe(run=str(directory.path), dest=str(tmp_path / "served")))
    assert (tmp_path / "served" / "saved_model.pb").is_file()  # written once it agrees in a fresh process


def test_a_denoising_encoder_is_fine_tuned(denoising, tmp_path):
    directory = finetune.run(tuned(denoising.path, layer_decay=0.8, out=str(tmp_path / "finetune")))
    assert directory.figures["finetune_accuracy"] > 0.3


def test_the_rate_of_a_layer_is_that_of_its_block(masked):
    source, asked = kerasae.data.load("digits"), tuned(masked.path)
    classifier = finetune.build(runs.load_model(masked.path), source, asked, 0, fresh=False)
    finetune.compile_classifier(classifier, asked, 100, 0.5)
    scales = {path.split("/")[0]: scale for path, scale in classifier.optimizer.scales.items()}
    assert scales["convnext_stem"] == 0.5**4 and scales["convnext_down_1"] == scales["convnext_block_1"] == 0.5**2


def test_half_precision_leaves_pixels_alone(masked):
    keras.config.set_dtype_policy("mixed_bfloat16")
    asked = tuned(masked.path)
    classifier = finetune.build(runs.load_model(masked.path), kerasae.data.load("digits"), asked, 0, fresh=False)
    policies = {layer.name: layer.dtype_policy.name for layer in classifier.encoder.layers}
    assert policies["convnext_patches"] == policies["convnext_standardised"] == "float32"
    assert policies["convnext_stem"] == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": (8,)}, "widths: has no effect on denoising convnext"),
        ({"activation": "tanh"}, "activation: has no effect on denoising convnext"),
        ({"network": "conv"}, "depths: has no effect on denoising conv"),
        ({"patch": (3,)}, "patch must be a multiple of 2"),
        ({"depths": (1,)}, "widths and depths must name the same stages"),
    ],
)
def test_settings_that_make_no_sense(changes, words, tmp_path):
    with pytest.raises(InputError, match=words):
        train.run(replace(DENOISING, **changes, out=str(tmp_path / "a")))
    assert not (tmp_path / "a" / "checkpoints").exists()


def test_a_convolutional_network_has_no_other_pooling(masked, tmp_path):
    with pytest.raises(InputError, match="pooling: .*no tokens"):
        finetune.run(tuned(masked.path, pooling="class", out=str(tmp_path / "a")))
