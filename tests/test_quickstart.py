"""The last screen of the quickstart: which numbers of labels it shows, and what stands beside what."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import kerasae
from pipelines import quickstart

INFO = kerasae.data.load("digits").info


@pytest.mark.parametrize(("labels", "counts"), [(100, (10, 20, 100)), (20, (10, 20)), (10, (10,)), (7, (7,))])
def test_the_curve_ends_with_the_labels_that_were_asked_for(labels, counts):
    assert quickstart.numbers_of_labels(quickstart.Recipe(labels=labels), INFO) == counts


def test_fewer_labels_than_classes_are_left_out():
    many = replace(INFO, class_names=tuple(map(str, range(30))))
    assert quickstart.numbers_of_labels(quickstart.Recipe(), many) == (100,)


def test_the_last_screen_sets_features_beside_pixels_and_the_network():
    accuracies = {"probe": 0.6, "knn": 0.7, "raw_probe": 0.5, "pca_nearest": 0.625, "untrained_probe": 0.9}
    curve = {f"labels_10_{name}_accuracy": value for name, value in accuracies.items()}
    curve |= {f"labels_20_{name}_accuracy": 0.8 for name in ("probe", "raw_svm", "convnet")}
    curve["labels_10_convnet_accuracy"] = 0.75
    figures = {f"{name}_finetune_accuracy": 0.9 for name in ("stacked", "vae", "mae")}
    recipe, directory = quickstart.Recipe(labels=20), SimpleNamespace(path=Path("runs/a"))
    lines = quickstart.closing(recipe, directory, curve, (10, 20), figures, 1e-6).splitlines()
    assert lines[2].split() == ["10", "70.0", "%", "62.5", "%", "(+7.5)", "75.0", "%", "(-5.0)"]
    assert lines[3].split() == ["20", "80.0", "%", "80.0", "%", "(+0.0)", "80.0", "%", "(+0.0)"]
    assert len(lines) < 24 and max(map(len, lines)) <= 120
