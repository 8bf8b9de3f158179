"""The one form in which every model sees a batch of examples."""

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """A batch as `prepare` makes it, once: what the objective, the metrics and the networks read.

    Attributes:
        x: float32 [B, *shape], the input in units in which `pixel_max` is 1; 0 where `mask` is 0.
        target: float32 [B, *shape], what is to be reconstructed: x itself, or the y of `fit(x, y)` where y has the
            shape of x (denoising from real pairs).
        y: float32 [B, K], the condition as one-hot rows or numbers; None for a model that is not conditional.
        mask: float32, 1 = counts, 0 = is missing or padding; [B, *shape], or [B, T] for sequences; None if all counts.
        weight: float32 [B], the weight of each example in the loss; None for 1.
    """

    x: Any
    target: Any
    y: Any = None
    mask: Any = None
    weight: Any = None
