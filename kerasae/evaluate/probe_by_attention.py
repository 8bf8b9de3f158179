"""Train an attentive probe: a learned query pools all tokens of a frozen encoder for a linear classifier."""

import keras
import numpy as np
from keras import layers

from kerasae.errors import InputError
from kerasae.evaluate.heads import Budget, HeadResult, check_data, measure
from kerasae.evaluate.probe_by_sgd import build_linear
from kerasae.evaluate.tokens import Tokens
from kerasae.layers import AttentionPooling

MOMENTS_FROM = 2048
"""Training examples, at most, whose tokens the mean and variance are taken from."""


def attentive_probe(
    train_x,
    train_y: np.ndarray,
    test_x,
    test_y: np.ndarray,
    *,
    heads: int | None = None,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.01,
    epochs: int = 10,
    warmup: float = 0.1,
    batch_size: int = 256,
    min_steps: int = 500,
    seed: int = 0,
) -> HeadResult:
    """Train attention pooling and a linear classifier on all tokens of a frozen encoder; report its test accuracy.

    logits = W norm(pool((x − μ) / √(σ² + 1e-6))) + b, where one learned query attends to the tokens
    (`kerasae.layers.AttentionPooling`): attentive probing of Chen et al., arXiv 2202.03026, in the plain form of
    El-Nouby et al., arXiv 2401.08541: normalisation without affine, one attention, one linear layer. μ and σ² are per
    channel, of the *training* tokens (of 2048 examples at most). What is pooled goes through the head of `sgd_probe`,
    whose batch norm without affine (norm) is an addition: a mean of many tokens varies little, and without it the same
    steps got less far. AdamW on the cross-entropy; the learning rate warms up linearly, then falls by half a cosine to
    0, step by step.

    The tokens are cached, so that no image is augmented. Test labels are used once, to count.

    Args:
        train_x, test_x: tokens [N, T, D] as an array or as `kerasae.evaluate.Tokens`.
        train_y, test_y: labels [N], integers ≥ 0.
        heads: of the attention; None for one per 64 channels, as many as divide the width.
        learning_rate, weight_decay: of AdamW; biases are not decayed.
        epochs: passes over the training examples.
        warmup: share of the steps in which the learning rate rises.
        batch_size: examples per step; all of them if there are fewer.
        min_steps: train longer than `epochs` if these are fewer steps than this.
        seed: seed of the initial weights, of the order of the examples, and of the choice of examples for the moments.

    Raises:
        InputError: tokens that are not [N, T, D] or not finite, lengths that differ, fewer than two classes in
            training, bad labels, or options out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 2
        >>> x = rng.normal(size=(200, 5, 4))
        >>> x[:, 2] += 4 * y[:, None]
        >>> attentive_probe(x[:100], y[:100], x[100:], y[100:], heads=1).accuracy > 0.9
        True
    """
    data = check_data(train_x, train_y, test_x, test_y)
    tokens, examples = data[0], len(data[1])
    if len(tokens.shape) != 2:
        raise InputError(f"train_x: expected tokens [N, T, D], received {(examples, *tokens.shape)}; do not pool them.")
    heads = default_heads(tokens.shape[1]) if heads is None else heads
    budget = Budget(epochs=epochs, warmup=warmup, batch_size=batch_size, min_steps=min_steps)
    optimizer = keras.optimizers.AdamW(budget.rate(learning_rate, examples), weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    head = build_attentive(tokens.shape, int(data[1].max()) + 1, heads, moments(tokens, seed), seed)
    protocol = (
        f"attentive probe: one query with {heads} head{'s'[: heads > 1]} over {tokens.shape[0]} frozen tokens of width "
        f"{tokens.shape[1]}, then batch norm and a linear layer, AdamW with rate {learning_rate:g} and decay "
        f"{weight_decay:g}"
    )
    return measure(head, data, optimizer, budget, seed, protocol)


def default_heads(width: int) -> int:
    """Choose the number of heads: one per 64 channels, fewer if this does not divide the width."""
    return next(heads for heads in range(max(1, width // 64), 0, -1) if width % heads == 0)


def moments(tokens: Tokens, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and variance of every channel, [D], over the tokens of some training examples."""
    rows = np.random.default_rng(seed).permutation(len(tokens))[:MOMENTS_FROM]
    values = tokens.gather(np.sort(rows)).astype(np.float32).reshape(-1, tokens.shape[1])
    if not np.isfinite(values).all():
        raise InputError(
            "train_x: expected finite tokens, received NaN or infinity; check the training of the encoder."
        )
    return values.mean(axis=0, dtype=np.float64), values.var(axis=0, dtype=np.float64)


def build_attentive(shape: tuple[int, ...], classes: int, heads: int, moments, seed: int) -> keras.Model:
    """Build standardisation, attention pooling and the head of `sgd_probe`: [B, T, D] → logits [B, K]."""
    mean, variance = moments
    head = keras.Sequential(
        [
            keras.Input(shape, dtype="float32"),
            layers.Normalization(axis=-1, mean=mean, variance=variance + 1e-6, dtype="float32"),
            AttentionPooling(heads, seed=seed, dtype="float32"),
        ],
        name="attentive_probe",
    )
    head.add(build_linear(shape[-1], classes, seed))
    return head
