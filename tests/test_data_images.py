"""Images as their owners mean them: orientation, transparency, depth, colour and bands, on files that are made here."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasae.data import RandomResizedCrop, batches, channel_statistics, load, statistics
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (4, 6, 3), np.uint8)
GREY = RNG.integers(0, 256, (4, 6), np.uint8)
DEEP = RNG.integers(0, 65536, (4, 6), np.uint16)
FLOATS = RNG.random((4, 6), np.float32)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **options) if mode else Image.fromarray(pixels).save(
        path, **options
    )
    return path


def only(folder, **options):
    """The pixels of the one image of a folder, and what is known of the data."""
    source = load(f"folder:{folder}", **options)
    assert source.info.counts == {"train": 1}
    return source.train.arrays()[0][0], source.info


# ---- orientation


def oriented(how):
    """What a picture is when its tag is `how`: the turns of EXIF 2.3, section 4.6.4, one by one with NumPy."""
    x = COLOURS
    return {
        1: x,
        2: x[:, ::-1],
        3: np.rot90(x, 2),
        4: x[::-1],
        5: np.rot90(x[:, ::-1], 1),
        6: np.rot90(x, -1),
        7: np.rot90(x[:, ::-1], -1),
        8: np.rot90(x, 1),
    }[how]


@pytest.mark.parametrize("how", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_orientation_is_applied(tmp_path, how, suffix):
    exif = Image.Exif()
    exif[274] = how
    save(tmp_path / f"a.{suffix}", COLOURS, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    got, info = only(tmp_path)
    assert info.shape == oriented(how).shape
    np.testing.assert_array_equal(got, oriented(how))


@pytest.mark.parametrize("how", [1, 6])
def test_orientation_of_photos_also_where_a_crop_is_cut(tmp_path, how):
    """A picture that is bright on the left, stored turned: the crops of it and of an upright one agree."""
    x = np.full((40, 60, 3), 60, np.uint8)
    x[:, :30] = 200
    exif = Image.Exif()
    exif[274] = how
    stored = np.rot90(x, 1) if how == 6 else x
    save(tmp_path / "turned" / "a.jpg", np.ascontiguousarray(stored), exif=exif, quality=95)
    save(tmp_path / "upright" / "a.png", x)
    crop, seeds = RandomResizedCrop((0.3, 0.6)), tf.constant([[1, i] for i in range(8)])
    turned, upright = (load(f"folder:{tmp_path / name}", image_size=16).train for name in ("turned", "upright"))
    assert abs(turned.arrays()[0].astype(int) - upright.arrays()[0]).mean() < 3
    a, b = (split.gather([0] * 8, crop, seeds)[0].numpy().astype(int) for split in (turned, upright))
    assert abs(a - b).mean() < 3 and b.std() > 20


def test_damaged_tags_say_nothing(tmp_path):
    save(tmp_path / "a.jpg", COLOURS, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert only(tmp_path)[1].shape == (4, 6, 3)


# ---- transparency


def clear():
    """RGBA whose colours under the transparent pixels are garish, half of it transparent, a pixel in between."""
    alpha = np.zeros((4, 6, 1), np.uint8)
    alpha[:, 3:] = 255
    alpha[0, 0] = 51  # a fifth
    return np.concatenate([COLOURS, alpha], axis=-1)


def over_white(rgba):
    share = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * share + 255 * (1 - share))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_what_is_transparent_is_laid_over_white(tmp_path, suffix):
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    save(tmp_path / f"a.{suffix}", clear(), **options)
    got, info = only(tmp_path)
    assert abs(got - over_white(clear())).max() <= 1 and (got[1:, :3] == 255).all()
    assert "1 of 1 images are transparent and laid over white" in info.notes


def test_colour_under_transparent_pixels_is_never_seen(tmp_path):
    other = clear()
    other[..., :3] = np.where(other[..., 3:] == 0, 17, other[..., :3])
    save(tmp_path / "a" / "0.png", clear())
    save(tmp_path / "b" / "0.png", other)
    np.testing.assert_array_equal(only(tmp_path / "a")[0], only(tmp_path / "b")[0])


def test_grey_with_transparency_stays_grey(tmp_path):
    save(tmp_path / "a.png", np.stack([GREY, np.full_like(GREY, 0)], axis=-1))
    got, info = only(tmp_path)
    assert info.shape == (4, 6, 1) and (got == 255).all()


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_with_a_transparent_colour(tmp_path, suffix):
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8), "P")
    image.putpalette([250, 10, 10, 10, 250, 10, 10, 10, 250])
    image.save(tmp_path / f"a.{suffix}", transparency=1)
    got, _ = only(tmp_path)
    red, blue, white = [250, 10, 10], [10, 10, 250], [255, 255, 255]
    assert got.tolist() == [[red, white, blue], [blue, white, red]]


def test_an_opaque_alpha_changes_nothing_and_stays_with_tensorflow(tmp_path):
    save(tmp_path / "a.png", np.concatenate([COLOURS, np.full((4, 6, 1), 255, np.uint8)], axis=-1))
    got, info = only(tmp_path)
    np.testing.assert_array_equal(got, COLOURS)
    assert not info.notes and load(f"folder:{tmp_path}").train.portable


# ---- depth


@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    np.save(tmp_path / "a.npy", DEEP) if suffix == "npy" else save(tmp_path / f"a.{suffix}", DEEP)
    got, info = only(tmp_path)
    assert (info.dtype, info.max_value, info.shape) == ("uint16", 65535, (4, 6, 1))
    np.testing.assert_array_equal(got[..., 0], DEEP)


def test_sixteen_bits_in_colour_and_with_transparency(tmp_path):
    rgb = RNG.integers(0, 65536, (4, 6, 3), np.uint16)
    rgba = np.concatenate([rgb, RNG.choice([0, 65535], (4, 6, 1)).astype(np.uint16)], axis=-1)
    for name, pixels in {"rgb": rgb, "rgba": rgba}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(tf.io.encode_png(pixels).numpy())
        expected = rgb if name == "rgb" else np.where(rgba[..., 3:] > 0, rgb, 65535)
        np.testing.assert_array_equal(only(tmp_path / name)[0], expected)


def test_eight_bits_beside_sixteen_are_widened_and_counted(tmp_path):
    save(tmp_path / "test" / "a.png", GREY)
    save(tmp_path / "train" / "b.png", DEEP)
    source = load(f"folder:{tmp_path}")
    np.testing.assert_array_equal(source.test.arrays()[0][0, ..., 0], np.rint(GREY / 255 * 65535))
    assert "1 of 2 images have 8 bits and are read as 16" in source.info.notes


@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_floats_are_kept(tmp_path, suffix):
    np.save(tmp_path / "a.npy", FLOATS) if suffix == "npy" else save(tmp_path / "a.tif", FLOATS)
    got, info = only(tmp_path)
    assert (info.dtype, info.max_value, info.value_range) == ("float32", 1, None)
    np.testing.assert_array_equal(got[..., 0], FLOATS)


def test_floats_beyond_one_are_scaled_by_what_is_given(tmp_path):
    heights = FLOATS * 1000 - 200
    save(tmp_path / "a.tif", heights)
    with pytest.raises(InputError, match=r"expected 0 to 1.*--min-value -\d+\.?\d* --max-value \d+"):
        only(tmp_path)
    got, info = only(tmp_path, min_value=-500, max_value=1500)
    assert info.value_range == (-500, 1500)
    np.testing.assert_allclose(got[..., 0], (heights + 500) / 2000, atol=1e-6)
    with pytest.raises(InputError, match=r"max_value: .*a\.tif holds values"):
        only(tmp_path, min_value=-500, max_value=0)


def test_sixteen_bits_and_floats_are_resized_cropped_and_batched(tmp_path):
    steps = np.linspace(0, 1, 40, dtype=np.float32)
    smooth = (steps[:, None] + steps) / 2
    for name, pixels in {"deep": np.uint16(smooth * 65535), "floats": smooth}.items():
        for i in range(3):
            save(tmp_path / name / f"{i}.tif", pixels)
        source = load(f"folder:{tmp_path / name}", image_size=10)
        expected = np.asarray(Image.fromarray(smooth).resize((10, 10), Image.Resampling.BICUBIC))
        got = source.train.arrays()[0][0, ..., 0] / source.info.max_value
        np.testing.assert_allclose(got, expected, atol=1e-3)
        images, _ = next(iter(batches(source.train, 2, seed=0, augment=RandomResizedCrop((0.3, 0.5)))))
        assert images.dtype == source.info.dtype and images.shape == (2, 10, 10, 1)
        mean, _ = channel_statistics(source.train, source.info.max_value)
        np.testing.assert_allclose(mean, 0.5, atol=0.01)


def test_nan_and_infinity_are_refused(tmp_path):
    for value in (np.nan, np.inf):
        bad = FLOATS.copy()
        bad[1, 2] = value
        save(tmp_path / "a.tif", bad)
        with pytest.raises(InputError, match=r"a\.tif .*1 values are NaN or infinite"):
            only(tmp_path)


def test_floats_beside_integers_are_refused(tmp_path):
    save(tmp_path / "a.tif", FLOATS)
    save(tmp_path / "b.png", GREY)
    with pytest.raises(InputError, match=r"a\.tif holds floats, .*b\.png integers"):
        load(f"folder:{tmp_path}")


# ---- kinds of files


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "jpe", "jfif", "JPG"])
def test_every_name_of_a_jpeg(tmp_path, suffix):
    flat = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    save(tmp_path / f"a.{suffix}", flat, format="JPEG", quality=95)
    assert abs(only(tmp_path)[0].astype(int) - flat).max() <= 2


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 0] = 255  # cyan alone
    Image.frombytes("CMYK", (8, 8), ink.tobytes()).save(tmp_path / f"a.{suffix}")
    got, info = only(tmp_path)
    assert info.shape == (8, 8, 3) and abs(got.astype(int) - [0, 255, 255]).max() <= 2
    assert "1 of 1 images are CMYK and converted without their colour profile" in info.notes


def test_lossless_webp_and_tiff(tmp_path):
    save(tmp_path / "a" / "0.webp", COLOURS, lossless=True)
    save(tmp_path / "b" / "0.tiff", COLOURS, compression="tiff_lzw")
    save(tmp_path / "c" / "0.tif", GREY)
    for name, expected in {"a": COLOURS, "b": COLOURS, "c": GREY[..., None]}.items():
        np.testing.assert_array_equal(only(tmp_path / name)[0], expected)


def test_one_bit(tmp_path):
    save(tmp_path / "a.tif", GREY > 99)
    np.testing.assert_array_equal(only(tmp_path)[0][..., 0], 255 * (GREY > 99))


def test_further_pages_are_counted(tmp_path):
    first, second = (Image.fromarray(x) for x in (GREY, 255 - GREY))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    got, info = only(tmp_path)
    np.testing.assert_array_equal(got[..., 0], GREY)
    assert "1 of 1 images hold several images, of which the first is read" in info.notes


def test_all_kinds_in_one_folder(tmp_path):
    """TensorFlow's images and Pillow's in one batch, each with its own pixels."""
    for i, suffix in enumerate(["png", "webp", "tif", "bmp", "gif"]):
        save(tmp_path / f"{i}.{suffix}", np.full((4, 6, 3), 40 * i, np.uint8), "RGB")
    save(tmp_path / "5.png", COLOURS)
    source = load(f"folder:{tmp_path}")
    for split in source.splits.values():
        for path, image in zip(split.paths, split.arrays()[0], strict=True):
            i = int(path.decode().split("/")[-1][0])
            np.testing.assert_array_equal(image, COLOURS if i == 5 else np.full((4, 6, 3), 40 * i))


def tiff_of(bits, samples, extra=()):
    """A TIFF without compression, written tag by tag: [2, 2, samples] of zeros."""
    rows = 2 * 2 * samples * bits // 8
    tags = [
        (256, 3, [2]),
        (257, 3, [2]),
        (258, 3, [bits] * samples),
        (259, 3, [1]),
        (262, 3, [2 if samples > 2 else 1]),
    ]
    tags += [(273, 4, [8]), (277, 3, [samples]), (278, 3, [2]), (279, 4, [rows])]
    tags += [(338, 3, list(extra))] if extra else []
    start = 8 + rows
    directory, values = len(tags).to_bytes(2, "little"), b""
    after = start + 2 + 12 * len(tags) + 4
    for number, kind, content in tags:
        packed = b"".join(v.to_bytes({3: 2, 4: 4}[kind], "little") for v in content)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place, values = (after + len(values)).to_bytes(4, "little"), values + packed
        directory += (
            number.to_bytes(2, "little") + kind.to_bytes(2, "little") + len(content).to_bytes(4, "little") + place
        )
    return b"II*\0" + start.to_bytes(4, "little") + bytes(rows) + directory + bytes(4) + values


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (tiff_of(16, 3), "16 bits in each of 3 bands|a kind that Pillow does not read"),
        (tiff_of(8, 4, [0]), "TIFF of 4 bands, of which Pillow reads 3"),
        (tiff_of(8, 5, [0, 0]), "TIFF of 5 bands, of which Pillow reads 3|a kind that Pillow does not read"),
        (tiff_of(16, 6, [0, 0, 0]), "a kind that Pillow does not read|of 6 bands"),
    ],
)
def test_a_tiff_of_which_pillow_would_drop_something(tmp_path, content, says):
    assert Image.open(io.BytesIO(tiff_of(8, 3))).size == (2, 2)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=f"a.tif .*({says}).*np.save"):
        only(tmp_path)


# ---- bands


def test_arrays_of_bands_and_some_of_them(tmp_path):
    bands = RNG.integers(0, 65536, (12, 10, 7), np.uint16)
    np.save(tmp_path / "a.npy", bands)
    got, info = only(tmp_path)
    assert info.shape == (12, 10, 7)
    np.testing.assert_array_equal(got, bands)
    got, info = only(tmp_path, bands=(4, 3, 2))
    assert info.shape == (12, 10, 3)
    np.testing.assert_array_equal(got, bands[..., [3, 2, 1]])
    with pytest.raises(InputError, match=r"bands: expected numbers from 1 to 7, .*received \(1, 8\)"):
        only(tmp_path, bands=(1, 8))
    with pytest.raises(InputError, match="bands"):
        only(tmp_path, bands=(0,))


def test_statistics_of_bands(tmp_path, monkeypatch):
    bands = np.stack([RNG.integers(1000 * b, 1000 * b + 500, (30, 12, 10), np.uint16) for b in range(1, 6)], axis=-1)
    for i, x in enumerate(bands):
        (tmp_path / "train").mkdir(exist_ok=True)
        np.save(tmp_path / "train" / f"{i}.npy", x)
    (tmp_path / "test").mkdir()
    np.save(tmp_path / "test" / "0.npy", np.zeros_like(bands[0]))
    monkeypatch.setattr(statistics, "CHUNK", 3 * bands[0].nbytes)  # ten chunks
    info = load(f"folder:{tmp_path}", max_value=10_000, bands=(5, 1)).info
    chosen = bands[..., [4, 0]] / 10_000
    np.testing.assert_allclose(info.band_mean, chosen.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(info.band_std, chosen.std(axis=(0, 1, 2)), rtol=1e-12)
    monkeypatch.setattr(statistics, "_moments", lambda *args: pytest.fail("measured again"))
    assert load(f"folder:{tmp_path}", max_value=10_000, bands=(5, 1)).info == info


def test_a_band_of_photos(tmp_path):
    save(tmp_path / "a.png", COLOURS)
    np.testing.assert_array_equal(only(tmp_path, bands=(3,))[0], COLOURS[..., 2:])


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 32, 32), np.uint8), "moveaxis"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((4, 4), np.int64), "int64; expected uint8, uint16 or floats"),
        (np.array([[None]]), "cannot be read as an image"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (np.zeros((4, 4), complex), "complex128"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, says):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=f"a.npy cannot be read as an image.*{says}|{says}"):
        only(tmp_path)


@pytest.mark.parametrize("header", ["{'descr': '|u1'", "{'shape': (4,", "", "[" * 100, "{'descr': 'O', 'x': '''"])
def test_arrays_with_a_damaged_header(tmp_path, header):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(InputError, match=r"a\.npy cannot be read as an image \(damaged \.npy"):
        only(tmp_path)


def test_bands_that_differ(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((12, 12, 4), np.uint8))
    save(tmp_path / "b.png", np.zeros((12, 12, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.npy has 4 bands, .*b\.png has 3"):
        load(f"folder:{tmp_path}")


# ---- ranges of integers


def test_scans_of_twelve_bits(tmp_path):
    scan = (DEEP >> 4).astype(np.uint16)
    save(tmp_path / "a.png", scan)
    got, info = only(tmp_path, max_value=4095)
    assert info.max_value == 4095 and info.dtype == "uint16"
    np.testing.assert_array_equal(got[..., 0], scan)
    with pytest.raises(InputError, match=r"max_value: .*a\.png holds values from \d+ to \d+; expected 0 to 255"):
        only(tmp_path, max_value=255)


def test_counts_to_sixteen(tmp_path):
    save(tmp_path / "a.png", GREY // 16)
    got, info = only(tmp_path, max_value=16, image_size=8)
    assert info.max_value == 16 and got.max() <= 16  # the bicubic kernel overshoots


def test_arrays_of_another_range(tmp_path):
    x = RNG.integers(0, 4096, (20, 4, 4))
    np.savez(tmp_path / "x.npz", x_train=x)
    assert load(f"npz:{tmp_path / 'x.npz'}").info.standardized
    with pytest.raises(InputError, match="give a larger max_value"):
        load(f"npz:{tmp_path / 'x.npz'}", max_value=400)
    source = load(f"npz:{tmp_path / 'x.npz'}", max_value=4095)
    assert (source.info.max_value, source.info.dtype) == (4095, "uint16")
    assert sorted(np.concatenate([s.arrays()[0] for s in source.splits.values()]).ravel()) == sorted(x.ravel())
    np.savez(tmp_path / "f.npz", x_train=x - 1000.0)
    scaled = load(f"npz:{tmp_path / 'f.npz'}", min_value=-1000, max_value=3095)
    assert scaled.info.value_range == (-1000, 3095)
    np.testing.assert_allclose(np.sort(scaled.train.arrays()[0].ravel())[-1] * 4095, source.train.arrays()[0].max())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_value": 0}, "from 1 to 255"),
        ({"max_value": 300}, "from 1 to 255"),
        ({"max_value": 254.5}, "whole number"),
        ({"max_value": float("nan")}, "max_value"),
        ({"min_value": 1}, "min_value: only used with images of floats"),
        ({"bands": ()}, "bands"),
    ],
)
def test_ranges_that_make_no_sense(tmp_path, options, says):
    save(tmp_path / "a.png", GREY)
    with pytest.raises(InputError, match=says):
        only(tmp_path, **options)


def test_what_a_source_would_ignore_is_refused():
    with pytest.raises(InputError, match="max_value: only used with folder and npz"):
        load("digits", max_value=16)
    with pytest.raises(InputError, match="bands: only used with folder"):
        load("digits", bands=(1,))
