"""Train a head on the output of a frozen encoder: the part that SGD probe and attentive probe share."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import keras
import numpy as np
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.evaluate.probe import check_classes, check_labels
from kerasae.evaluate.tokens import Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadResult:
    """Result of a trained head.

    `accuracy` and `train_accuracy` are fractions in [0, 1]; `predictions` are the labels predicted for the test
    features, [N] int64; `protocol` says in one line how the accuracy was measured, and is to be shown with it.
    """

    accuracy: float
    train_accuracy: float
    predictions: np.ndarray
    protocol: str

    def as_dict(self) -> dict:
        """Return the accuracies and the protocol as JSON values, without the predictions."""
        return {"accuracy": self.accuracy, "train_accuracy": self.train_accuracy, "protocol": self.protocol}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Length of a head's training: `epochs`, but at least `min_steps` steps; `warmup` is the share that warms up."""

    epochs: int
    warmup: float
    batch_size: int
    min_steps: int

    def __post_init__(self):
        if self.epochs < 1 or self.batch_size < 1 or self.min_steps < 1:
            raise InputError(
                "epochs, batch_size, min_steps: expected at least 1, "
                f"received {self.epochs}, {self.batch_size} and {self.min_steps}; raise them."
            )
        if not 0 <= self.warmup < 1:
            raise InputError(f"warmup: expected a share from 0 to below 1, received {self.warmup}; e.g. 0.1.")

    def batch(self, examples: int) -> int:
        """Return the examples of one step: a batch, or all examples if they are fewer."""
        return min(self.batch_size, examples)

    def steps(self, examples: int) -> int:
        """Count the steps of the whole training."""
        return max(self.epochs * (examples // self.batch(examples)), self.min_steps)

    def rate(self, peak: float, examples: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """Build the learning-rate schedule: linear warm-up from 0 to `peak`, then a half-cosine decay to 0."""
        if not 0 < peak < np.inf:
            raise InputError(f"learning_rate: expected a number above 0, received {peak}; e.g. 0.1.")
        steps = self.steps(examples)
        ramp = round(self.warmup * steps)
        rise = {"warmup_target": peak, "warmup_steps": ramp} if ramp else {}
        return keras.optimizers.schedules.CosineDecay(0.0 if ramp else peak, max(1, steps - ramp), **rise)

    def describe(self, examples: int) -> str:
        """Describe the budget in words."""
        steps, batch = self.steps(examples), self.batch(examples)
        epochs = round(steps / (examples // batch))
        return f"{epochs} epoch{'s'[: epochs != 1]} in {steps} steps of {batch}"


def check_data(train_x, train_y, test_x, test_y) -> tuple[Tokens, np.ndarray, Tokens, np.ndarray]:
    """Check features and labels of both parts of a probe's data; raise InputError for what does not fit."""
    train_x, test_x = Tokens.of(train_x), Tokens.of(test_x)
    train_y = check_labels("train", (len(train_x), *train_x.shape), train_y)
    test_y = check_labels("test", (len(test_x), *test_x.shape), test_y)
    if train_x.shape != test_x.shape:
        raise InputError(
            f"test_x: expected examples {train_x.shape} as in train_x, received {test_x.shape}; "
            "encode both parts with the same model."
        )
    check_classes(train_y)
    return train_x, train_y, test_x, test_y


def train(head: keras.Model, x: Tokens, y: np.ndarray, optimizer, budget: Budget, seed: int) -> None:
    """Minimise the mean cross-entropy of the head's logits; the order of the examples depends only on the seed."""
    optimizer.build(head.trainable_variables)

    @tf.function(autograph=False)
    def descend(batch, labels):
        with tf.GradientTape() as tape:
            logits = head(tf.cast(batch, tf.float32), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [weight.value for weight in head.trainable_variables])
        optimizer.apply(gradients, head.trainable_variables)

    for rows in islice(orders(len(y), budget.batch(len(y)), seed), budget.steps(len(y))):
        descend(x.gather(rows), y[rows])


def orders(examples: int, batch: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the rows of batch after batch without end: a new permutation per epoch, without its remainder."""
    for epoch in count():
        order = np.random.default_rng([seed, epoch]).permutation(examples)
        yield from (order[start : start + batch] for start in range(0, examples - batch + 1, batch))


def predict(head: keras.Model, x: Tokens, batch_size: int = 1000) -> np.ndarray:
    """Predict the most likely label of every example, [N] int64; raises InputError if a logit is not finite."""

    @tf.function(reduce_retracing=True, autograph=False)
    def infer(batch):
        return head(tf.cast(batch, tf.float32), training=False)

    labels = []
    for start in range(0, len(x), batch_size):
        logits = infer(x.gather(np.arange(start, min(start + batch_size, len(x))))).numpy()
        if not np.isfinite(logits).all():
            raise InputError(
                "expected finite logits of the probe, received NaN or infinity: the features are not finite, "
                "or learning_rate is too high; check the features, then lower it."
            )
        labels.append(logits.argmax(axis=1))
    return np.concatenate(labels)


def measure(head: keras.Model, data, optimizer, budget: Budget, seed: int, protocol: str) -> HeadResult:
    """Train the head, then measure its accuracy on training and test data; `data` as `check_data` returns it."""
    train_x, train_y, test_x, test_y = data
    train(head, train_x, train_y, optimizer, budget, seed)
    predictions = predict(head, test_x)
    return HeadResult(
        accuracy=float(np.mean(predictions == test_y)),
        train_accuracy=float(np.mean(predict(head, train_x) == train_y)),
        predictions=predictions,
        protocol=f"{protocol}, {budget.describe(len(train_y))}, no augmentation, {len(train_y)} labels",
    )
