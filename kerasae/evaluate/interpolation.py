"""Walk between two examples in the space of codes, and decode on the way."""

import numpy as np

from kerasae.evaluate.probe import public_method


def interpolated(model, pair, count: int = 5) -> np.ndarray:
    """Decode `count` points on the straight line from one example's code to another's: [count, *shape].

    z_s = (1 − s) z_0 + s z_1 for s from 0 to 1, both ends included: Bowman et al., arXiv 1511.06349, section 5.2,
    for sentences.

    Args:
        model: anything with `encode(x)` and `decode(z)`.
        pair: the two examples [2, *shape], as stored.
        count: number of points, at least 2.

    Example:
        >>> import types
        >>> same = types.SimpleNamespace(encode=lambda x: x, decode=lambda z: z)
        >>> interpolated(same, np.array([[0.0], [1.0]]), 3).ravel().tolist()
        [0.0, 0.5, 1.0]
    """
    first, last = np.asarray(public_method(model, "encode")(pair), "float32")
    share = np.linspace(0, 1, count, dtype="float32").reshape(count, *[1] * first.ndim)
    return np.asarray(public_method(model, "decode")((1 - share) * first + share * last))
