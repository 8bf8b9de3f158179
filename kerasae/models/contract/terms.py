"""What a forward pass of the objective finds: terms of the loss, and what the state is updated from."""

from typing import Any, NamedTuple


class Term(NamedTuple):
    """A term whose value in the loss is not the one to be logged, such as a divergence with a floor.

    Attributes:
        logged: float32 [B], the true quantity; evaluation minimises nothing and uses this one too.
        minimised: float32 scalar or [B], what stands in the training loss in its place.
    """

    logged: Any
    minimised: Any


class Statistic(NamedTuple):
    """A term that is a number of the whole batch, not of an example: a float32 scalar, equal on all replicas.

    Compute it from `whole_batch` or `batch_mean` (see `kerasae.models.contract.replicas`), and list the term's name in
    `statistics`, so that micro-batches, which see a part only, are refused.
    """

    value: Any


class Found(NamedTuple):
    """All that an objective may return; a dict of terms alone stands for `Found(terms)`.

    Attributes:
        terms: name → float32 [B], `Term` or `Statistic`.
        sums: name → tensor that is added up over micro-batches and replicas for `next_state`.
        rows: name → [B, …], joined over micro-batches and replicas in the order of the examples for `next_state`.
    """

    terms: dict
    sums: dict = {}
    rows: dict = {}

    @classmethod
    def of(cls, result):
        """`result` itself if it is one, else one that holds the terms alone."""
        return result if isinstance(result, cls) else cls(result)


def logged(term):
    """The value to be logged: [B], or a scalar for a `Statistic`."""
    return term.logged if isinstance(term, Term) else term.value if isinstance(term, Statistic) else term


def minimised(term, training):
    """The value that stands in the loss: [B] or a scalar."""
    return term.minimised if training and isinstance(term, Term) else logged(term)
