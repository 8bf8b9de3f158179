"""Find the nearest codes, or bits, among many: an index that is saved beside the hash of its model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from kerasae.errors import InputError

METRICS = {"euclidean": "l2sq", "cosine": "cos", "hamming": "hamming"}
"""Metric → its name in usearch."""

EXACT = 20_000
"""Rows up to which all are compared; beyond, a graph finds nearly all of the nearest, in less than a millisecond."""


class Found(NamedTuple):
    """The nearest rows to queries, the nearest first."""

    rows: np.ndarray
    """Numbers of rows of the index, int64 [Q, n]."""
    distances: np.ndarray
    """float32 [Q, n]: Euclidean ones, 1 − cosine, or differing bits."""


@dataclass(eq=False)
class SearchIndex:
    """Hold codes or bits with their names, and find the nearest to others.

    Up to `EXACT` rows all are compared; more are searched in a hierarchical graph: Malkov and Yashunin, arXiv
    1603.09320, by the library usearch, which may miss a few of the nearest.

    Args:
        vectors: codes float [N, Z], or bits bool [N, Z], which make the metric "hamming".
        metric: "euclidean", "cosine" or "hamming".
        names: of the rows [N].
        classes: names of their classes [N], "" where unknown; None for data without classes.
        about: further facts that are saved, JSON values by name; "model_sha256" is that of the model file.

    Raises:
        InputError: vectors that are not finite, no rows, names of another number, a metric that does not fit, or
            usearch is not installed.

    Example:
        >>> index = SearchIndex(np.eye(3, dtype="float32"), "euclidean", ["a", "b", "c"])
        >>> found = index.search(np.array([[0.9, 0.1, 0.0]]), 2)
        >>> [index.names[row] for row in found.rows[0]]
        ['a', 'b']
    """

    vectors: np.ndarray
    metric: str
    names: Sequence[str]
    classes: Sequence[str] | None = None
    about: dict = field(default_factory=dict)
    graph: Any = None
    """usearch's graph of the rows; built where it is needed and None is given."""

    def __post_init__(self):
        need_usearch()
        self.vectors = checked("vectors", self.vectors, self.metric)
        lists = {"names": self.names} | ({} if self.classes is None else {"classes": self.classes})
        for name, values in lists.items():
            if len(values) != len(self.vectors):
                raise InputError(f"{name}: expected {len(self.vectors)}, one per row. Received: {len(values)}")
        self.packed = packed(self.vectors)
        if self.graph is None and len(self) > EXACT:
            self.graph = empty_graph(self.metric, self.dimension)
            self.graph.add(np.arange(len(self)), self.packed)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """Numbers, or bits, of a row."""
        return self.vectors.shape[1]

    def search(self, queries, n: int = 10) -> Found:
        """Find the n nearest rows to each query [Q, Z]; all rows where there are fewer.

        Raises:
            InputError: queries of another width or type than the rows, or n below 1.
        """
        queries = checked("queries", queries, self.metric)
        if queries.shape[1] != self.dimension or n < 1:
            raise InputError(
                f"queries: expected [Q, {self.dimension}], and n from 1 up. Received: {queries.shape}, n={n}"
            )
        rows, distances = self._nearest(packed(queries), min(n, len(self)))
        distances = np.sqrt(np.maximum(distances, 0)) if self.metric == "euclidean" else distances
        return Found(rows.astype(np.int64), distances.astype(np.float32))

    def _nearest(self, queries, n):
        if self.graph is not None:
            found = self.graph.search(queries, n, exact=n == len(self))
        else:
            from usearch.index import MetricKind, search

            kind = {"l2sq": MetricKind.L2sq, "cos": MetricKind.Cos, "hamming": MetricKind.Hamming}
            found = search(self.packed, queries, n, kind[METRICS[self.metric]], exact=True)
        return np.reshape(found.keys, (len(queries), n)), np.reshape(found.distances, (len(queries), n))


def empty_graph(metric: str, dimension: int):
    """Make usearch's index of a metric, for rows of `dimension` numbers or bits."""
    from usearch.index import Index

    return Index(ndim=dimension, metric=METRICS[metric], dtype="b1" if metric == "hamming" else "f32")


def checked(name: str, vectors, metric: str) -> np.ndarray:
    """Convert to bool or float32 [N, Z]; raises InputError for what is no such array or does not fit the metric."""
    if metric not in METRICS:
        raise InputError(f"metric: expected {', '.join(METRICS)}. Received: {metric!r}")
    vectors = np.asarray(vectors)
    bits = vectors.dtype == bool
    if vectors.ndim != 2 or 0 in vectors.shape or bits != (metric == "hamming"):
        wanted = "bits, bool [N, Z]" if metric == "hamming" else "codes, float [N, Z]"
        raise InputError(f"{name}: expected {wanted}. Received: {vectors.dtype} {vectors.shape}")
    vectors = np.ascontiguousarray(vectors, bool if bits else np.float32)
    if not bits and not np.isfinite(vectors).all():
        raise InputError(f"{name}: expected finite numbers; the model gave NaN or infinity")
    return vectors


def packed(vectors: np.ndarray) -> np.ndarray:
    """Pack bits into bytes, 8 to one, as usearch takes them; floats stay as they are."""
    return np.packbits(vectors, axis=1) if vectors.dtype == bool else vectors


def need_usearch() -> None:
    """Raise InputError where the extra is not installed."""
    try:
        import usearch.index  # noqa: F401
    except ImportError:
        raise InputError('search needs usearch; pip install "kerasae[search]"') from None
