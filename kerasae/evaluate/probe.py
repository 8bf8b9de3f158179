"""Measure by multinomial logistic regression how well frozen features separate the classes: the linear probe."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kerasae.data import in_order
from kerasae.errors import InputError

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeResult:
    """Result of a linear probe.

    `accuracy` and `train_accuracy` are fractions in [0, 1]; `predictions` are the labels predicted for the
    test features, [N] int64; `regularisation` is scikit-learn's C (larger = weaker penalty); `protocol` says
    in one line how the accuracy was measured, and is to be shown with it; `converged` is False if the final fit
    ran out of iterations.
    """

    accuracy: float
    train_accuracy: float
    regularisation: float
    predictions: np.ndarray
    protocol: str
    converged: bool = True

    def as_dict(self) -> dict:
        """Return the numbers and the protocol as JSON values, without the predictions."""
        return {
            "accuracy": self.accuracy,
            "train_accuracy": self.train_accuracy,
            "regularisation": self.regularisation,
            "converged": self.converged,
            "protocol": self.protocol,
        }


def linear_probe(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = 5,
    choose_on: int = 5000,
    max_iter: int = 1000,
    seed: int = 0,
) -> ProbeResult:
    """Fit multinomial logistic regression on standardised frozen features; report its test accuracy.

    Minimises 0.5·‖W‖² + C·Σᵢ cross-entropy(yᵢ, softmax(W xᵢ + b)) with L-BFGS, where xᵢ has zero mean and
    unit variance by the *training* features. C is chosen from `strengths` by stratified cross-validation on
    the training labels alone, on a random `choose_on` of them when there are more (C is the variance of a
    Gaussian prior on W, so it carries over to more examples); ties go to the stronger penalty. The test
    labels are used once, to count. With two classes W is one vector and the softmax a sigmoid.

    Args:
        train_x, test_x: features [N, ...] of any shape after the first axis; flattened to [N, F], float32.
        train_y, test_y: labels [N], integers ≥ 0.
        strengths: the values of C to choose from; a single one is used as it is.
        folds: parts of the cross-validation; fewer when the largest class has fewer examples.
        choose_on: how many training examples, at most, take part in the choice of C.
        max_iter: L-BFGS iterations per fit.
        seed: of the subsample and the folds.

    Raises:
        InputError: lengths that differ, fewer than two classes in training, non-finite features, bad labels.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 2
        >>> x = rng.normal(size=(200, 3)) + 4 * y[:, None]
        >>> linear_probe(x[:100], y[:100], x[100:], y[100:]).accuracy > 0.95
        True
    """
    _check_options(strengths, folds, choose_on)
    train_x, train_y = check_features("train", train_x, train_y)
    test_x, test_y = check_features("test", test_x, test_y)
    check_widths(train_x, test_x)
    check_classes(train_y)
    strength, how = _choose_strength(train_x, train_y, sorted(strengths), folds, choose_on, max_iter, seed)
    scaler, classifier = StandardScaler(), LogisticRegression(C=strength, max_iter=max_iter)
    scaled = scaler.fit_transform(train_x)
    converged = _fit(classifier, scaled, train_y)
    predictions = classifier.predict(scaler.transform(test_x))
    return ProbeResult(
        accuracy=float(np.mean(predictions == test_y)),
        train_accuracy=float(np.mean(classifier.predict(scaled) == train_y)),
        regularisation=strength,
        predictions=predictions,
        protocol=f"linear probe: logistic regression on {train_x.shape[1]} standardised frozen features, "
        f"{len(train_y)} labels, C={strength:g} {how}",
        converged=converged,
    )


def features(model, data, batch_size: int = 256) -> np.ndarray:
    """Encode data by a trained model into deterministic codes, flattened: [N, F] float32, in stored order.

    Args:
        model: anything with `encode(x)`; integer inputs go in as stored, the model scales them. Of a model of sequences
            with a code for every step, the mean over the known steps is taken.
        data: an array [N, ...], a `(x, y)` pair, or a split of a `kerasae.data` source.
        batch_size: examples encoded at once.

    Raises:
        InputError: if `model` cannot encode or `data` is empty.

    Example:
        >>> import types
        >>> halves = types.SimpleNamespace(encode=lambda x: x / 2)
        >>> features(halves, np.ones((3, 2, 2), "float32")).shape
        (3, 4)
    """
    encode = public_method(model, "encode")
    if getattr(model, "takes_mask", False) == "steps" and len(model.code_shape) == 2:
        encode = mean_over_steps(model)
    codes = [z.reshape(len(z), -1) for _, _, z in outputs(encode, data, batch_size)]
    return np.concatenate(codes)


def mean_over_steps(model) -> Callable:
    """Make a function x → codes [B, Z] of a model with a code for every step: their mean over the known steps."""

    def encode(x):
        codes, counts = tf.cast(model.encode(x), tf.float32), tf.cast(model.prepare(x).mask, tf.float32)[..., None]
        return tf.reduce_sum(codes * counts, axis=1) / tf.maximum(tf.reduce_sum(counts, axis=1), 1.0)

    return encode


def outputs(function: Callable, data, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Run `function` over `data` in batches: yield (x as stored, labels or None, output as float32).

    Several outputs come as a tuple. The function is traced once, with the batch axis open, so that a smaller last
    batch costs no new trace.
    """
    step = None
    for x, y in example_batches(data, batch_size):
        if step is None:
            step = traced(function, x)
        yield x, y, tf.nest.map_structure(lambda output: output.numpy(), step(x))


def traced(function: Callable, x: np.ndarray) -> Callable:
    """Trace `function` as a graph with float32 outputs, for batches like `x` of any length."""
    signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype)]

    def call(batch):
        return tf.nest.map_structure(lambda output: tf.cast(output, tf.float32), function(batch))

    return tf.function(call, input_signature=signature, autograph=False)  # AutoGraph takes seconds


def example_batches(data, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield (x, labels or None) as NumPy in stored order; the last batch may be smaller.

    A split is read batch by batch, so that a folder of photos never has to fit into memory.
    """
    if batch_size < 1:
        raise InputError(f"batch_size: expected at least 1, received {batch_size}; choose a positive number.")
    if hasattr(data, "gather"):
        for x, y in in_order(data, batch_size):
            yield x.numpy(), y.numpy() if data.labels is not None else None
        return
    x, y = _arrays(data)
    for start in range(0, len(x), batch_size):
        stop = start + batch_size
        yield x[start:stop], None if y is None else y[start:stop]


def conditional_outputs(model, name: str, split, batch_size: int) -> Iterator[tuple]:
    """Yield (x, labels, outputs) of a method of x and the class, for a split whose examples all have a class."""
    if getattr(split, "labels", None) is None or (split.labels < 0).any():
        raise InputError("data: the model takes a class with every example, but some have none; give labelled data.")
    method = public_method(model, name)
    signature = [tf.TensorSpec([None, *split.shape], split.dtype), tf.TensorSpec([None], tf.int64)]
    step = tf.function(lambda x, y: tf.cast(method(x, y), tf.float32), signature, autograph=False)
    return ((x, y, step(x, y).numpy()) for x, y in example_batches(split, batch_size))


def public_method(model, name: str) -> Callable:
    """Return the method `name` of a model; raise InputError if the model lacks it."""
    if not callable(getattr(model, name, None)):
        raise InputError(
            f"model: expected a model with {name}(), received {type(model).__name__}; pass one that has it."
        )
    return getattr(model, name)


def check_features(part: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flatten features to [N, F] float32 and labels to [N] int64; raise InputError for what does not fit."""
    x = np.asarray(x)
    y = check_labels(part, x.shape, y)
    x = x.reshape(len(x), -1).astype(np.float32, copy=False)
    broken = np.flatnonzero(~np.isfinite(x.sum(axis=1, dtype=np.float64)))
    if len(broken):
        raise InputError(
            f"{part}_x: expected finite features, received NaN or infinity in {len(broken)} of {len(x)} "
            f"examples (first: {broken[0]}); check the training of the encoder."
        )
    return x, y


def check_labels(part: str, shape: tuple[int, ...], y: np.ndarray) -> np.ndarray:
    """Convert labels of features of this shape to [N] int64; raise InputError for what does not fit."""
    if y is None:
        raise InputError(f"{part}_y: expected integer labels, received None; a probe needs labelled data.")
    y = np.asarray(y)
    if len(shape) < 2 or y.ndim != 1 or shape[0] == 0 or shape[0] != len(y):
        raise InputError(
            f"{part}_x, {part}_y: expected features [N, ...] and labels [N] of one length N > 0, "
            f"received {shape} and {y.shape}; pass one label per example."
        )
    if y.dtype.kind not in "iu" or y.min() < 0:
        raise InputError(
            f"{part}_y: expected integers of at least 0, received {y.dtype} from {y.min()}; "
            "number the classes from 0 and leave out examples without a label."
        )
    return y.astype(np.int64)


def check_classes(train_y: np.ndarray) -> None:
    """Raise InputError if the training labels hold a single class."""
    if len(np.unique(train_y)) < 2:
        raise InputError(
            f"train_y: expected at least two classes, received only class {train_y[0]}; "
            "add labelled examples of another class."
        )


def check_widths(train_x: np.ndarray, test_x: np.ndarray) -> None:
    """Raise InputError unless training and test data have the same number of features."""
    if train_x.shape[1] != test_x.shape[1]:
        raise InputError(
            f"test_x: expected {train_x.shape[1]} features as in train_x, received {test_x.shape[1]}; "
            "encode both parts with the same model."
        )


def _check_options(strengths: Sequence[float], folds: int, choose_on: int) -> None:
    if not strengths or min(strengths) <= 0:
        raise InputError(f"strengths: expected positive values of C, received {strengths!r}; e.g. (0.01, 0.1, 1.0).")
    if folds < 2 or choose_on < 2:
        raise InputError(f"folds, choose_on: expected at least 2, received {folds} and {choose_on}; raise them.")


def _choose_strength(x, y, strengths, folds, choose_on, max_iter, seed) -> tuple[float, str]:
    """Choose the C of the best cross-validated accuracy; returns it, and in words how it was chosen."""
    if len(strengths) == 1:
        return float(strengths[0]), "as given"
    taken = np.random.default_rng(seed).permutation(len(y))[:choose_on]
    counts = np.bincount(y[taken])
    folds = min(folds, counts.max())
    if folds < 2 or np.count_nonzero(counts) < 2:
        middle = strengths[len(strengths) // 2]
        return float(middle), f"the middle of {len(strengths)}, too few labels to choose"
    scores = _cross_validate(x[taken], y[taken], strengths, folds, max_iter, seed)
    best = int(np.argmax(scores))  # the first maximum: ties go to the smaller C
    how = f"chosen of {len(strengths)} by {folds}-fold cross-validation on {len(taken)} training labels"
    return float(strengths[best]), how


def _cross_validate(x, y, strengths, folds, max_iter, seed) -> np.ndarray:
    """Measure the held-out accuracy for every C, pooled over the folds; [len(strengths)]."""
    hits = np.zeros(len(strengths))
    for fit, held in _folds(y, folds, seed):
        scaler = StandardScaler().fit(x[fit])
        fit_x, held_x = scaler.transform(x[fit]), scaler.transform(x[held])
        # From strong to weak penalty, each fit starts where the last one ended: fewer iterations.
        classifier = LogisticRegression(max_iter=max_iter, warm_start=True)
        for i, strength in enumerate(strengths):
            _fit(classifier.set_params(C=strength), fit_x, y[fit])
            hits[i] += np.sum(classifier.predict(held_x) == y[held])
    return hits / len(y)


def _folds(y, folds, seed) -> list[tuple[np.ndarray, np.ndarray]]:
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer examples than folds is missing from some folds, which is fine here.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(splitter.split(np.zeros(len(y)), y))
    return [(fit, held) for fit, held in parts if len(np.unique(y[fit])) > 1]


def _fit(classifier: LogisticRegression, x: np.ndarray, y: np.ndarray) -> bool:
    """Fit the classifier and return whether L-BFGS converged; the result carries the flag, so no warning is shown."""
    # One thread is faster: the products are only a few classes wide, and BLAS threads spin while they wait.
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("always")
        classifier.fit(x, y)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def _arrays(data) -> tuple[np.ndarray, np.ndarray | None]:
    if hasattr(data, "arrays"):
        x, y = data.arrays()
    elif isinstance(data, tuple) and len(data) == 2:
        x, y = data
    else:
        x, y = data, None
    x = np.asarray(x)
    if x.ndim < 2 or len(x) == 0:
        raise InputError(f"data: expected examples [N, ...] with N > 0, received shape {x.shape}; pass a batch.")
    return x, None if y is None else np.asarray(y)
