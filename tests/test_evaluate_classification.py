import doctest
import json

import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import classification, classify, measure_classification


def test_logits_and_labels_are_counted_as_by_hand():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 4, 200), rng.normal(size=(200, 4))
    logits[np.arange(200), labels] += 1
    expected = np.zeros((4, 4), int)
    for true, row in zip(labels, logits, strict=True):
        expected[true, np.argmax(row)] += 1
    for predicted in (logits, logits.argmax(axis=1)):
        found = measure_classification(labels, predicted)
        np.testing.assert_array_equal(found.confusion, expected)
        assert found.accuracy == np.trace(expected) / 200 == pytest.approx(1 - found.error)
        assert found.examples == 200


def test_classes_that_never_occur_keep_their_row():
    assert measure_classification(np.array([0, 0]), np.eye(2, 5)).confusion.shape == (5, 5)


def test_dict_is_json():
    found = json.loads(json.dumps(measure_classification(np.array([0, 1]), np.array([0, 0])).as_dict()))
    assert found == {"accuracy": 0.5, "error": 0.5, "examples": 2, "confusion": [[1, 0], [1, 0]]}


def test_classify_runs_a_classifier_over_a_split():
    split = kerasae.data.load("digits").test
    encoder, _ = kerasae.networks.dense((8, 8, 1), code=5, widths=(16,))
    model = kerasae.models.Classifier(encoder, classes=10, pixel_max=16, dropout=0.5)
    x, y = split.arrays()
    expected = np.asarray(model(x.astype(np.float32) / 16, training=False)).argmax(axis=1)
    for data in (split, (x, y)):
        found = classify(model, data, batch_size=100)
        np.testing.assert_array_equal(found.predictions, expected)
        assert found.accuracy == np.mean(expected == y)
    assert found.confusion.sum() == len(y)


@pytest.mark.parametrize(
    "labels, predicted, word",
    [
        ([0, 1], [0], "labels"),
        ([], [], "labels"),
        ([0, -1], [0, 1], "labels"),
        ([0.0, 1.0], [0, 1], "labels"),
        ([0, 2], np.eye(2), "labels"),
        ([0, 1], [0.2, 0.7], "predicted"),
        ([0, 1], np.full((2, 2), np.nan), "predicted"),
        ([0, 1], np.zeros((2, 2, 2)), "predicted"),
    ],
)
def test_mistakes_are_named(labels, predicted, word):
    with pytest.raises(InputError, match=word):
        measure_classification(np.array(labels), np.array(predicted))


def test_labels_are_needed():
    with pytest.raises(InputError, match="labels"):
        classify(lambda x, training: x, np.eye(3, dtype=np.float32))


def test_examples_run():
    failed, tried = doctest.testmod(classification, extraglobs={"np": np})
    assert failed == 0 and tried >= 3
