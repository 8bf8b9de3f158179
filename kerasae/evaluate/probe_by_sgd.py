"""Train a linear probe as the masked autoencoder's authors do: batch norm without affine, then a linear layer."""

import keras
import numpy as np
from keras import layers

from kerasae.errors import InputError
from kerasae.evaluate.heads import Budget, HeadResult, check_data, measure
from kerasae.optimizers import LARS


def sgd_probe(
    train_x,
    train_y: np.ndarray,
    test_x,
    test_y: np.ndarray,
    *,
    optimizer: str = "sgd",
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    epochs: int = 90,
    warmup: float = 1 / 9,
    batch_size: int = 512,
    min_steps: int = 1000,
    seed: int = 0,
) -> HeadResult:
    """Train a linear classifier on frozen features by small batches; report its test accuracy.

    logits = W (x − μ) / √(σ² + 1e-6) + b: He et al., arXiv 2111.06377, appendix A.1. The moments are those of the
    batch in training, and running averages (momentum 0.9) afterwards. Cross-entropy, no weight decay, learning rate
    `learning_rate`·batch/256 after a linear warm-up, then half a cosine down to 0, step by step.

    The features are cached, so that, unlike in the paper, no image is augmented. Test labels are used once, to count.

    Args:
        train_x, test_x: features [N, ...], flattened to [N, F], or as `linear_probe` takes them.
        train_y, test_y: labels [N], integers ≥ 0.
        optimizer: "sgd", or "lars" (You et al., arXiv 1708.03888; trust coefficient 0.001), which is the paper's; it
            changes the weights by a fixed share per step, and needs as many examples as ImageNet has to get anywhere.
        learning_rate: per 256 examples of a batch.
        momentum: of either.
        epochs: passes over the training examples.
        warmup: share of the steps in which the learning rate rises; 10 epochs of 90 in the paper.
        batch_size: examples per step; all of them if there are fewer.
        min_steps: train longer than `epochs` if these are fewer steps than this.
        seed: of the first weights and of the order of the examples.

    Raises:
        InputError: lengths that differ, fewer than two classes in training, bad labels, options out of range, or
            logits that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 2
        >>> x = rng.normal(size=(200, 3)) + 4 * y[:, None]
        >>> sgd_probe(x[:100], y[:100], x[100:], y[100:]).accuracy > 0.95
        True
    """
    data = check_data(flat(train_x), train_y, flat(test_x), test_y)
    examples, width = len(data[1]), data[0].shape[0]
    budget = Budget(epochs=epochs, warmup=warmup, batch_size=batch_size, min_steps=min_steps)
    rate = budget.rate(learning_rate * budget.batch(examples) / 256, examples)
    chosen = choose_optimizer(optimizer, rate, momentum)
    protocol = (
        f"linear probe: batch norm without affine, then a linear layer, on {width} frozen features, "
        f"{optimizer.upper()} with base rate {learning_rate:g}"
    )
    return measure(build_linear(width, int(data[1].max()) + 1, seed), data, chosen, budget, seed, protocol)


def build_linear(width: int, classes: int, seed: int) -> keras.Model:
    """Build batch norm without affine and a linear layer: [B, F] → logits [B, K]."""
    small = keras.initializers.TruncatedNormal(stddev=0.01, seed=seed)
    return keras.Sequential(
        [
            keras.Input((width,), dtype="float32"),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-6, center=False, scale=False, dtype="float32"),
            layers.Dense(classes, kernel_initializer=small, dtype="float32"),
        ],
        name="linear_probe",
    )


def choose_optimizer(name: str, rate, momentum: float):
    """Build the optimiser of this name; raises InputError for an unknown name or a momentum outside its range."""
    if not 0 <= momentum < 1:
        raise InputError(f"momentum: expected a number from 0 to below 1, received {momentum}; e.g. 0.9.")
    if name == "sgd":
        return keras.optimizers.SGD(rate, momentum=momentum)
    if name == "lars":
        return LARS(rate, momentum=momentum)
    raise InputError(f"optimizer: expected 'sgd' or 'lars', received {name!r}; choose one of them.")


def flat(x) -> np.ndarray:
    """Flatten features [N, ...] to [N, F] float32; features of fewer axes go unchanged to the checks."""
    x = np.asarray(x)
    return x.reshape(len(x), -1).astype(np.float32, copy=False) if x.ndim > 1 and len(x) else x
