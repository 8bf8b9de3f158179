"""The folder source on files written by Pillow: pixels, labels, broken and hostile files."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasae.data import batches, load
from kerasae.errors import InputError

RNG = np.random.default_rng(0)


def write(path, height=7, width=9, channels=3, **options):
    """Write random pixels and return what Pillow reads back, [H, W, C]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3) if channels == 3 else (height, width)
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(path, **options)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(height, width, channels)


def classes(root, counts, channels=3):
    """One folder per class; returns the pixels by class name."""
    return {
        name: [write(root / name / f"{i:03}.png", channels=channels) for i in range(count)]
        for name, count in counts.items()
    }


def test_classes_pixels_and_labels(tmp_path):
    pixels = classes(tmp_path, {"cat": 20, "ant": 10, "dog": 30})
    source = load(f"folder:{tmp_path}")
    assert source.info.class_names == ("ant", "cat", "dog")
    assert sum(source.info.counts.values()) == 60
    assert (source.info.shape, source.info.dtype, source.info.max_value) == ((7, 9, 3), "uint8", 255)
    seen = []
    for split in (source.train, source.test):
        x, y = split.arrays()
        seen += [(int(label), image.tobytes()) for image, label in zip(x, y, strict=True)]
    expected = [(i, p.tobytes()) for i, name in enumerate(("ant", "cat", "dog")) for p in pixels[name]]
    assert sorted(seen) == sorted(expected)
    np.testing.assert_array_equal(load(f"folder:{tmp_path}").test.arrays()[0], source.test.arrays()[0])


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".gif", ".jpg", ".JPEG"])
def test_grey_files_are_read_as_pillow_reads_them(tmp_path, suffix):
    pixels = [write(tmp_path / f"{i}{suffix}", channels=1) for i in range(2)]
    source = load(f"folder:{tmp_path}")
    assert source.info.shape == (7, 9, 1) and source.info.class_names is None and source.train.labels is None
    got = np.concatenate([source.train.arrays()[0], source.test.arrays()[0]])
    # TensorFlow decodes JPEG with a faster transform, which rounds differently
    tolerance = 4 if "j" in suffix.lower() else 0
    assert min(abs(got.astype(int) - np.stack(p)).max() for p in (pixels, pixels[::-1])) <= tolerance


def test_one_image_in_colour_makes_all_of_them_colour_and_the_others_are_counted(tmp_path):
    grey = [write(tmp_path / f"{i}.png", channels=1) for i in range(2)]
    colour = write(tmp_path / "2.png", channels=3)
    source = load(f"folder:{tmp_path}")
    assert source.info.shape == (7, 9, 3) and "2 of 3 images are grey and read as colour" in source.info.notes
    got = {x.tobytes() for split in source.splits.values() for x in split.arrays()[0]}
    assert got == {image.tobytes() for image in (*(np.repeat(x, 3, axis=-1) for x in grey), colour)}


def test_mixed_sizes_need_image_size(tmp_path):
    write(tmp_path / "a.png", 7, 9)
    write(tmp_path / "b.png", 5, 20)
    with pytest.raises(InputError, match=r"image_size: .*a\.png is 7 x 9.*b\.png is 5 x 20.*give image_size"):
        load(f"folder:{tmp_path}")
    for size, shape in ((6, (6, 6, 3)), ((4, 10), (4, 10, 3))):
        source = load(f"folder:{tmp_path}", image_size=size)
        assert source.info.shape == shape and source.train.arrays()[0].shape == (1, *shape)


def test_resizing_keeps_proportions_and_cuts_the_centre(tmp_path):
    """A wide image with a bright centre square, halved: the square fills the result, the sides go."""
    image = np.zeros((8, 24), np.uint8)
    image[:, 8:16] = 200
    Image.fromarray(image).save(tmp_path / "wide.png")
    got = load(f"folder:{tmp_path}", image_size=4).train.arrays()[0][0, ..., 0]
    whole = np.asarray(Image.fromarray(image).resize((12, 4), Image.Resampling.BICUBIC)).astype(int)
    assert abs(whole[:, 4:8] - got).max() <= 1 and got.min() > 100
    again = load(f"folder:{tmp_path}", image_size=(8, 24)).train.arrays()[0][0, ..., 0]
    np.testing.assert_array_equal(again, image)


def broken_files(folder):
    """Files with an image's name that are none: cut, empty, text, promised giants, an unknown kind."""
    write(folder / "whole.png", 40, 40)
    content = (folder / "whole.png").read_bytes()
    write(folder / "whole.jpg", 40, 40)
    jpeg = (folder / "whole.jpg").read_bytes()
    (folder / "whole.png").unlink()
    (folder / "whole.jpg").unlink()
    return {
        "cut.png": content[: len(content) // 2],
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "empty.png": b"",
        "text.jpg": b"hello",
        "giant.png": giant(60_000, 60_000),
        "large.png": giant(10_000, 10_000),
        "photo.webp": b"RIFF",
        "photo.heic": b"ftypheic",
        "scan.tif": b"II*\0",
        "array.npy": b"\x93NUMPY\1\0",
    }


def giant(width, height):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_a_broken_file_is_named_or_skipped_and_counted(tmp_path):
    kinds = broken_files(tmp_path)
    for i in range(10):
        write(tmp_path / f"good{i}.png")
    for name, content in kinds.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} cannot be read as an image.*skip_broken"):
            load(f"folder:{tmp_path}")
        source = load(f"folder:{tmp_path}", skip_broken=True)
        assert source.info.skipped == 1 and sum(source.info.counts.values()) == 10
        (tmp_path / name).unlink()
    assert load(f"folder:{tmp_path}").info.skipped == 0


def test_other_and_hidden_files_are_ignored(tmp_path):
    classes(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "README.txt").write_text("about")
    (tmp_path / "a" / "._000.png").write_bytes(b"resource fork")
    (tmp_path / ".cache").mkdir()
    assert sum(load(f"folder:{tmp_path}").info.counts.values()) == 4


def test_odd_names_work(tmp_path):
    root = tmp_path / "mit Leerzeichen [1]*é:x"
    pixels = write(root / "ü?.png")
    np.testing.assert_array_equal(load(f"folder:{root}").train.arrays()[0][0], pixels)


def test_batches_decode_at_gather_time(tmp_path):
    pixels = classes(tmp_path, {"a": 6, "b": 6})
    split = load(f"folder:{tmp_path}").train
    known = {p.tobytes(): i for i, name in enumerate("ab") for p in pixels[name]}
    for images, labels in batches(split, 4, seed=0).take(4):
        assert [known[image.tobytes()] for image in images.numpy()] == labels.numpy().tolist()
