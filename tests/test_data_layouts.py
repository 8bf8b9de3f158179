"""Parts and classes of a folder by its layout, on files that are made here, and the files held out by name."""

import hashlib
import unicodedata

import pytest
from PIL import Image

from kerasae.data import load
from kerasae.errors import InputError


def tree(root, *names):
    """Small images of one colour each at these places."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 0, 0)).save(root / name)
    return f"folder:{root}"


def reds(split):
    """The numbers of a split's images, as `tree` gives them."""
    return sorted(split.arrays()[0][:, 0, 0, 0].tolist())


PARTS = [("train", "train"), ("Training", "train"), ("VAL", "validation"), ("valid", "validation")]
PARTS += [("validation", "validation"), ("Dev", "validation"), ("test", "test"), ("Testing", "test")]


@pytest.mark.parametrize(("name", "part"), PARTS)
@pytest.mark.parametrize("inside", ["", "cat/", "cat/indoor/"])
def test_every_name_of_a_part(tmp_path, name, part, inside):
    other = "test" if part == "train" else "train"
    source = load(tree(tmp_path, f"{name}/{inside}0.png", f"{other}/{inside}1.png", f"{other}/{inside}2.png"))
    assert reds(source.split(part)) == [0]
    if other == "test" or part == "test":
        assert source.info.counts == {part: 1, other: 2}
    assert source.info.class_names == (("cat",) if inside else None)


def test_folders_in_a_class(tmp_path):
    names = ["cat/0.png", "cat/indoor/1.png", "cat/indoor/sofa/2.png", "dog/3.png"]
    source = load(tree(tmp_path, *names))
    labels = {int(x[0, 0, 0]): int(y) for split in source.splits.values() for x, y in zip(*split.arrays(), strict=True)}
    assert source.info.class_names == ("cat", "dog") and labels == {0: 0, 1: 0, 2: 0, 3: 1}


def test_a_tree_without_labels(tmp_path):
    spec = tree(tmp_path, "0.png", "2019/1.png", "2020/06/2.png")
    with pytest.raises(InputError, match=r"both images \(0\.png\) and folders \(2019/\).*unlabelled"):
        load(spec)
    source = load(spec, unlabelled=True)
    assert sum(source.info.counts.values()) == 3 and source.info.class_names is None and source.train.labels is None


def test_parts_of_a_tree_without_labels(tmp_path):
    source = load(tree(tmp_path, "train/2019/0.png", "test/2020/06/1.png"), unlabelled=True)
    assert reds(source.train) == [0] and reds(source.test) == [1] and source.test.labels is None


def test_a_lone_folder_of_folders_is_entered_and_said(tmp_path):
    source = load(tree(tmp_path, "archive/Train/a/0.png", "archive/Test/a/1.png"))
    assert reds(source.train) == [0] and reds(source.test) == [1]
    assert any("archive" in note for note in source.info.notes)


def test_train_with_classes_test_without(tmp_path):
    source = load(tree(tmp_path, "train/a/0.png", "train/b/1.png", "test/2.png"))
    assert source.train.labels.tolist() == [0, 1] and source.test.labels is None
    labelled = load(tree(tmp_path, "val/b/3.png"))
    assert labelled.test.labels.tolist() == [1]  # the test images have no labels to report on


def test_train_without_classes_test_with(tmp_path):
    source = load(tree(tmp_path, "train/0.png", "test/b/1.png", "test/a/2.png"))
    assert source.train.labels is None and source.info.class_names == ("a", "b")
    assert source.test.labels.tolist() == [0, 1]


def test_a_test_part_alone(tmp_path):
    source = load(tree(tmp_path, "test/a/0.png", "test/b/1.png"))
    assert source.info.counts == {"test": 2}
    with pytest.raises(InputError, match="no split 'train'"):
        _ = source.train


def test_a_part_that_lacks_a_class_keeps_the_numbers(tmp_path):
    source = load(tree(tmp_path, "train/a/0.png", "train/b/1.png", "test/b/2.png"))
    assert source.test.labels.tolist() == [1]


def test_a_class_of_a_part_may_be_called_train_and_is_said(tmp_path):
    source = load(tree(tmp_path, "train/bus/0.png", "train/train/1.png", "test/train/2.png"))
    assert source.info.class_names == ("bus", "train") and source.test.labels.tolist() == [1]
    assert sum("train is taken as a class" in note for note in source.info.notes) == 2


REFUSED = {
    "nothing": ("has no images", []),
    "beside_classes": (r"train/ and also bus/.*rename train/ if it is a class", ["bus/0.png", "train/1.png"]),
    "beside_images": (r"test/ and also 0\.png", ["0.png", "test/1.png"]),
    "beside_parts": ("train/ and test/|test/ and train/", ["train/1.png", "test/1.png", "other/1.png"]),
    "inside_a_class": (r"cat holds (train|test)/.*expected (train|test)/cat/", ["cat/train/0.png", "cat/test/1.png"]),
    "twice": ("both validation", ["train/0.png", "val/1.png", "valid/2.png"]),
    "both": (r"both images .* and folders", ["1.png", "a/1.png"]),
    "unknown_class": (r"\[a, elk\]; expected those of train, \[a, b\]; 'elk'", ["train/a/0.png", "train/b/1.png"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    says, names = REFUSED[name]
    spec = tree(tmp_path, *names)
    if name == "inside_a_class":
        tree(tmp_path, "dog/0.png")
    if name == "unknown_class":
        tree(tmp_path, "test/elk/0.png", "test/a/1.png")
    with pytest.raises(InputError, match=says) as raised:
        load(spec)
    assert "\n" not in str(raised.value)


def test_an_empty_class_and_a_file_are_refused(tmp_path):
    spec = tree(tmp_path, "a/0.png")
    (tmp_path / "b" / "deeper").mkdir(parents=True)
    with pytest.raises(InputError, match="b has no images"):
        load(spec)
    with pytest.raises(InputError, match="is a file"):
        load(f"folder:{tmp_path / 'a' / '0.png'}")


def test_a_link_in_a_circle_is_refused_and_one_to_elsewhere_followed(tmp_path):
    tree(tmp_path / "elsewhere", "0.png", "1.png")
    spec = tree(tmp_path / "data", "a/2.png", "b/3.png")
    (tmp_path / "data" / "b" / "more").symlink_to(tmp_path / "elsewhere")
    assert sum(load(spec).info.counts.values()) == 4
    (tmp_path / "data" / "a" / "circle").symlink_to(tmp_path / "data")
    with pytest.raises(InputError, match="circle.* is a link"):
        load(spec)


def test_a_class_whose_name_is_no_text(tmp_path):
    spec = tree(tmp_path, "a/0.png", "b\udcff/1.png")
    with pytest.raises(InputError, match="is no UTF-8 text; rename it"):
        load(spec)


def test_a_file_whose_name_is_no_text_is_read(tmp_path):
    assert sum(load(tree(tmp_path, "a/0.png", "a/\udcff.png")).info.counts.values()) == 2


# ---- what is held out


def held_out(names, fraction=0.1):
    """The rule of the documentation, written again: SHA-256 of the name, as a share of all that there can be."""
    digests = (hashlib.sha256(unicodedata.normalize("NFC", name).encode()).hexdigest() for name in names)
    return [int(digest, 16) < fraction * 16**64 for digest in digests]


def test_what_is_held_out_depends_on_the_name_only(tmp_path):
    names = [f"{'ab'[i % 2]}/{i}ü.png" for i in range(60)]
    expected = [i for i, held in enumerate(held_out(names)) if held]
    assert 0 < len(expected) < 30
    assert reds(load(tree(tmp_path / "one", *names)).test) == expected
    tree(tmp_path / "other" / "Train", *names)
    assert reds(load(f"folder:{tmp_path / 'other'}").test) == expected


def test_a_folder_that_grows_moves_no_test_image_into_training(tmp_path):
    names = [f"{i}.png" for i in range(80)]
    before = load(tree(tmp_path, *names[40:]))
    files = {name: set(split.paths) for name, split in before.splits.items()}
    tree(tmp_path, *names[:40], "a-new-one.jpg")
    after = load(f"folder:{tmp_path}")
    later = {name: set(split.paths) for name, split in after.splits.items()}
    assert files["test"] < later["test"] and files["train"] < later["train"]


def test_too_few_to_hold_out_a_tenth(tmp_path):
    names = [f"{i}.png" for i in (1, 2)]
    assert held_out(names) == [False, False]
    source = load(tree(tmp_path / "two", *names))
    first = min(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert reds(source.test) == [names.index(first)] and first in source.info.notes[0]
    alone = load(tree(tmp_path / "one", "a/1.png"))
    assert alone.info.counts == {"train": 1} and not alone.has_test
