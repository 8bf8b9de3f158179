"""Baselines for features: raw input, principal components, the most frequent class."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from kerasae.evaluate.probe import check_classes, check_features, check_widths, outputs

SIDE = 32
"""Longest side, in pixels, of the images that baselines see; larger ones are shrunk by averaging."""


BASELINES = {
    "raw_probe": "raw input, logistic regression",
    "raw_nearest": "raw input, nearest neighbour",
    "raw_svm": "raw input, support vector machine",
    "pca_probe": "PCA, logistic regression",
    "pca_nearest": "PCA, nearest neighbour",
    "start_probe": "weights before adaptation, logistic regression",
    "untrained_probe": "untrained encoder, logistic regression",
    "majority": "most frequent class",
    "convnet": "convolutional network from scratch",
}
"""Figure NAME_accuracy of a baseline → name of the baseline."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Baseline:
    """Accuracy of a classifier that knows no pretraining.

    `accuracy` is a fraction in [0, 1]; `predictions` are the labels predicted for the test examples, [N] int64;
    `protocol` says in one line how the number came about.
    """

    accuracy: float
    predictions: np.ndarray
    protocol: str


def raw_input(data, maximum, side: int = SIDE, batch_size: int = 256) -> np.ndarray:
    """Read examples as flat vectors: [N, ...] → float32 [N, F] in stored order, integers divided by `maximum`.

    Args:
        data: an array [N, ...], a pair (x, y), or a split of a `kerasae.data` source.
        maximum: stored integer that means 1.0, or a `kerasae.layers.Standardization` of numbers of any range.
        side: images [H, W, C] with a longer side are shrunk to it by averaging, in proportion.
        batch_size: examples read at once.

    Example:
        >>> raw_input(np.full((2, 64, 32, 3), 255, "uint8"), 255.0).shape
        (2, 1536)
    """

    def flat(x):
        any_range = hasattr(maximum, "imputed")
        x = maximum.imputed(x) if any_range else tf.cast(x, tf.float32) / (maximum if x.dtype.is_integer else 1.0)
        longest = max(x.shape[1:3]) if x.shape.rank == 4 else 0
        if longest > side:
            x = tf.image.resize(x, [max(1, round(n * side / longest)) for n in x.shape[1:3]], "area")
        return tf.reshape(x, [tf.shape(x)[0], int(np.prod(x.shape[1:]))])

    return np.concatenate([vectors for _, _, vectors in outputs(flat, data, batch_size)])


def principal_components(unlabelled, *parts, count: int, seed: int = 0) -> list[np.ndarray]:
    """Project parts [N, F] onto the first principal components of unlabelled examples [M, F]: each [N, K].

    Args:
        unlabelled: examples that the components are fitted to.
        *parts: examples to project.
        count: most components; K is at most M and F.
        seed: of the randomised singular value decomposition.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(10, 4))
        >>> principal_components(x, x[:3], count=2)[0].shape
        (3, 2)
    """
    components = PCA(min(count, *unlabelled.shape), random_state=seed).fit(unlabelled)
    return [components.transform(part).astype(np.float32) for part in parts]


def principal_reconstructions(unlabelled, part, count: int, seed: int = 0) -> np.ndarray:
    """Reconstruct vectors [N, F] from the first principal components of unlabelled ones [M, F]: float32 [N, F].

    Args:
        unlabelled: examples that the components are fitted to.
        part: examples to reconstruct.
        count: most components; at most M and F are used.
        seed: of the randomised singular value decomposition.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(10, 4))
        >>> np.allclose(principal_reconstructions(x, x, count=4), x, atol=1e-6)
        True
    """
    components = PCA(min(count, *unlabelled.shape), random_state=seed).fit(unlabelled)
    return components.inverse_transform(components.transform(part)).astype(np.float32)


def most_frequent_class(train_y, test_y) -> Baseline:
    """Predict the most frequent training label for every test example; ties go to the lower label.

    Example:
        >>> most_frequent_class(np.array([0, 1, 1]), np.array([1, 0])).accuracy
        0.5
    """
    label = int(np.bincount(train_y).argmax())
    accuracy = float(np.mean(np.asarray(test_y) == label))
    return Baseline(
        accuracy=accuracy,
        predictions=np.full(len(test_y), label),
        protocol=f"most frequent class of {len(train_y)} training labels",
    )


def support_vectors(train_x, train_y, test_x, test_y) -> Baseline:
    """Classify vectors by a support vector machine with a radial kernel, at scikit-learn's settings (C = 1).

    Args:
        train_x, test_x: vectors [N, F]; standardised with the statistics of the training vectors.
        train_y, test_y: labels [N], integers ≥ 0.

    Raises:
        InputError: lengths that differ, fewer than two classes in training, values that are not finite, bad labels.

    Example:
        >>> x, y = np.eye(4), np.array([0, 0, 1, 1])
        >>> support_vectors(x, y, x, y).accuracy
        1.0
    """
    train_x, train_y = check_features("train", train_x, train_y)
    test_x, test_y = check_features("test", test_x, test_y)
    check_widths(train_x, test_x)
    check_classes(train_y)
    with threadpool_limits(1, user_api="blas"):
        predictions = make_pipeline(StandardScaler(), SVC()).fit(train_x, train_y).predict(test_x)
    return Baseline(
        accuracy=float(np.mean(predictions == test_y)),
        predictions=predictions,
        protocol=f"support vector machine, radial kernel, C=1, {train_x.shape[1]} standardised values, "
        f"{len(train_y)} labels",
    )
