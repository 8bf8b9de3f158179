"""Images that stay in their files: places of records, crops from what is stored, and the index that is kept."""

import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from kerasae.data import Chain, RandomFlip, RandomResizedCrop, batches, checks, inspection, load, records
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
SIZES = [(24 + 7 * (i % 4), 30 + 5 * (i % 3)) for i in range(40)]


def smooth(height, width):
    """Pale, without sharp edges: JPEG changes it little, and a resized copy shows where it was cut."""
    rows, columns = np.mgrid[:height, :width]
    phase = RNG.uniform(0, 6) + np.array([0.0, 0.1, 0.2])
    waves = [np.sin(rows / 5 + p) + np.cos(columns / 4 - p) for p in phase]
    return np.uint8(127 + 60 * np.stack(waves, axis=-1))


PICTURES = [smooth(*size) for size in SIZES]


class KerasaeAlbum(tfds.core.GeneratorBasedBuilder):
    """Labelled JPEG photos of many sizes, in three files."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        features = {"image": image, "label": tfds.features.ClassLabel(num_classes=40), "note": tfds.features.Text()}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": ((i, {"image": jpeg(p), "label": i, "note": "x"}) for i, p in enumerate(PICTURES))}

    def _generate_examples(self):
        raise NotImplementedError


def jpeg(picture):
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "jpeg", quality=95)
    return io.BytesIO(data.getvalue())


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    place = tmp_path_factory.mktemp("album")
    builder = KerasaeAlbum(data_dir=place)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    assert builder.info.splits["train"].num_shards == 3
    return place


def by_pillow(picture, box, size):
    top, left, rows, columns = (int(side) for side in box)
    cut = Image.fromarray(picture).crop((left, top, left + columns, top + rows))
    return np.asarray(cut.resize(size[::-1], Image.Resampling.BICUBIC)).astype(int)


def test_records_come_resized_with_their_labels(album):
    images, labels = load("tfds:kerasae_album", data_dir=album, image_size=(16, 20)).train.arrays()
    assert sorted(labels) == list(range(40))
    for image, label in zip(images, labels, strict=True):
        height, width = SIZES[label]
        scale = max(16 / height, 20 / width)
        rows, columns = round(height * scale), round(width * scale)
        whole = by_pillow(PICTURES[label], (0, 0, height, width), (rows, columns))
        top, left = (rows - 16) // 2, (columns - 20) // 2
        assert abs(whole[top : top + 16, left : left + 20] - image).mean() < 3  # what JPEG changed


def test_a_crop_is_cut_from_the_image_as_it_is_stored(album):
    """Not from a resized one: the boxes are in stored pixels, and equal Pillow's crop and resize of these."""
    crop = RandomResizedCrop((0.2, 0.6))
    train = load("tfds:kerasae_album", data_dir=album, image_size=12).train
    images, labels = next(iter(batches(train, 40, seed=3, augment=crop)))
    for i, (image, label) in enumerate(zip(images.numpy(), labels.numpy(), strict=True)):
        box = crop.boxes(tf.constant([[3, i]]), *SIZES[label]).numpy()[0]
        assert abs(by_pillow(PICTURES[label], box, (12, 12)) - image).mean() < 3  # a pixel off would be 6


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_files_are_cropped_as_stored_too_and_then_augmented(tmp_path, suffix):
    for i in range(4):
        Image.fromarray(PICTURES[i]).save(tmp_path / f"{i}.{suffix}", quality=95)
    crop, split = RandomResizedCrop((0.3, 0.5)), load(f"folder:{tmp_path}", image_size=10).train
    images, _ = split.gather([0, 1, 2], crop, tf.constant([[1, 7], [1, 8], [1, 9]]))
    for n, (image, i) in enumerate(zip(images.numpy(), numbers(split), strict=True)):
        box = crop.boxes(tf.constant([[1, 7 + n]]), *SIZES[i]).numpy()[0]
        error = abs(by_pillow(PICTURES[i], box, (10, 10)) - image)
        assert error.mean() < 3 if suffix == "jpg" else error.max() <= 1
    alone, mirrored = (next(iter(batches(split, 3, seed=0, augment=a)))[0] for a in (crop, Chain(crop, RandomFlip())))
    seeds = tf.constant([[0, 0], [0, 1], [0, 2]])
    np.testing.assert_array_equal(RandomFlip()(alone, seeds), mirrored)


def numbers(split):
    """Which of the pictures a split's files are, by their names."""
    return [int(path.decode().split("/")[-1].split(".")[0]) for path in split.paths]


def test_the_centre_of_photos(tmp_path):
    """0.875: the short side becomes 16, and the centre of 14 × 14 is kept."""
    Image.fromarray(PICTURES[0]).save(tmp_path / "0.png")
    height, width = SIZES[0]
    got = load(f"folder:{tmp_path}", image_size=14, center=0.875).train.arrays()[0][0]
    columns = round(width * 16 / height)
    whole = by_pillow(PICTURES[0], (0, 0, height, width), (16, columns))
    left = (columns - 14) // 2
    assert abs(whole[1:15, left : left + 14] - got).max() <= 1


def test_batches_go_on_from_any_step(album):
    train = load("tfds:kerasae_album", data_dir=album, image_size=8).train
    whole = [batch for batch, _ in zip(batches(train, 12, seed=1, augment=RandomResizedCrop()), range(5), strict=False)]
    late = next(iter(batches(train, 12, seed=1, start_step=4, augment=RandomResizedCrop())))
    for a, b in zip(whole[4], late, strict=True):
        np.testing.assert_array_equal(a, b)


def test_too_much_for_the_memory_is_read_from_the_files(tmp_path, monkeypatch):
    builder = KerasaeSquares(data_dir=tmp_path)
    builder.download_and_prepare()
    held = load("tfds:kerasae_squares", data_dir=tmp_path)
    monkeypatch.setattr(checks, "_physical_memory", lambda: 1000)
    streamed = load("tfds:kerasae_squares", data_dir=tmp_path)
    assert streamed.train.encoded and not held.train.encoded
    monkeypatch.undo()
    for a, b in zip(held.train.arrays(), streamed.train.arrays(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert streamed.info == held.info


class KerasaeSquares(KerasaeAlbum):
    """Photos of one size."""

    def _info(self):
        image = tfds.features.Image(shape=(9, 8, 3), encoding_format="png")
        features = {"image": image, "label": tfds.features.ClassLabel(num_classes=3)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": ((i, {"image": PICTURES[i][:9, :8], "label": i % 3}) for i in range(40))}


def test_records_are_looked_at_once(album, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASAE_CACHE", str(tmp_path))
    first = load("tfds:kerasae_album", data_dir=album, image_size=8).train
    with monkeypatch.context() as patch:
        patch.setattr(records, "_scan", lambda *args: pytest.fail("looked at again"))
        again = load("tfds:kerasae_album", data_dir=album, image_size=8).train
    np.testing.assert_array_equal(first.arrays()[0], again.arrays()[0])
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:50])  # damaged: made anew
    np.testing.assert_array_equal(load("tfds:kerasae_album", data_dir=album, image_size=8).train.labels, first.labels)


def test_files_are_looked_at_once_until_one_changes(tmp_path, monkeypatch):
    for i in range(3):
        Image.fromarray(PICTURES[0]).save(tmp_path / f"{i}.png")
    load(f"folder:{tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr(inspection, "_inspect_all", lambda paths: pytest.fail("looked at again"))
        assert sum(load(f"folder:{tmp_path}").info.counts.values()) == 3
    Image.fromarray(PICTURES[0]).save(tmp_path / "3.png")
    assert sum(load(f"folder:{tmp_path}").info.counts.values()) == 4
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"1\.png cannot be read"):
        load(f"folder:{tmp_path}")
    with pytest.raises(InputError, match=r"1\.png cannot be read"):
        load(f"folder:{tmp_path}")
    assert load(f"folder:{tmp_path}", skip_broken=True).info.skipped == 1


def test_where_nothing_can_be_kept_it_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERASAE_CACHE", str(tmp_path / "file"))  # no folder can be made here
    Image.fromarray(PICTURES[0]).save(tmp_path / "0.png")
    assert load(f"folder:{tmp_path}").info.counts == {"train": 1}


@pytest.mark.parametrize("center", [0, 1.5, "x", float("nan")])
def test_a_centre_out_of_range(tmp_path, center):
    with pytest.raises(InputError, match="center"):
        load(f"folder:{tmp_path}", center=center)
