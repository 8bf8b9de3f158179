"""The recipes for ImageNet: the published tables, and the whole way on a few small photos of mixed sizes."""

import io
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from kerasae.data import load
from pipelines import finetune, mae, probe, recipes
from pipelines.recipes import imagenet

SIZES = {"base": (0.65, 0.1, 100, 2e-3), "large": (0.75, 0.2, 50, 4e-3), "huge": (0.75, 0.3, 50, 4e-3)}
"""Size → layer decay, drop path, epochs and learning rate of fine-tuning: arXiv 2111.06377, table 9."""


@pytest.mark.parametrize("size", SIZES)
def test_pretraining_is_the_papers(size):
    """Table 8 and appendix A.1; 1600 epochs as for the best figures."""
    recipe = recipes.of("mae")[f"mae-imagenet-{size}"]()
    assert recipe.batch_size == 4096 and recipe.base_rate * 4096 / 256 == pytest.approx(2.4e-3)
    assert (recipe.epochs, recipe.warmup_epochs, recipe.weight_decay) == (1600, 40, 0.05)
    assert (recipe.crop, recipe.flip, recipe.patch) == (0.2, True, (14,) if size == "huge" else (16,))
    assert recipe.mask_ratio is None and recipe.normalize_targets is None  # the model's own: 0.75 and True


@pytest.mark.parametrize("size", SIZES)
def test_fine_tuning_is_the_papers(size):
    recipe = recipes.of("finetune")[f"mae-imagenet-{size}"]()
    assert (recipe.layer_decay, recipe.drop_path, recipe.finetune_epochs) == SIZES[size][:3]
    assert recipe.finetune_rate == pytest.approx(SIZES[size][3]) and recipe.finetune_batch == 1024
    assert recipe.warmup * recipe.finetune_epochs == pytest.approx(5)
    assert (recipe.mixup, recipe.cutmix, recipe.rand_augment, recipe.erasing) == (0.8, 1.0, 9.0, 0.25)
    assert (recipe.label_smoothing, recipe.weight_decay, recipe.min_rate) == (0.1, 0.05, 1e-6)


class KerasaePhotobook(tfds.core.GeneratorBasedBuilder):
    """JPEG photos of mixed sizes in the splits of ImageNet: those of the test have no labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        features = {"image": image, "label": tfds.features.ClassLabel(names=["dark", "light"])}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: photos(count, name == "test") for name, count in COUNTS.items()}

    def _generate_examples(self):
        raise NotImplementedError


COUNTS = {"train": 48, "validation": 16, "test": 8}


def photos(count, unlabelled):
    rng = np.random.default_rng(count)
    for i in range(count):
        pixels = rng.integers(0, 90, (40 + i % 9, 50 - i % 7, 3)) + 150 * (i % 2)
        data = io.BytesIO()
        Image.fromarray(pixels.astype("uint8")).save(data, "jpeg")
        yield i, {"image": io.BytesIO(data.getvalue()), "label": -1 if unlabelled else i % 2}


def test_the_whole_way_on_photos_of_mixed_sizes(tmp_path):
    """Pretrain, fine-tune and probe by the recipes, made small; dark and light photos are told apart."""
    KerasaePhotobook(data_dir=tmp_path / "tfds").download_and_prepare()
    data = {"data": "tfds:kerasae_photobook", "data_dir": str(tmp_path / "tfds"), "image_size": (32,)}
    small = {"width": 16, "depth": 2, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    pretrained = str(tmp_path / "mae")
    recipe = replace(
        imagenet.pretrained_base(), **data, **small, out=pretrained, epochs=3, warmup_epochs=1, batch_size=16
    )
    assert "test_loss" in mae.run(recipe).figures
    budget = {"finetune_epochs": 20, "finetune_batch": 16, "finetune_rate": 3e-3, "rand_augment": 0.0}
    tuned = finetune.run(replace(imagenet.tuned_base(), run=pretrained, baselines=False, **budget))
    assert tuned.figures["finetune_accuracy"] > 0.9
    probed = probe.run(
        replace(imagenet.probed_base(), run=pretrained, baselines=False, sgd_optimizer="sgd", sgd_batch=16)
    )
    assert probed.figures["sgd_probe_accuracy"] > 0.9


def test_what_is_reported_on_has_labels(tmp_path):
    KerasaePhotobook(data_dir=tmp_path).download_and_prepare()
    source = load("tfds:kerasae_photobook", data_dir=tmp_path, image_size=8)
    assert source.split("test").labels is None and source.test is source.split("validation") and source.has_test
