"""Classes of pixels: masks as files, the segmenter and its loss, `kerasae segment` through the door to an export."""

import csv
import json

import keras
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from PIL import Image

import kerasae
from kerasae import data, evaluate, models, networks
from kerasae.errors import InputError
from kerasae.export import parity
from pipelines.command_line import main as cli

SIDE = 8


def picture(rng):
    """A noisy image [8, 8, 3] with a bright and a dark square, and its mask: 1 and 2 on ground 0."""
    image, mask = rng.integers(100, 140, (SIDE, SIDE, 3)), np.zeros((SIDE, SIDE), np.uint8)
    for label, value in ((1, 250), (2, 10)):
        top, left = rng.integers(0, 6, 2)
        image[top : top + 3, left : left + 3], mask[top : top + 3, left : left + 3] = value, label
    mask[0, 0] = 255
    return image.astype(np.uint8), mask


def write(folder, count=24, scale=1):
    """Write photos and masks, a third of them the test part; names classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        part = "test" if number % 3 == 0 else "train"
        image, mask = (x.repeat(scale, 0).repeat(scale, 1) for x in picture(rng))
        for kind in ("photos", "masks"):
            (folder / kind / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "photos" / part / f"{number}.png")
        data.write_mask(folder / "masks" / part / f"{number}.png", mask)
    (folder / "masks" / "classes.txt").write_text("ground\nbright\ndark\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos, masks and a masked autoencoder of the photos."""
    place = write(tmp_path_factory.mktemp("segment"))
    sizes = "--width 16 --depth 1 --heads 2 --decoder-width 8 --decoder-depth 1 --decoder-heads 2 --pictures-every 0"
    flags = f"--data folder:{place / 'photos'} --patch 4 {sizes} --epochs 1 --warmup-epochs 0 --crop 1"
    assert cli.main(["mae", *flags.split(), "--out", str(place / "mae")]) == 0
    return place


def said(capsys, *tokens):
    """The status of a command, and what it printed on each stream."""
    capsys.readouterr()
    status = cli.main([str(token) for token in tokens])
    return status, *capsys.readouterr()


# ---- figures and loss


def test_intersection_over_union_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    masks, named = rng.integers(0, 4, (5, 6, 7)).astype(np.uint8), rng.integers(0, 4, (5, 6, 7)).astype(np.uint8)
    masks[rng.random(masks.shape) < 0.2] = 255
    found, known = evaluate.measure_segmentation(masks, named, 5), masks != 255
    expected = sklearn.metrics.jaccard_score(masks[known], named[known], average=None, labels=range(4))
    np.testing.assert_allclose(found.iou[:4], expected)
    assert np.isnan(found.iou[4]) and found.mean_iou == pytest.approx(expected.mean())
    np.testing.assert_array_equal(
        found.confusions.sum(axis=0), sklearn.metrics.confusion_matrix(masks[known], named[known], labels=range(5))
    )
    metric = models.Segmenter(networks.vit((4, 4, 1), 4, width=4, depth=1, heads=1)[0], 4).metric()
    metric.update_state(masks, np.eye(4)[named])
    assert float(metric.result()) == pytest.approx(found.mean_iou, rel=1e-6)


def test_the_interval_of_a_difference_holds_it_and_is_empty_of_the_same():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (40, 5, 5)).astype(np.uint8)
    good = evaluate.measure_segmentation(masks, np.where(rng.random(masks.shape) < 0.9, masks, 0), 3)
    bad = evaluate.measure_segmentation(masks, np.where(rng.random(masks.shape) < 0.5, masks, 0), 3)
    difference, low, high = evaluate.iou_difference(good, bad)
    assert 0 < low < difference < high and difference == pytest.approx(good.mean_iou - bad.mean_iou)
    assert evaluate.iou_difference(bad, bad) == (0.0, 0.0, 0.0)


def test_loss_is_the_mean_of_labelled_pixels_of_each_image():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(3, 4, 5, 3)).astype("float32"), rng.integers(0, 3, (3, 4, 5))
    y[0, :2], y[2] = 255, 255
    weights = np.array([1.0, 2.0, 0.5])
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    each = [
        -np.mean([weights[c] * p[c] for c, p in zip(mask.ravel(), image.reshape(-1, 3), strict=True) if c < 255] or [0])
        for mask, image in zip(y, log_p, strict=True)
    ]
    np.testing.assert_allclose(models.PixelCrossentropy(weights).call(y, logits), each, rtol=1e-5)
    assert each[2] == 0 and float(models.PixelCrossentropy(weights)(y, logits)) == pytest.approx(
        np.mean(each), rel=1e-5
    )


# ---- the model


@pytest.mark.parametrize("patch", [4, (2, 4)])
def test_linear_head_puts_each_logit_at_its_pixel(patch):
    encoder = networks.vit((8, 8, 1), patch, width=4, depth=1, heads=1)[0]
    model, (rows, columns) = models.Segmenter(encoder, 3), (4, 4) if patch == 4 else patch
    kernel, bias = model.head.get_weights()
    pixels = np.random.default_rng(0).normal(size=(rows, columns, 3)).astype("float32")
    model.head.set_weights([np.zeros_like(kernel), pixels.reshape(bias.shape)])
    expected = np.tile(pixels, (8 // rows, 8 // columns, 1))
    np.testing.assert_allclose(model(np.zeros((1, 8, 8, 1)))[0], expected, rtol=1e-6)


def test_tokens_are_those_before_the_pooling():
    pooled, _ = networks.vit((8, 8, 1), 4, width=4, depth=1, heads=1, pooling="mean")
    x = np.random.default_rng(0).random((2, 8, 8, 1), "float32")
    tokens = networks.unpool(pooled)(x)
    assert tokens.shape[1] - 1 == 4 and networks.patches_of(pooled).patch == (4, 4)
    np.testing.assert_allclose(np.mean(tokens[:, 1:], axis=1), pooled(x), atol=1e-5)
    dense, _ = networks.dense((8, 8, 1), 4)
    with pytest.raises(InputError, match="in patches"):
        networks.unpool(dense)


@pytest.mark.parametrize(("build", "head"), [(networks.vit, "conv"), (networks.convnext, "linear")])
def test_a_segmenter_learns_what_can_be_seen(build, head):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = map(np.stack, zip(*(picture(rng) for _ in range(32)), strict=True))
    sizes = {"width": 16, "depth": 1, "heads": 2} if head == "conv" else {"widths": (16,), "depths": (1,), "kernel": 3}
    model = models.Segmenter(build((8, 8, 3), 4, **sizes)[0], 3, head, head_width=16)
    model.compile(keras.optimizers.Adam(0.01), model.loss_of([1.0, 3.0, 3.0]))
    model.fit(x, y, batch_size=32, epochs=30, verbose=0)
    answer = model.answer(x)
    assert evaluate.measure_segmentation(y, np.asarray(answer["classes"]), 3).mean_iou > 0.6
    np.testing.assert_allclose(np.sum(answer["probabilities"], axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"classes": 1}, "classes must be from 2"),
        ({"classes": 256}, "classes must be from 2"),
        ({"head": "deep"}, "head must be linear or conv"),
        ({"head_width": 0}, "must be > 0"),
        ({"encoder": networks.dense((8, 8, 3), 2)[0]}, "expected one of images in patches"),
    ],
)
def test_wrong_arguments_are_refused(settings, words):
    encoder = networks.vit((8, 8, 3), 4, width=4, depth=1, heads=1)[0]
    with pytest.raises(InputError, match=words):
        models.Segmenter(**{"encoder": encoder, "classes": 3} | settings)


# ---- masks


def test_masks_are_read_by_name_in_any_form_and_what_is_alone_is_counted(tmp_path):
    place = write(tmp_path)
    masks = place / "masks" / "train"
    expected = data.read_mask(masks / "1.png")
    Image.fromarray(expected).save(masks / "1.png")  # grey, not a palette
    (masks / "2.png").rename(masks / "other.png")
    found = data.with_masks(data.load(f"folder:{place / 'photos'}"), str(place / "masks"))
    train = found.splits["train"]
    row = [path.decode().endswith("/1.png") for path in train.paths].index(True)
    np.testing.assert_array_equal(train.masks[row], expected)
    assert found.class_names == ("ground", "bright", "dark") and (len(train), len(found.splits["test"])) == (15, 8)
    assert found.notes == ("1 image without a mask left out", "1 mask without an image left out: [train/other]")
    images, gathered = train.subset([row]).gather([0])
    np.testing.assert_array_equal(gathered[0], expected)
    np.testing.assert_array_equal(images[0], np.asarray(Image.open(place / "photos" / "train" / "1.png")))


@pytest.mark.parametrize(("stored", "size", "center"), [((9, 16), (8, 8), 1.0), ((40, 20), (6, 10), 0.8)])
def test_masks_are_cut_and_scaled_as_images_are(stored, size, center):
    mask = np.random.default_rng(0).integers(0, 9, stored).astype(np.uint8)
    scaled = data.pixel_masks.scaled_size(stored, size, center)
    whole = tf.image.resize(mask[..., None], scaled, method="nearest")[..., 0].numpy()
    top, left = ((a - b) // 2 for a, b in zip(scaled, size, strict=True))
    np.testing.assert_array_equal(data.fit_mask(mask, size, center), whole[top : top + size[0], left : left + size[1]])
    # A flat image and a mask with one edge stay together, and come back to where they were.
    edge = (np.arange(stored[1]) >= stored[1] // 2).astype(np.uint8)[None].repeat(stored[0], 0)
    image = data.images.resize(tf.constant(edge[..., None] * np.uint8(255)), size, center).numpy()[..., 0] > 127
    assert (data.fit_mask(edge, size, center) == image).mean() > 0.9
    back = data.unfit_mask(data.fit_mask(edge, size, center), stored, center)
    assert back.shape == stored and (back[back != 255] == edge[back != 255]).mean() > 0.9


def break_size(place):
    data.write_mask(place / "masks" / "train" / "1.png", np.zeros((4, 6), np.uint8))


def break_colour(place):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(place / "masks" / "train" / "1.png")


def break_class(place):
    data.write_mask(place / "masks" / "train" / "1.png", np.full((8, 8), 7, np.uint8))


def break_names(place):
    for file in (place / "masks").rglob("*.png"):
        file.rename(file.with_name(f"x{file.name}"))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (break_size, ["4 x 6", "8 x 8", "1.png"]),
        (break_colour, ["in colour", "1.png"]),
        (break_class, ["holds class 7", "0 to 2"]),
        (break_names, ["has the name of an image"]),
    ],
)
def test_masks_that_do_not_fit_are_refused(harm, words, tmp_path):
    place = write(tmp_path, 6)
    harm(place)
    with pytest.raises(InputError) as error:
        data.with_masks(data.load(f"folder:{place / 'photos'}"), str(place / "masks"))
    assert all(word in str(error.value) for word in words), error.value


def test_images_and_masks_are_mirrored_together():
    images = np.arange(16 * 2 * 4).reshape(16, 2, 4, 1)
    seeds = np.stack([np.zeros(16), np.arange(16)], axis=1).astype("int32")
    turned, masks = data.MirrorBoth()(tf.constant(images), tf.constant(images[..., 0]), tf.constant(seeds))
    np.testing.assert_array_equal(turned[..., 0], masks)
    mirrored = [bool((new == old[:, ::-1]).all()) for new, old in zip(turned.numpy(), images, strict=True)]
    assert 2 < sum(mirrored) < 14


def test_classifiers_of_pixels_see_colours_and_the_unet_more(tmp_path):
    place = write(tmp_path)
    found = data.with_masks(data.load(f"folder:{place / 'photos'}"), str(place / "masks"))
    train, test = found.splits["train"], found.splits["test"]
    iou = {
        name: evaluate.measure_segmentation(
            test.masks, baseline(train, test, 3, **({"steps": 40} if "U-Net" in name else {})), 3
        ).mean_iou
        for name, baseline in evaluate.PIXEL_BASELINES.items()
    }
    assert iou.pop("most frequent class") < 0.35 and min(iou.values()) > 0.6, iou


# ---- the command


def test_from_masks_to_figures_pictures_predictions_and_an_export(place, capsys):
    run, masks = place / "mae" / "segment-linear-8", place / "masks"
    flags = "--labels 8 --epochs 2 --scratch-epochs 2 --min-steps 2 --flip --class-weights balanced"
    command = ["segment", place / "mae", "--masks", masks, *flags.split(), "--no-baselines"]
    status, printed, _ = said(capsys, *command)
    assert status == 0 and "the same network from scratch" in printed and "6 labelled images" in printed
    figures = json.loads((run / "summary.json").read_text())
    assert {"pretrained_mean_iou", "scratch_mean_iou", "segment_verdict"} <= set(figures)
    model = kerasae.runs.load_model(run)
    files = sorted((place / "photos" / "test").glob("*.png"))
    x, y = (np.stack([np.asarray(Image.open(f)) for f in paths])
            for paths in (files, [masks / "test" / f.name for f in files]))  # fmt: skip
    named, known = np.asarray(model.segment(x)), y != 255
    expected = sklearn.metrics.jaccard_score(y[known], named[known], average=None, labels=range(3), zero_division=0)
    with (run / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["ground", "bright", "dark"]
    np.testing.assert_allclose([float(row["pretrained"]) for row in rows], expected, atol=1e-5)
    assert (run / "segments.png").stat().st_size > 1000

    assert said(capsys, "export", run, place / "exported")[0] == 0
    card = json.loads((place / "exported" / "card.json").read_text())
    assert card["labels"] == {"kind": "pixels", "names": ["ground", "bright", "dark"]}
    for model_of, to in ((run, "by_run"), (place / "exported", "by_export")):
        assert said(capsys, "predict", model_of, place / "photos" / "test", "--to", place / to)[0] == 0
        for file, mask in zip(files, named, strict=True):
            np.testing.assert_array_equal(data.read_mask(place / to / file.name), mask)
    assert said(capsys, *command, "--out", run)[0] == 0  # resumes


def test_images_of_another_size_have_masks_of_their_own_size(place, capsys, tmp_path):
    large = write(tmp_path, 9, scale=2)  # 16 × 16
    options = ["--data", f"folder:{large / 'photos'}", "--masks", large / "masks", "--epochs", "1", "--no-scratch"]
    status, printed, _ = said(capsys, "segment", place / "mae", *options, "--no-baselines", "--out", tmp_path / "run")
    assert status == 0 and "positions interpolated from 8×8 to 16×16" in printed
    status, *_ = said(capsys, "predict", tmp_path / "run", place / "photos" / "test", "--image-size", "16",
                      "--to", tmp_path / "to")  # fmt: skip
    assert status == 0 and data.read_mask(tmp_path / "to" / "0.png").shape == (8, 8)
    assert (tmp_path / "to" / "sheet.png").stat().st_size > 1000


MISTAKES = [
    ("segment {place}/mae --masks {place}/nowhere", "is no folder"),
    ("segment {place}/mae --masks {place}/masks --labels 1", "expected 2 to 16"),
    ("segment {place}/mae --masks {place}/masks --class-weights 1 2", "3 numbers"),
    ("segment {place}/mae --masks {place}/masks --holdout 0 --patience 2", "needs a holdout"),
    ("segment {place}/mae --masks {place}/masks --data digits", "folder:DIR"),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES)
def test_mistakes_are_one_line(line, words, place, capsys):
    status, _, error = said(capsys, *line.format(place=place).split(), "--out", place / "refused")
    assert status == 2 and words in error and error.count("\n") == 1, error


def test_classes_may_differ_between_export_and_model_only_where_they_are_as_probable():
    probabilities = np.array([[[0.5, 0.5 - 1e-7, 1e-7]], [[0.6, 0.4, 0.0]]], "float32")
    own = np.array([[0], [0]], np.uint8)
    assert parity.settled(own, np.array([[1], [0]], np.uint8), probabilities, 1e-5).tolist() == [[1], [0]]
    assert parity.settled(own, np.array([[2], [1]], np.uint8), probabilities, 1e-5).tolist() == [[0], [0]]
