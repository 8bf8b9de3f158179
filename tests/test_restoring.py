"""Restoring images: tiles without seams, the residual network, holes, enlarging, and `kerasae restore`."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerasae
from kerasae import applications, data, layers, models, networks, ops
from kerasae.applications.restoring import cleaner, of_any_size
from kerasae.applications.tiles import Tiling, by_tiles
from kerasae.errors import InputError
from kerasae.evaluate import restoration
from kerasae.networks.residual_pair import reach
from pipelines.command_line import main as cli

RANDOM = np.random.default_rng(0)
PHOTO = RANDOM.uniform(size=(61, 77, 3)).astype("float32")


def spread(network, seed=1):
    """Give a network weights of which none is zero."""
    random = np.random.default_rng(seed)
    for weight in network.weights:
        weight.assign(0.2 * random.normal(size=weight.shape))


@pytest.fixture(scope="module")
def model():
    """A denoiser of random weights, which answers to all of its receptive field."""
    encoder, decoder = networks.residual((8, 8, 3), code=4, blocks=1)
    spread(encoder), spread(decoder)
    return models.DenoisingAutoencoder(encoder, decoder, corruption=layers.GaussianCorruption(0.5, 0.05))


@pytest.fixture(scope="module")
def enlarger():
    pair = networks.residual((8, 8, 3), code=4, blocks=1)
    return models.DenoisingAutoencoder(*pair, corruption=layers.DownscaleCorruption(2))


@pytest.fixture(scope="module")
def masked():
    sizes = {"width": 8, "depth": 1, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    return models.MaskedAutoencoder(*networks.vit((16, 16, 3), 4, **sizes), normalize_targets=False)


# ---- tiles


@pytest.mark.parametrize(
    "tiling",
    [Tiling((16, 16), 8), Tiling((24, 16), 12, margin=5, multiple=4), Tiling((99, 99), 40), Tiling((16, 16), 12)],
)
def test_tiles_of_the_identity_give_the_image(tiling):
    assert np.abs(by_tiles(lambda tiles: tiles, PHOTO, tiling) - PHOTO).max() < 1e-6


def test_a_function_of_neighbours_within_the_margin_shows_no_seam():
    def blurred(tiles):  # a box of 5×5, of which zeros lie beyond the edge
        return tf.nn.avg_pool2d(tf.pad(tiles, [[0, 0], [2, 2], [2, 2], [0, 0]]), 5, 1, "VALID").numpy()

    whole = blurred(PHOTO[None])[0]
    found = by_tiles(blurred, PHOTO, Tiling((16, 16), 8, margin=2))
    np.testing.assert_allclose(found[:58, :74], whole[:58, :74], atol=1e-6)
    seams = by_tiles(blurred, PHOTO, Tiling((16, 16), 8, margin=0))
    assert np.abs(seams - whole)[:58, :74].max() > 1e-3


def test_no_more_tiles_than_a_batch_are_in_memory():
    sizes = []
    by_tiles(lambda tiles: sizes.append(len(tiles)) or tiles, PHOTO, Tiling((16, 16), 8), batch_size=3)
    assert max(sizes) == 3 and sum(sizes) == 7 * 9


@pytest.mark.parametrize("tiling", [Tiling((16, 16), 8, margin=4), Tiling((16, 16), 16), Tiling((15, 16), 8, 0, 2)])
def test_tiles_without_room_are_refused(tiling):
    with pytest.raises(InputError, match="tiling: expected"):
        by_tiles(lambda tiles: tiles, PHOTO, tiling)


# ---- patches


def test_patches_are_parts_of_the_images_turned_and_mirrored():
    image = np.arange(20 * 30, dtype="uint16").reshape(20, 30, 1)
    found = data.cut_patches([image, image], side=5, count=40, seed=2)
    assert found.shape == (80, 5, 5, 1) and found.dtype == "uint16"
    np.testing.assert_array_equal(found, data.cut_patches([image, image], side=5, count=40, seed=2))
    steps = set()
    for patch in found[..., 0].astype(int):
        top, left = divmod(patch.min(), 30)
        assert sorted(patch.ravel()) == sorted(image[top : top + 5, left : left + 5].ravel())
        steps.add((patch[1, 0] - patch[0, 0], patch[0, 1] - patch[0, 0]))
    assert steps == {(a, b) for one, other in ((1, 30), (30, 1)) for a in (one, -one) for b in (other, -other)}
    for images, words in (([image[:4]], "at least 5"), ([], "at least one"), ([image, image.astype("uint8")], "uint8")):
        with pytest.raises(InputError, match=words):
            data.cut_patches(images, 5, 1)


# ---- layers, networks


def test_pixels_move_to_channels_as_tensorflow_moves_them():
    x = RANDOM.normal(size=(2, 6, 9, 4)).astype("float32")
    np.testing.assert_array_equal(layers.SpaceToDepth(3)(x), tf.nn.space_to_depth(x, 3))
    z = RANDOM.normal(size=(2, 2, 3, 18)).astype("float32")
    np.testing.assert_array_equal(layers.DepthToSpace(3)(z), tf.nn.depth_to_space(z, 3))


def test_the_level_of_noise_is_drawn_per_example_between_its_bounds():
    noise = np.asarray(layers.GaussianCorruption(0.5, least=0.1, seed=3)(np.zeros((200, 4000), "float32")))
    levels = noise.std(axis=1)
    assert 0.09 < levels.min() < 0.13 and 0.47 < levels.max() < 0.52 and abs(levels.mean() - 0.3) < 0.03
    with pytest.raises(InputError, match="least"):
        layers.GaussianCorruption(0.5, least=0.6)


def test_downscaling_averages_and_enlarging_is_bicubic():
    x = RANDOM.uniform(size=(1, 28, 24, 2)).astype("float32")
    small = np.asarray(ops.shrink_images(x, 2))
    np.testing.assert_allclose(small, x.reshape(1, 14, 2, 12, 2, 2).mean(axis=(2, 4)), rtol=1e-5)
    large = np.asarray(ops.enlarge_images(small, 2))
    for channel in range(2):  # Pillow's kernel is Keys's with a = −0.5 too
        expected = Image.fromarray(small[0, ..., channel]).resize((24, 28), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(large[0, 4:-4, 4:-4, channel], np.asarray(expected)[4:-4, 4:-4], atol=1e-5)
    np.testing.assert_allclose(layers.DownscaleCorruption(2)(x), large, atol=1e-6)
    with pytest.raises(InputError, match="does not divide"):
        layers.DownscaleCorruption(5)(x)


def test_training_starts_at_the_identity():
    encoder, decoder = networks.residual((6, 9, 2), code=4, blocks=1, shrink=3)
    x = RANDOM.uniform(size=(2, 6, 9, 2)).astype("float32")
    np.testing.assert_allclose(decoder(encoder(x)), x, atol=1e-6)


def test_without_biases_a_brighter_image_gives_a_brighter_result(model):
    x = PHOTO[None, :8, :8]
    once, thrice = (np.asarray(model.decoder(model.encoder(scale * x))) for scale in (1, 3))
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-4, atol=1e-4)


def test_outputs_depend_on_no_more_pixels_than_reach_says(model):
    function, tiling = of_any_size(model, PHOTO.shape)
    other = PHOTO[:60, :76].copy()
    other[30, 38] += 1
    changed = np.abs(np.asarray(function(other[None])) - np.asarray(function(PHOTO[None, :60, :76])))[0].max(-1)
    far = max(np.abs(np.argwhere(changed > 0) - (30, 38)).max(axis=0))
    assert tiling.margin - 3 <= far <= tiling.margin == reach(model.encoder) + reach(model.decoder)


def test_resizing_is_refused_for_networks_of_one_size():
    with pytest.raises(InputError, match="resize_residual"):
        networks.resize_residual(networks.conv((8, 8, 3), 4)[0], (None, None, 3))


# ---- models in use


def test_tiled_denoising_is_that_of_the_whole_image(model):
    function, tiling = of_any_size(model, PHOTO.shape)
    small = tiling._replace(side=(48, 40), overlap=2 * tiling.margin + 4)
    even = PHOTO[:60, :76]
    np.testing.assert_allclose(by_tiles(function, even, small), np.asarray(function(even[None]))[0], atol=1e-5)
    np.testing.assert_allclose(cleaner(model, even.shape, 4)(even), np.asarray(function(even[None]))[0], atol=1e-5)
    patch = PHOTO[:8, :8]
    expected = np.clip(model.reconstruct(patch[None])[0], 0, 1)
    np.testing.assert_allclose(applications.denoise(model, patch), expected, atol=1e-5)


def test_any_other_denoiser_works_on_tiles_of_its_own_size():
    dense = models.DenoisingAutoencoder(*networks.dense((8, 8, 3), 4, (5,)), "bernoulli")
    assert applications.denoise(dense, 3 * PHOTO - 1).shape == PHOTO.shape  # noise beyond the range is cut off
    patch = PHOTO[:8, :8]
    np.testing.assert_allclose(applications.denoise(dense, patch), dense.reconstruct(patch[None])[0], atol=1e-5)


def test_known_pixels_are_kept_and_hidden_ones_have_no_effect(model, masked):
    hidden = np.zeros(PHOTO.shape[:2], bool)
    hidden[20:27, 30:38] = True
    other = np.where(hidden[..., None], np.float32(0.5), PHOTO)
    for chosen in (masked, model):
        found = applications.inpaint(chosen, PHOTO, hidden)
        np.testing.assert_array_equal(found[~hidden], PHOTO[~hidden])
        np.testing.assert_array_equal(found, applications.inpaint(chosen, other, hidden))
        assert np.abs(found - PHOTO)[hidden].max() > 0.01


def test_a_masked_autoencoder_fills_in_what_it_reconstructs(masked):
    image, hidden = PHOTO[:16, :16], np.zeros((16, 16), bool)
    hidden[4:8, 8:12] = True
    noise = np.zeros((1, 16), "float32")
    noise[0, 6] = 1
    alike = models.MaskedAutoencoder(masked.encoder, masked.decoder, mask_ratio=1 / 16, normalize_targets=False)
    np.testing.assert_allclose(
        applications.inpaint(masked, image, hidden), alike.reconstruct(image[None], noise)[0], atol=1e-5
    )


def test_enlarging_starts_at_the_bicubic_image(enlarger):
    found = applications.superresolve(enlarger, PHOTO)
    np.testing.assert_allclose(found, np.clip(ops.enlarge_images(PHOTO[None], 2)[0], 0, 1), atol=1e-5)
    with pytest.raises(InputError, match="scale 2. Received: 3"):
        applications.superresolve(enlarger, PHOTO, 3)


def test_what_cannot_be_restored_is_refused(model, masked):
    hidden = np.ones((16, 16), bool)
    hidden[0, 0] = False
    refused = {
        "to denoise expected a DenoisingAutoencoder": lambda: applications.denoise(masked, PHOTO),
        r"expected \[H, W, 3\]": lambda: applications.denoise(model, PHOTO[..., :1]),
        "noise, not enlarging": lambda: applications.superresolve(model, PHOTO),
        "hides all of a tile": lambda: applications.inpaint(masked, PHOTO[:16, :16], hidden),
        "expected the size of the image": lambda: applications.inpaint(model, PHOTO, hidden),
        "hides nothing": lambda: applications.inpaint(model, PHOTO, np.zeros(PHOTO.shape[:2], bool)),
    }
    for words, call in refused.items():
        with pytest.raises(InputError, match=words):
            call()


# ---- figures


def test_psnr_and_ssim_are_those_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    noisy = np.clip(PHOTO + 0.1 * RANDOM.normal(size=PHOTO.shape), 0, 1)
    expected = metrics.peak_signal_noise_ratio(PHOTO, noisy, data_range=1.0)
    assert restoration.psnr(PHOTO, noisy) == pytest.approx(expected, rel=1e-6)
    assert restoration.ssim(PHOTO, PHOTO) == pytest.approx(1) and restoration.ssim(PHOTO, noisy) < 0.99
    assert np.isnan(restoration.ssim(PHOTO[:8], noisy[:8]))


def test_the_parameter_of_a_filter_is_the_best_on_the_images_that_choose():
    pytest.importorskip("skimage")
    clean = np.full((24, 24, 1), 0.5)
    noisy = clean + 0.2 * RANDOM.normal(size=clean.shape)
    median = restoration.denoising_filters()["median"]
    assert restoration.chosen(median, [noisy], [clean]) == 13
    assert restoration.chosen(median, [PHOTO], [PHOTO]) == 1


@pytest.mark.filterwarnings("error:Input image must be grayscale")
@pytest.mark.parametrize("channels", [1, 3])
def test_filters_keep_the_shape_of_grey_and_colour_and_reduce_noise(channels):
    pytest.importorskip("skimage")
    clean = np.full((24, 20, channels), 0.5, "float32")
    noisy = clean + 0.2 * RANDOM.normal(size=clean.shape).astype("float32")
    for name, method in restoration.denoising_filters().items():
        found = method.apply(noisy, None, method.parameters[-1])
        assert found.shape == clean.shape, name
        assert restoration.psnr(clean, found) > restoration.psnr(clean, noisy), name


# ---- the command


def said(capsys, *tokens):
    """The status of a command, and what it printed on each stream."""
    capsys.readouterr()
    status = cli.main([str(token) for token in tokens])
    return status, *capsys.readouterr()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images, a run of a denoiser and one of a plain autoencoder."""
    place = tmp_path_factory.mktemp("restore")
    for folder in ("train", "some"):
        (place / folder).mkdir()
    ground = np.linspace(0, 200, 16)[:, None, None] + np.zeros((16, 16, 3))
    for i in range(8):
        pixels = (ground + RANDOM.uniform(0, 50, (1, 1, 3))).astype("uint8")
        Image.fromarray(pixels).save(place / "train" / f"{i}.png")
    Image.fromarray(np.kron(pixels, np.ones((2, 3, 1), "uint8"))[:31, :43]).save(place / "some" / "colour.png")
    Image.fromarray(pixels[..., 0]).save(place / "some" / "grey.png")
    Image.fromarray(pixels[..., 0].astype("uint16") * 257).save(place / "some" / "deep.png")
    common = f"--data folder:{place / 'train'} --epochs 1 --batch-size 4 --holdout 0".split()
    small = "--network residual --code 4 --blocks 1".split()
    noise = "--corruption gaussian --corruption-level 0.5 --corruption-least 0.1".split()
    assert cli.main(["train", "denoising", *common, *small, *noise, "--out", str(place / "run")]) == 0
    assert cli.main(["train", "plain", *common, "--widths", "8", "--code", "2", "--out", str(place / "plain")]) == 0
    return place


def test_files_keep_size_depth_and_colour(place, capsys):
    status, out, _ = said(capsys, "restore", place / "run", place / "some", "--to", place / "found")
    assert status == 0 and "3 images by DenoisingAutoencoder" in out
    found = {path.stem: np.asarray(Image.open(path)) for path in (place / "found").iterdir()}
    assert {name: (image.shape, image.dtype.name) for name, image in found.items()} == {
        "colour": ((31, 43, 3), "uint8"),
        "grey": ((16, 16), "uint8"),
        "deep": ((16, 16), "uint16"),
    }
    model = kerasae.runs.load_model(place / "run")
    assert type(model.likelihood).__name__ == "Gaussian"  # by itself, as the network adds to pixels
    pixels = np.asarray(Image.open(place / "some" / "colour.png")) / np.float32(255)
    np.testing.assert_allclose(found["colour"] / 255, applications.denoise(model, pixels), atol=0.51 / 255)


def test_the_table_names_every_filter_and_the_winner(place, capsys):
    pytest.importorskip("skimage")
    status, out, _ = said(capsys, "restore", place / "run", place / "some", "--noise", "0.2")
    assert status == 0
    for words in ("damaged", "this model", "median", "non-local means", "total variation", "chosen on 1 other"):
        assert words in out
    damaged = float(next(line for line in out.splitlines() if line.startswith("damaged")).split()[1])
    assert 13.5 < damaged < 16  # 20 log₁₀(1 / 0.2) = 14, and a little more as black and white are clipped


def test_a_rectangle_is_filled_in_beside_what_filters_make_of_it(place, capsys):
    pytest.importorskip("skimage")
    options = ("--task", "inpaint", "--rectangle", 3, 4, 5, 6, "--clean", place / "some", "--to", place / "whole")
    status, out, _ = said(capsys, "restore", place / "run", place / "some" / "grey.png", *options)
    assert status == 0 and "biharmonic" in out
    before, after = (np.asarray(Image.open(place / folder / "grey.png")).copy() for folder in ("some", "whole"))
    before[3:8, 4:10] = after[3:8, 4:10] = 0
    np.testing.assert_array_equal(before, after)


def test_mistakes_are_one_line_and_write_nothing(place, capsys):
    Image.fromarray(np.full((9, 9), 255, "uint8")).save(place / "mask.png")
    np.save(place / "bands.npy", np.zeros((8, 8, 5), "uint8"))
    (place / "broken.png").write_bytes(b"no image")
    grey, run = place / "some" / "grey.png", place / "run"
    for words, tokens in {
        "to denoise expected": (place / "plain", grey),
        "5 channels": (run, place / "bands.npy"),
        "cannot be read": (run, grey, place / "broken.png"),
        "does not exist": (run, place / "none.png"),
        "size of the image": (run, grey, "--task", "inpaint", "--mask", place / "mask.png"),
        "inside an image": (run, grey, "--task", "inpaint", "--rectangle", 3, 3, 20, 4),
        "needs either": (run, grey, "--task", "inpaint"),
        "scale: has no effect": (run, grey, "--scale", 3),
        "not enlarging": (run, grey, "--task", "superresolve"),
        "no image called": (run, grey, "--clean", place / "train"),
        "two files": (run, grey, place / "some"),
    }.items():
        status, _, err = said(capsys, "restore", *tokens, "--to", place / "never")
        assert (status, len(err.splitlines())) == (2, 1) and words in err, (words, err)
    assert not (place / "never").exists() and not list(place.glob(".restore*"))
    assert said(capsys, "restore", run, grey)[0] == 2
