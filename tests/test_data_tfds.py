"""The tfds source on small data sets that the tests prepare themselves, without a network."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from kerasae.data import load
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (1100, 6, 5, 3), np.uint8)  # more than one read batch


class KerasaePhotos(tfds.core.GeneratorBasedBuilder):
    """Labelled photos with a text beside them, three splits, one of them unlabelled (-1)."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(6, 5, 3), encoding_format="png"),
            "name": tfds.features.Text(),
            "kind": tfds.features.ClassLabel(names=["ant", "bee"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {
            "train": self._some(0, 1050),
            "validation": self._some(1050, 1080),
            "test": self._some(1080, 1100),
        }

    def _some(self, start, end):
        for i in range(start, end):
            yield i, {"picture": PHOTOS[i], "name": str(i), "kind": -1 if start == 1080 else i % 2}

    def _generate_examples(self):
        raise NotImplementedError


class KerasaeBits(tfds.core.GeneratorBasedBuilder):
    """Unlabelled binary images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(4, 4, 1), encoding_format="png")
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"image": image}))

    def _split_generators(self, dl_manager):
        return {"train": ((i, {"image": PHOTOS[i, :4, :4, :1] % 2}) for i in range(9))}

    def _generate_examples(self):
        raise NotImplementedError


class KerasaeMixed(tfds.core.GeneratorBasedBuilder):
    """Images of two sizes."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"image": image}))

    def _split_generators(self, dl_manager):
        return {"train": ((i, {"image": PHOTOS[i, : 4 + i % 3]}) for i in range(9))}

    def _generate_examples(self):
        raise NotImplementedError


class KerasaeWords(KerasaeBits):
    """No image at all."""

    def _info(self):
        words = tfds.features.FeaturesDict({"text": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=words)


class KerasaeOffline(KerasaeBits):
    """A data set whose host cannot be reached."""

    def _split_generators(self, dl_manager):
        raise ConnectionError("host not found\nand more lines")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for builder in (KerasaePhotos, KerasaeBits, KerasaeMixed):
        builder(data_dir=folder).download_and_prepare()
    return folder


def test_every_split_as_stored_with_names(prepared):
    source = load("tfds:kerasae_photos", data_dir=prepared)
    assert source.info.counts == {"train": 1050, "validation": 30, "test": 20}
    assert (source.info.shape, source.info.dtype, source.info.max_value) == ((6, 5, 3), "uint8", 255)
    assert source.info.class_names == ("ant", "bee")
    number = {photo.tobytes(): i for i, photo in enumerate(PHOTOS)}
    for name, expected in (("train", range(1050)), ("validation", range(1050, 1080))):
        x, y = source.split(name).arrays()
        found = [number[image.tobytes()] for image in x]
        assert sorted(found) == list(expected)
        assert [i % 2 for i in found] == y.tolist()
    assert source.split("test").labels is None and source.test is source.split("validation")


def test_the_order_is_the_same_every_time(prepared):
    first, second = (load("tfds:kerasae_photos", data_dir=prepared).train.arrays()[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_binary_images_are_recognised(prepared):
    source = load("tfds:kerasae_bits", data_dir=str(prepared))
    assert source.info.max_value == 1 and source.info.class_names is None
    assert set(np.unique(source.train.arrays()[0])) == {0, 1}
    with pytest.raises(InputError, match="no split 'test'; it has train"):
        _ = source.test


def test_mixed_sizes_need_image_size(prepared):
    with pytest.raises(InputError, match="image_size: .*mixed sizes"):
        load("tfds:kerasae_mixed", data_dir=prepared)
    source = load("tfds:kerasae_mixed", data_dir=prepared, image_size=(3, 5))
    assert source.info.shape == (3, 5, 3) and len(source.train.arrays()[0]) == 9


def test_unprepared_data_is_prepared(tmp_path):
    assert load("tfds:kerasae_bits", data_dir=tmp_path).info.counts == {"train": 9}
    assert (tmp_path / "kerasae_bits").is_dir()


def test_without_the_network_it_says_what_to_give(tmp_path):
    says = r"not prepared in .*\(ConnectionError: host not found\).*--data-dir"
    with pytest.raises(InputError, match=says) as caught:
        load("tfds:kerasae_offline", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("builder", "size"), [(KerasaeBits, None), (KerasaeMixed, 4)])
def test_damaged_records_are_named(tmp_path, builder, size):
    """In memory and in files."""
    builder(data_dir=tmp_path).download_and_prepare()
    (record,) = tmp_path.rglob("*.tfrecord*")
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(InputError, match="is damaged .*prepare the data set again"):
        load(f"tfds:{builder.name}", data_dir=tmp_path, image_size=size)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mnsit", "did you mean tfds:mnist"),
        ("kerasae_photo", "did you mean tfds:kerasae_photos"),
        ("mnist/no_such_config", "cannot be opened.*check name/config"),
        ("kerasae_words", "no image feature, only text"),
    ],
)
def test_wrong_names(tmp_path, name, says):
    with pytest.raises(InputError, match=says):
        load(f"tfds:{name}", data_dir=tmp_path)


def test_data_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="data_dir: expected a folder"):
        load("tfds:mnist", data_dir=tmp_path / "file")
