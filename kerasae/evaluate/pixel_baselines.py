"""Name classes of pixels without any pretraining: what a segmenter has to beat."""

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerasae.evaluate.segmentation import IGNORED
from kerasae.evaluate.unet import unet_from_scratch

WINDOW = 5
SCALES = (1.0, 2.0, 4.0)
MOST_PIXELS = 30_000
"""Labelled pixels, drawn at random, that the classifiers of pixels see."""


def most_frequent_pixel(train, test, classes: int, seed: int = 0) -> np.ndarray:
    """Name every pixel by the class of most labelled pixels: uint8 [N, H, W]."""
    counts = np.bincount(train.masks[train.masks != IGNORED], minlength=classes)
    return np.full(test.masks.shape, counts.argmax(), np.uint8)


def pixel_regression(train, test, classes: int, seed: int = 0) -> np.ndarray:
    """Name every pixel by logistic regression of scikit-learn on `local_features`: uint8 [N, H, W]."""
    whitened = PCA(0.9999, whiten=True)  # neighbouring pixels are alike, which slows the solver
    return by_pixels(make_pipeline(StandardScaler(), whitened, LogisticRegression(max_iter=500)), train, test, seed)


def pixel_forest(train, test, classes: int, seed: int = 0) -> np.ndarray:
    """Name every pixel by a random forest of scikit-learn, 100 trees, on `local_features`: uint8 [N, H, W]."""
    return by_pixels(RandomForestClassifier(100, min_samples_leaf=2, n_jobs=-1, random_state=seed), train, test, seed)


PIXEL_BASELINES = {
    "most frequent class": most_frequent_pixel,
    "logistic regression of pixels": pixel_regression,
    "random forest of pixels": pixel_forest,
    "U-Net from scratch": unet_from_scratch,
}
"""Name → function of the labelled training images and the test images, `PixelSplit`s, that names the test's pixels."""


def by_pixels(classifier, train, test, seed: int) -> np.ndarray:
    """Fit a classifier of scikit-learn to labelled pixels, and name the pixels of the test images.

    Half of the pixels are drawn evenly from the classes, half at random, so that rare classes are seen at all.
    """
    rows = drawn_pixels(train.masks.reshape(-1), np.random.default_rng(seed))
    features = np.concatenate(list(features_at(train, rows)))
    classifier.fit(features, train.masks.reshape(-1)[rows])
    named = [classifier.predict(found) for found in features_at(test, np.arange(test.masks.size))]
    return np.concatenate(named).astype(np.uint8).reshape(test.masks.shape)


def features_at(split, rows: np.ndarray, size: int = 16):
    """Yield the features of the pixels at `rows`, in order, some images at a time: float32 [n, F]."""
    pixels, images = split.masks[0].size, split.arrays()[0]
    for i in range(0, len(images), size):
        part = images[i : i + size]
        here = rows[(rows >= i * pixels) & (rows < (i + len(part)) * pixels)] - i * pixels
        if len(here):
            yield local_features(part).reshape(len(part) * pixels, -1)[here]


def drawn_pixels(labels: np.ndarray, rng) -> np.ndarray:
    """Draw rows of labelled pixels, half evenly by class and half at random; all where they are few."""
    known = np.flatnonzero(labels != IGNORED)
    if len(known) <= MOST_PIXELS:
        return known
    found = np.unique(labels[known])
    by_class = [np.flatnonzero(labels == c) for c in found]
    even = [rng.choice(rows, min(len(rows), MOST_PIXELS // 2 // len(found)), replace=False) for rows in by_class]
    return np.unique(np.concatenate([*even, rng.choice(known, MOST_PIXELS // 2, replace=False)]))


def local_features(images: np.ndarray) -> np.ndarray:
    """Describe every pixel by its surroundings: images [N, H, W, C] → float32 [N, H, W, F].

    The values of a window of 5 × 5 pixels, and at scales of 1, 2 and 4 pixels the Gaussian mean, the length of its
    gradient, and its Laplacian, of each channel.
    """
    x, reach = images.astype(np.float32), WINDOW // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    height, width = x.shape[1:3]
    window = [padded[:, i : i + height, j : j + width] for i in range(WINDOW) for j in range(WINDOW)]
    filters = (ndimage.gaussian_filter, ndimage.gaussian_gradient_magnitude, ndimage.gaussian_laplace)
    filtered = [f(x, scale, axes=(1, 2)) for scale in SCALES for f in filters]
    return np.concatenate([*window, *filtered], axis=-1)
