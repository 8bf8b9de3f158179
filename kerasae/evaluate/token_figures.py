"""Figures of models of token ids: how many tokens come back, and bags of the same ids."""

import numpy as np
import tensorflow as tf

from kerasae.evaluate.probe import outputs, public_method


def token_error(model, data, batch_size: int = 256) -> dict[str, float]:
    """Measure how well `model.reconstruct(x)` gives back the tokens of x; padding counts for nothing.

    Args:
        model: anything with `reconstruct(x)` → ids and `score(x)` → nats per example, for ids x [B, T].
        data: an array [N, T], a pair (x, y), or a split of a `kerasae.data` source.
        batch_size: examples reconstructed at once.

    Returns:
        A dict: `token_accuracy`, the share of the tokens that come back in their place; `nats_per_token`, the mean
        −log p(token | code), where the score is in nats; `tokens` and `examples`, their numbers.

    Example:
        >>> import types
        >>> ones = types.SimpleNamespace(reconstruct=lambda x: 0 * x + 1, score=lambda x: tf.reduce_sum(x, axis=1))
        >>> token_error(ones, np.array([[1.0, 3.0, 0.0]]))["token_accuracy"]
        0.5
    """
    reconstruct, score = public_method(model, "reconstruct"), public_method(model, "score")
    right, nats, tokens, examples = 0, 0.0, 0, 0
    for x, _, (found, scores) in outputs(lambda x: (reconstruct(x), score(x)), data, batch_size):
        right += int(np.sum((found == x) & (x != 0)))
        nats += float(scores.sum(dtype="float64"))
        tokens, examples = tokens + int(np.count_nonzero(x)), examples + len(x)
    count = max(tokens, 1)
    return {"token_accuracy": right / count, "nats_per_token": nats / count, "tokens": tokens, "examples": examples}


def bags_of_ids(data, ids: int, batch_size: int = 256) -> np.ndarray:
    """Forget the order of ids: [N, T] → float32 [N, V], 1 where an example holds the id; padding counts for nothing.

    Args:
        data: an array [N, T], a pair (x, y), or a split of a `kerasae.data` source.
        ids: number V of ids.
        batch_size: examples read at once.

    Example:
        >>> bags_of_ids(np.array([[3, 1, 3, 0]]), 4).tolist()
        [[0.0, 1.0, 0.0, 1.0]]
    """

    def bag(x):
        return tf.reduce_max(tf.one_hot(tf.cast(x, tf.int32), ids), axis=1) * (1.0 - tf.one_hot(0, ids))

    return np.concatenate([bags for _, _, bags in outputs(bag, data, batch_size)])
