"""The batch of examples that every model computes on."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops


class Batch(NamedTuple):
    """Hold a prepared batch for the objective, the metrics and the networks; `prepare` makes it once.

    Attributes:
        x: float32 [B, *shape], the input, scaled so that `pixel_max` becomes 1, or standardised; 0 where `mask` is 0.
        target: float32 [B, *shape], the values to reconstruct: x itself, or the y of `fit(x, y)` where y has the
            shape of x (denoising from real pairs).
        y: float32 [B, K], the condition as one-hot rows or numbers; None for a model that is not conditional.
        mask: float32, 1 = counts, 0 = is missing or padding; [B, *shape], or [B, T] for sequences; None if all counts.
            Where single values may be missing, a separate target has its mask here instead of that of x.
        weight: float32 [B], the weight of each example in the loss; None for 1.
    """

    x: Any
    target: Any
    y: Any = None
    mask: Any = None
    weight: Any = None

    @property
    def counts(self):
        """Weights of values in a mean that skips missing ones: `weight` times `mask`, or None for 1."""
        if self.mask is None or self.weight is None:
            return self.weight if self.mask is None else self.mask
        return self.mask * ops.reshape(self.weight, (-1, *[1] * (len(self.mask.shape) - 1)))


def examples_of(split, most):
    """Take at most `most` stored examples for `adapt`, at equal distances: [n, *shape].

    Args:
        split: array [N, *shape], or a `kerasae.data.Split`.
        most: the greatest n.
    """
    rows = np.linspace(0, len(split) - 1, min(len(split), most)).astype("int64")
    return split.gather(rows)[0] if hasattr(split, "gather") else np.asarray(split)[rows]
