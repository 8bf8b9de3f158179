"""A small classifier of a data set's own images, whose features and answers judge samples."""

from dataclasses import dataclass

import keras
import numpy as np

from kerasae.data.index_cache import fingerprint, kept
from kerasae.data.subsets import balanced_subset
from kerasae.errors import InputError
from kerasae.evaluate.classification import classify
from kerasae.evaluate.convnet import FEATURES, small_convnet, trained_convnet

LABELS, STEPS = 5000, 500
"""Most labelled images, and fewest steps, that train a judge."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A trained `small_convnet`: features and classes of images as stored."""

    network: keras.Model
    about: str
    """What it is, in words, and how many test images it reads rightly."""

    def features(self, images: np.ndarray) -> np.ndarray:
        """Compute the features before the dropout: [N, H, W, C] → [N, F]."""
        return keras.Model(self.network.input, self.network.get_layer(FEATURES).output).predict(images, 256, verbose=0)

    def classes(self, images: np.ndarray) -> np.ndarray:
        """Read the class of each image: [N] int64."""
        return self.network.predict(images, 256, verbose=0).argmax(axis=1)

    def asked_class_share(self, images: np.ndarray, asked: np.ndarray) -> float:
        """Measure the share of images [N, H, W, C] that are read as the class asked for, [N]."""
        return float(np.mean(self.classes(images) == np.asarray(asked)))


def can_judge(info) -> bool:
    """Whether a data set's `Info` is of images with a class each, for a judge to learn from."""
    images = len(info.shape) == 3 and info.shape[-1] <= 4 and not info.standardized
    return images and info.label_kind == "class" and info.classes > 1


def trained_judge(source, seed: int = 0, steps: int = STEPS) -> Judge:
    """Train a judge on at most 5,000 labelled training images; an earlier one of the same data is read from the cache.

    Its features are not those of the Inception network: figures that they give can be compared within one data set
    and judge only.

    Args:
        source: a labelled `kerasae.data` source of images.
        seed: of the choice of labels and of the training.
        steps: fewest steps.

    Raises:
        InputError: data that are not images with one class each.

    Example:
        >>> judge = trained_judge(kerasae.data.load("digits"))
    """
    info, source = source.info, source.labelled()
    if not can_judge(info) or source.train.labels is None:
        raise InputError(f"source: expected images [H, W, C] with one class each. Received: {info.spec}, {info.shape}")
    maximum = info.max_value if "int" in info.dtype else 1.0

    def weights():
        train = source.train
        train = train.subset(balanced_subset(train.labels, min(LABELS, len(train)), seed))
        network, about = trained_convnet(train, info.classes, maximum, seed, steps)
        right = classify(network, source.test).accuracy
        about = np.array(f"small_convnet, {about}; {right:.1%} of test images read rightly")
        return {"about": about, **{str(i): w for i, w in enumerate(network.get_weights())}}

    from kerasae import __version__

    examples = (info.fingerprint, info.label_fingerprint, info.shape, info.binarized, maximum)
    found = kept(fingerprint(map(str, ["judge", __version__, *examples, LABELS, steps, seed])), weights)
    network = small_convnet(info.shape, info.classes, maximum, seed)
    network.set_weights([found[str(i)] for i in range(len(found) - 1)])
    return Judge(network, str(found["about"]))
