"""Results of an objective: terms of the loss, and statistics from which the state is updated."""

from typing import Any, NamedTuple


class Term(NamedTuple):
    """Hold a term whose value in the loss differs from the logged one, such as a divergence with a floor.

    Attributes:
        logged: float32 [B], the true quantity; evaluation uses it for the loss too.
        minimised: float32 scalar or [B], its replacement in the training loss.
    """

    logged: Any
    minimised: Any


class Statistic(NamedTuple):
    """Hold a term of the whole batch, not of an example: a float32 scalar, equal on all replicas.

    Compute it from `whole_batch` or `batch_mean` (see `kerasae.models.contract.replicas`), and list the term's name in
    `statistics`, so that micro-batches, which see only a part of it, are refused.
    """

    value: Any


class Found(NamedTuple):
    """Hold the results of an objective; a dict of terms alone stands for `Found(terms)`.

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
        """Convert an objective's result, a `Found` or a dict of terms, to a `Found`."""
        return result if isinstance(result, cls) else cls(result)


def logged(term):
    """Return the logged value of a term: [B], or a scalar for a `Statistic`."""
    return term.logged if isinstance(term, Term) else term.value if isinstance(term, Statistic) else term


def minimised(term, training):
    """Return the value of a term in the loss: [B] or a scalar."""
    return term.minimised if training and isinstance(term, Term) else logged(term)
