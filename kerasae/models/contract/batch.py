"""The one form in which every model sees a batch of examples."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops


class Batch(NamedTuple):
    """A batch as `prepare` makes it, once: what the objective, the metrics and the networks read.

    Attributes:
        x: float32 [B, *shape], the input in units in which `pixel_max` is 1; 0 where `mask` is 0.
        target: float32 [B, *shape], what is to be reconstructed: x itself, or the y of `fit(x, y)` where y has the
            shape of x (denoising from real pairs).
        y: float32 [B, K], the condition as one-hot rows or numbers; None for a model that is not conditional.
        mask: float32, 1 = counts, 0 = is missing or padding; [B, *shape], or [B, T] for sequences; None if all counts.
            Where single values may be missing and a target is given, it is the target's.
        weight: float32 [B], the weight of each example in the loss; None for 1.
    """

    x: Any
    target: Any
    y: Any = None
    mask: Any = None
    weight: Any = None

    @property
    def counts(self):
        """Weights of a mean over values that leaves missing ones out: `weight` times `mask`, or None for 1."""
        if self.mask is None or self.weight is None:
            return self.weight if self.mask is None else self.mask
        return self.mask * ops.reshape(self.weight, (-1, *[1] * (len(self.mask.shape) - 1)))


def examples_of(split, most):
    """Take stored examples for `adapt`, at most so many, at equal distances: [n, *shape].

    Args:
        split: array [N, *shape], or a `kerasae.data.Split`.
        most: the greatest n.
    """
    rows = np.linspace(0, len(split) - 1, min(len(split), most)).astype("int64")
    return split.gather(rows)[0] if hasattr(split, "gather") else np.asarray(split)[rows]
