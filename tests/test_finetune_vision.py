"""Fine-tuning a vision transformer: from a run, with every option on; what each option does to the model."""

import csv
import json

import numpy as np
import pytest

import kerasae
from kerasae import runs
from kerasae.errors import InputError
from kerasae.training import devices, precision
from pipelines import finetune, train
from pipelines.fine_tuning import transformers

EVERYTHING = {
    "pooling": "mean_norm",
    "layer_decay": 0.7,
    "drop_path": 0.2,
    "min_rate": 1e-6,
    "ema": 0.8,
    "crop": 0.5,
    "flip": True,
    "rand_augment": 9.0,
    "erasing": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "precision": "bfloat16",
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "augment": "affine",
}


@pytest.fixture(scope="module")
def mae_run(tmp_path_factory):
    """A run that holds an untrained masked autoencoder of digits."""
    path = tmp_path_factory.mktemp("runs") / "mae"
    sizes = {"width": 16, "depth": 3, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    model = kerasae.models.MaskedAutoencoder(*kerasae.networks.vit((8, 8, 1), 2, **sizes), pixel_max=16.0)
    runs.Run(path, "mae", train.Recipe(variant="plain")).save_model(model)
    return path


def recipe(mae_run, **options):
    return finetune.Recipe(
        baselines=False,
        run=str(mae_run),
        data="digits",
        labels=60,
        finetune_epochs=2,
        finetune_batch=20,
        finetune_min_steps=1,
        **options,
    )


def test_every_option_together_and_again_to_the_bit(mae_run, tmp_path):
    first = finetune.run(recipe(mae_run, **EVERYTHING, out=str(tmp_path / "a"), holdout=0.2, scratch=False))
    finetune.run(recipe(mae_run, **EVERYTHING, out=str(tmp_path / "b"), holdout=0.2, scratch=False))
    assert runs.fingerprint(runs.load_model(tmp_path / "a")) == runs.fingerprint(runs.load_model(tmp_path / "b"))
    assert set(first.figures) == {"finetune_accuracy"}
    with open(tmp_path / "a" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["stage"] for row in rows] == ["finetune-1"] * 2
    assert all(0 < float(row["loss"]) < 5 and 0 <= float(row["val_accuracy"]) <= 1 for row in rows)
    model = runs.load_model(tmp_path / "a", kerasae.data.load("digits").info)
    assert kerasae.evaluate.classify(model, kerasae.data.load("digits").test).accuracy == pytest.approx(
        json.loads((tmp_path / "a" / "summary.json").read_text())["finetune_accuracy"]
    )


def built(mae_run, **options):
    source, asked = kerasae.data.load("digits"), recipe(mae_run, **options)
    with precision.computing_in(asked.precision):
        return finetune.build(runs.load_model(mae_run), source, asked, 0, fresh=False), asked


def test_only_transformers_are_fine_tuned_in_parts(mae_run, tmp_path):
    assert recipe(mae_run).divisible and not recipe(mae_run, jit=True).divisible
    other = runs.Run(tmp_path / "plain", "train", train.Recipe(variant="plain")).path
    assert not recipe(other).divisible


def test_parts_for_the_cores_make_the_steps_of_the_whole_batch(mae_run, tmp_path, monkeypatch):
    losses = []
    for parts, at_once in ((1, 1), (4, 2)):
        monkeypatch.setattr(devices, "parts", lambda recipe, batch, found=(parts, at_once): found)
        asked = recipe(mae_run, scratch=False, holdout=0.2, out=str(tmp_path / str(parts)))
        assert finetune.run(asked).figures.keys() == {"finetune_accuracy"}
        with open(tmp_path / str(parts) / "metrics.csv") as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_drop_path_rises_linearly_and_weights_stay(mae_run):
    classifier, _ = built(mae_run, drop_path=0.3)
    names = transformers.blocks(classifier.encoder)
    assert [classifier.encoder.get_layer(name).drop_path for name in names] == pytest.approx([0, 0.15, 0.3])
    plain, _ = built(mae_run)
    x = kerasae.data.load("digits").test.arrays()[0][:5]
    np.testing.assert_allclose(classifier.encode(x), plain.encode(x), rtol=1e-5, atol=1e-6)
    assert not np.allclose(classifier(x, training=True), classifier(x), atol=1e-4)


def test_precision_is_that_of_the_encoder_and_not_of_weights_and_logits(mae_run):
    (half, _), (full, _) = built(mae_run, precision="bfloat16"), built(mae_run)
    x = kerasae.data.load("digits").test.arrays()[0][:5]
    assert half.encode(x).dtype == "bfloat16" and half(x).dtype == "float32"
    assert {w.dtype for w in half.weights} == {"float32"}
    np.testing.assert_allclose(np.asarray(half.encode(x)).astype("float32"), full.encode(x), atol=0.1)


def test_the_optimiser_is_that_of_the_recipe(mae_run):
    classifier, asked = built(mae_run, **EVERYTHING)
    finetune.compile_classifier(classifier, asked, 100, 0.7)
    optimizer = classifier.optimizer
    scales = {path.split("/")[0]: scale for path, scale in optimizer.scales.items()}
    assert scales["vit_embed"] == pytest.approx(0.7**4) and scales["vit_block_2"] == pytest.approx(0.7)
    assert optimizer.weight_decay == 0.05 and optimizer.spare_tokens and optimizer.ema_momentum == 0.8
    assert float(optimizer._learning_rate(100)) == pytest.approx(1e-6, rel=1e-3)


def test_only_the_pretrained_encoder_is_held_back(mae_run, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(finetune, "fit", lambda *arguments: seen.append((arguments[1], arguments[-1])))
    finetune.run(recipe(mae_run, layer_decay=0.5, out=str(tmp_path / "a")))
    assert seen == [("finetune-1", 0.5), ("scratch-1", 1.0)]


def test_augmentations_in_the_order_of_the_recipe(mae_run):
    info, encoder = kerasae.data.load("digits").info, runs.load_model(mae_run).encoder
    chain = finetune.augmentation(recipe(mae_run, **EVERYTHING), info, encoder)
    names = [type(step).__name__ for step in chain.steps]
    assert names == ["RandomResizedCrop", "RandomFlip", "RandomAffine", "RandAugment", "RandomErasing"]
    assert chain.steps[3].maximum == chain.steps[4].maximum == 16.0
    assert (chain.steps[3].fill, chain.steps[4].mean) == (0.5, None)  # this encoder takes images as they are
    plain = recipe(mae_run)
    assert finetune.augmentation(plain, info, encoder) is None and transformers.mixing(plain, info) is None
    mix = transformers.mixing(recipe(mae_run, cutmix=0.5), info)
    assert (mix.classes, mix.mixup, mix.cutmix) == (10, 0.0, 0.5)


def test_fill_and_noise_are_those_of_the_encoders_images(mae_run):
    """As the reference fills with the mean and erases by normal noise in standardised images."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    encoder, _ = kerasae.networks.vit((8, 8, 3), 2, width=8, depth=1, heads=1, mean=mean, std=std)
    options = {"rand_augment": 9.0, "erasing": 0.25}
    chain = finetune.augmentation(recipe(mae_run, **options), kerasae.data.load("digits").info, encoder)
    assert (chain.steps[0].fill, chain.steps[1].mean, chain.steps[1].std) == (mean, mean, std)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layer_decay": 0.0}, "layer_decay: expected a number above 0, up to 1"),
        ({"rand_augment": 11.0}, "rand_augment: expected a number from 0 to 10"),
        ({"mixup": -1.0}, "mixup: expected a number from 0 up"),
        ({"drop_path": 1.0}, "drop_path: expected a share"),
        ({"min_rate": 1.0}, "min_rate: expected at most finetune_rate"),
        ({"layer_decay": 0.5, "freeze": True}, "layer_decay: with freeze"),
    ],
)
def test_options_out_of_range(options, says, mae_run, tmp_path):
    with pytest.raises(InputError, match=says):
        finetune.run(recipe(mae_run, **options, out=str(tmp_path / "a")))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("option", [{"mixup": 0.8}, {"erasing": 0.2}, {"rand_augment": 5.0}, {"crop": 0.5}])
def test_vectors_are_no_images(option, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 6)).astype("uint8"), np.arange(40) % 4
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    model = kerasae.models.Autoencoder(*kerasae.networks.dense((6,), 3, (4,)))
    runs.Run(tmp_path / "ae", "train", train.Recipe(variant="plain")).save_model(model)
    vectors = {"run": str(tmp_path / "ae"), "data": f"npz:{tmp_path / 'x.npz'}", "labels": 20}
    with pytest.raises(InputError, match=f"{next(iter(option))}: expected images"):
        finetune.run(finetune.Recipe(**vectors, **option))
    with pytest.raises(InputError, match="drop_path: .*no blocks"):
        finetune.run(finetune.Recipe(**vectors, drop_path=0.1))
