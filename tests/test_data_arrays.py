"""The sources digits and npz, the spec string, and Info."""

import json
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kerasae.data import checks, load, only_class
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 6, 5), np.uint8)
LABELS = np.arange(40) % 4


def npz(folder, **arrays):
    np.savez_compressed(folder / "data.npz", **arrays)
    return f"npz:{folder / 'data.npz'}"


def test_digits_are_sklearns_stratified_and_fixed():
    source = load("digits")
    assert source.info.counts == {"train": 1437, "test": 360}
    assert (source.info.shape, source.info.dtype, source.info.max_value) == ((8, 8, 1), "uint8", 16)
    assert source.info.class_names == tuple("0123456789") and source.info.classes == 10
    (x, y), (xt, yt) = source.train.arrays(), source.test.arrays()
    assert x.max() == 16
    bunch = load_digits()
    ours = sorted((*image.ravel(), label) for image, label in zip([*x, *xt], [*y, *yt], strict=True))
    theirs = sorted((*image.ravel(), label) for image, label in zip(bunch.images, bunch.target, strict=True))
    assert np.array_equal(ours, theirs)
    assert abs(np.bincount(yt) - 0.2 * np.bincount(bunch.target)).max() < 1
    np.testing.assert_array_equal(load("digits").test.arrays()[0], xt)


def test_tfdata_gives_single_examples_as_stored():
    source = load("digits")
    image, label = next(iter(source.tfdata("test")))
    assert image.shape == (8, 8, 1) and image.dtype.name == "uint8" and label.dtype.name == "int64"
    assert sum(1 for _ in source.tfdata("test")) == 360
    assert [int(label) for _, label in source.tfdata("test").take(20)] == source.test.labels[:20].tolist()


def test_info_goes_to_json_and_back():
    info = load("digits").info
    back = json.loads(json.dumps(info.as_dict()))
    assert back["shape"] == [8, 8, 1] and back["counts"] == info.counts and back["class_names"][3] == "3"
    assert back["max_value"] == 16 and back["spec"] == "digits" and back["skipped"] == 0


def test_unknown_split_lists_what_there_is():
    with pytest.raises(InputError, match="no split 'valid'; it has train, test"):
        load("digits").tfdata("valid")


def test_npz_with_everything(tmp_path):
    arrays = dict(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:4], y_test=LABELS[:4, None])
    source = load(npz(tmp_path, **arrays))
    assert source.info.counts == {"train": 40, "test": 4} and source.info.shape == (6, 5, 1)
    assert source.info.class_names == ("0", "1", "2", "3") and source.info.max_value == 255
    np.testing.assert_array_equal(source.train.arrays()[0], IMAGES[..., None])
    np.testing.assert_array_equal(source.test.arrays()[1], LABELS[:4])


def test_npz_without_test_holds_a_fixed_tenth_out(tmp_path):
    spec = npz(tmp_path, x_train=IMAGES, y_train=LABELS)
    source = load(spec)
    assert np.bincount(source.test.labels).tolist() == [1, 1, 1, 1]
    assert source.info.counts == {"train": 36, "test": 4}
    both = np.concatenate([source.train.arrays()[0], source.test.arrays()[0]])[..., 0]
    assert sorted(map(bytes, both)) == sorted(map(bytes, IMAGES))
    np.testing.assert_array_equal(load(spec).test.arrays()[0], source.test.arrays()[0])


@pytest.mark.parametrize(
    ("x", "dtype", "shape", "max_value"),
    [
        (IMAGES.astype(np.int64), "uint8", (6, 5, 1), 255),
        (IMAGES % 2 == 1, "uint8", (6, 5, 1), 1),
        (IMAGES % 2, "uint8", (6, 5, 1), 1),
        (IMAGES / 255, "float32", (6, 5, 1), 1),
        ((IMAGES / 255).astype(np.float16), "float32", (6, 5, 1), 1),
        (IMAGES.reshape(40, 30), "uint8", (30,), 255),
        (np.stack([IMAGES] * 3, axis=-1), "uint8", (6, 5, 3), 255),
    ],
)
def test_npz_types_and_shapes(tmp_path, x, dtype, shape, max_value):
    source = load(npz(tmp_path, x_train=x, x_test=x[:2]))
    assert (source.info.dtype, source.info.shape, source.info.max_value) == (dtype, shape, max_value)
    assert source.info.class_names is None and source.info.classes == 0 and source.train.labels is None
    np.testing.assert_allclose(source.train.arrays()[0].reshape(x.shape), x.astype(np.float64), atol=1e-7)


FLOATS = IMAGES / 255


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"X": IMAGES}, "no x_train; it has X"),
        ({"x_train": IMAGES, "y_trian": LABELS}, "'y_trian'; did you mean 'y_train'"),
        ({"x_train": IMAGES, "Y_train": LABELS}, "did you mean 'y_train'"),
        ({"x_train": np.array([object()] * 3)}, "cannot be read"),
        ({"x_train": np.where(FLOATS > 0.9, np.nan, FLOATS)}, "NaN"),
        ({"x_train": np.where(FLOATS > 0.9, np.inf, FLOATS)}, "finite"),
        ({"x_train": IMAGES.astype(str)}, "floats or integers"),
        ({"x_train": np.arange(9)}, r"expected \[N, D\].*received \(9,\)"),
        ({"x_train": np.zeros((2, 2, 2, 2, 2, 2))}, r"received \(2, 2, 2, 2, 2, 2\)"),
        ({"x_train": IMAGES[:0]}, "none empty"),
        ({"x_train": IMAGES, "y_train": LABELS[:-1]}, "each of the 40 examples"),
        ({"x_train": IMAGES, "y_train": np.eye(4)[LABELS]}, "one label for each"),
        ({"x_train": IMAGES, "y_train": LABELS.astype(float)}, "integers 0..K-1; received type float64"),
        ({"x_train": IMAGES, "y_train": LABELS + 1}, "0..K-1.*from 1 to 4"),
        ({"x_train": IMAGES, "y_train": LABELS * 2}, "0..K-1.*renumber"),
        ({"x_train": IMAGES, "y_train": LABELS - 1}, "0..K-1.*from -1 to 2"),
        ({"x_train": IMAGES, "x_test": IMAGES[:, :3]}, "x_test like x_train"),
        ({"x_train": IMAGES, "x_test": FLOATS}, "x_test like x_train"),
        ({"x_train": IMAGES, "y_test": LABELS}, "y_test without x_test"),
        ({"x_train": IMAGES, "x_test": IMAGES, "y_test": LABELS}, "no y_train"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1}, "has the label 4"),
    ],
)
def test_npz_refuses(tmp_path, arrays, says):
    with pytest.raises(InputError, match=says):
        load(npz(tmp_path, **arrays))


def test_npz_damaged_files(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez(whole, x_train=IMAGES)
    content = whole.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    for name, data in {
        "cut": content[:-30],
        "half": content[: len(content) // 2],
        "empty": b"",
        "text": b"not an archive",
        "flipped": bytes(flipped),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="cannot be read"):
            load(f"npz:{tmp_path / name}")
    np.save(tmp_path / "single.npy", IMAGES)
    with pytest.raises(InputError, match="single array"):
        load(f"npz:{tmp_path / 'single.npy'}")


def test_npz_that_promises_more_than_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as file:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999,), }"
        padded = header + b" " * (117 - len(header)) + b"\n"
        file.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)
    with pytest.raises(InputError, match="cannot be read"):
        load(f"npz:{tmp_path / 'bomb.npz'}")


def test_too_big_for_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "_physical_memory", lambda: 2000)
    with pytest.raises(InputError, match="in memory; expected at most"):
        load(npz(tmp_path, x_train=IMAGES))


def test_a_lone_example_has_no_test_split(tmp_path):
    source = load(npz(tmp_path, x_train=IMAGES[:1]))
    assert source.info.counts == {"train": 1}
    with pytest.raises(InputError, match="no split 'test'"):
        _ = source.test


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("digit", "did you mean digits"),
        ("tdfs:mnist", r"did you mean tfds:NAME"),
        ("dir:x", "did you mean"),
        ("fodler:x", "did you mean folder:DIR"),
        ("mnist", "did you mean tfds:mnist"),
        ("my/arrays.npz", "did you mean npz:my/arrays.npz"),
        ("digits:", "expected digits; received"),
        ("npz:", "expected npz:FILE"),
        ("folder", "expected folder:DIR"),
        ("", "expected digits | tfds"),
        (None, "received None"),
        ("npz:/no/such/file.npz", "not a file"),
        ("folder:/no/such/folder", "does not exist"),
    ],
)
def test_a_wrong_spec_says_what_was_meant(spec, says):
    with pytest.raises(InputError, match=says):
        load(spec)


@pytest.mark.parametrize(
    ("spec", "arguments", "says"),
    [
        ("digits", {"data_dir": "x"}, "data_dir: only used with tfds"),
        ("digits", {"image_size": 8}, "image_size: only used with tfds and folder"),
        ("npz:x", {"skip_broken": True}, "skip_broken: only used with folder"),
        ("folder:x", {"skip_broken": "yes"}, "skip_broken: expected True or False"),
        ("folder:x", {"image_size": 0}, "image_size"),
        ("folder:x", {"image_size": (8, 8, 3)}, "image_size"),
        ("folder:x", {"image_size": 8.5}, "image_size"),
    ],
)
def test_arguments_a_source_would_ignore_are_refused(spec, arguments, says):
    with pytest.raises(InputError, match=says):
        load(spec, **arguments)


@pytest.mark.parametrize("tokens", [None, 3])
def test_codes_that_were_written_are_examples(tmp_path, tokens):
    codes = np.random.default_rng(0).normal(size=(8, 2) if tokens is None else (8, tokens, 2)).astype("float32")
    splits, labels = np.array(["train"] * 5 + ["validation"] + ["test"] * 2), np.arange(8) % 2
    np.savez(tmp_path / "a.npz", codes=codes, splits=splits, labels=labels, names=np.arange(8).astype(str))
    source = load(f"npz:{tmp_path / 'a.npz'}")
    for part, rows in (("train", slice(0, 5)), ("test", slice(6, 8))):
        np.testing.assert_array_equal(source.split(part).arrays()[0], codes[rows].reshape(-1, 2))
        np.testing.assert_array_equal(source.split(part).labels, np.repeat(labels[rows], tokens or 1))
    np.savez(tmp_path / "b.npz", codes=codes, splits=splits[5:], labels=labels)
    with pytest.raises(InputError, match="expected codes .*splits .3."):
        load(f"npz:{tmp_path / 'b.npz'}")


def test_codes_of_one_part_without_all_labels_are_unlabelled_training_examples(tmp_path):
    np.savez(tmp_path / "a.npz", codes=np.eye(20), splits=np.full(20, "test"), labels=np.arange(20) - 1)
    source = load(f"npz:{tmp_path / 'a.npz'}")
    assert source.train.labels is None and len(source.train) + len(source.test) == 20


def test_an_idle_number_of_a_code_stays_small(tmp_path):
    codes = np.random.default_rng(0).normal(size=(200, 3)) * [3.0, 1.0, 0.01]
    np.savez(tmp_path / "a.npz", codes=codes.astype("float32"))
    np.savez(tmp_path / "b.npz", x_train=codes.astype("float32"))
    info, train = (source := load(f"npz:{tmp_path / 'a.npz'}")).info, source.train.arrays()[0]
    np.testing.assert_allclose(info.deviation, [np.sqrt(train.var(axis=0, dtype=np.float64).mean())] * 3, rtol=1e-5)
    np.testing.assert_allclose(load(f"npz:{tmp_path / 'b.npz'}").info.deviation, train.std(axis=0), rtol=1e-4)


def test_codes_of_one_class_share_a_deviation_too(tmp_path):
    codes = np.random.default_rng(0).normal(size=(90, 3)) * [3.0, 1.0, 0.01]
    np.savez(tmp_path / "a.npz", codes=codes.astype("float32"), labels=np.arange(90) % 2)
    source = only_class(load(f"npz:{tmp_path / 'a.npz'}"), "1")
    variance = source.train.arrays()[0].var(axis=0, dtype=np.float64)
    np.testing.assert_allclose(source.info.deviation, [np.sqrt(variance.mean())] * 3, rtol=1e-5)
