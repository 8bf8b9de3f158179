"""Measure how well nearest codes are relevant ones: mean average precision, with a rule for ties."""

import numpy as np

from kerasae.errors import InputError

METRICS = ("euclidean", "cosine", "hamming")

BLOCK = 100
"""Queries whose distances to the whole database are in memory at a time."""


def mean_average_precision(queries, database, query_labels, labels, metric: str = "euclidean") -> float:
    """Rank a database by its distance to each query, and average the precision at the relevant examples.

    An example is relevant where its label is that of the query. mAP is the mean of `average_precisions` over the
    queries that have a relevant example; the database must not hold the queries themselves.

    Args:
        queries, database: codes [Q, Z] and [N, Z]; bool, or 0 and 1, for "hamming".
        query_labels, labels: integers [Q] and [N]; a negative one is unknown, and relevant to nothing.
        metric: "euclidean", "cosine" or "hamming".

    Raises:
        InputError: an unknown metric, lengths or widths that differ, codes that are not finite, bits other than 0 and
            1, or no query with a relevant example.

    Example:
        >>> bits = np.array([[0, 0], [0, 1], [1, 1]], bool)
        >>> mean_average_precision(bits[:1], bits[1:], np.array([7]), np.array([3, 7]), "hamming")
        0.5
    """
    queries, database = checked(queries, database, query_labels, labels, metric)
    query_labels, labels, found = np.asarray(query_labels), np.asarray(labels), []
    for i in range(0, len(queries), BLOCK):
        asked = query_labels[i : i + BLOCK, None]
        relevant = (asked == labels[None]) & (asked >= 0)
        found.append(average_precisions(distances(queries[i : i + BLOCK], database, metric), relevant))
    found = np.concatenate(found)
    if np.isnan(found).all():
        raise InputError("labels: no query has a relevant example in the database; give labels that both share")
    return float(np.nanmean(found))


def average_precisions(distances, relevant) -> np.ndarray:
    """Average the precision at the relevant examples of each query, the expectation over random orders of ties.

    Where distances are all different, AP = (1/R) Σ_k rel(k) · (relevant among the first k) / k. Bits have few
    distances, and any order of equal ones would be as right as another: AP is then its expectation when each group of
    equal distances is shuffled,

        AP = (1/R) Σ_g (r_g / n_g) Σ_{i=1…n_g} (R_g + 1 + (i − 1) (r_g − 1) / (n_g − 1)) / (N_g + i),

    a group g of n_g examples, r_g of them relevant, after N_g examples, R_g of them relevant, of nearer groups; R of
    all are relevant. McSherry and Najork, ECIR 2008. The place i of a group is relevant with chance
    r_g / n_g, and then (i − 1) (r_g − 1) / (n_g − 1) of the places before it in the group are relevant too.

    Args:
        distances: [Q, N].
        relevant: bool [Q, N].

    Returns:
        float64 [Q]; NaN for a query without relevant examples.

    Example:
        >>> average_precisions(np.array([[1.0, 1.0]]), np.array([[True, False]]))  # first or second: (1 + 1/2) / 2
        array([0.75])
    """
    distances, relevant = np.asarray(distances), np.asarray(relevant, bool)
    return np.array([_average_precision(d, r) for d, r in zip(distances, relevant, strict=True)])


def _average_precision(distances: np.ndarray, relevant: np.ndarray) -> float:
    order = np.argsort(distances, kind="stable")
    near, hits = distances[order], relevant[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, near[1:] != near[:-1]])
    sizes, relevants = np.diff(np.r_[starts, len(near)]), np.add.reduceat(hits, starts)
    before = np.cumsum(relevants) - relevants
    within = np.arange(len(near)) - np.repeat(starts, sizes)  # i − 1
    growth = np.where(sizes > 1, (relevants - 1) / np.maximum(sizes - 1, 1), 0.0)
    expected = np.repeat(before, sizes) + 1 + within * np.repeat(growth, sizes)
    total = relevants.sum()
    terms = np.repeat(relevants / sizes, sizes) * expected / np.arange(1, len(near) + 1)
    return terms.sum() / total if total else np.nan


def distances(queries: np.ndarray, database: np.ndarray, metric: str) -> np.ndarray:
    """Compute distances [Q, N] by one matrix product: squared Euclidean ones, 1 − cosine, or differing bits."""
    if metric == "hamming":
        signs = [2.0 * part.astype(np.float32) - 1.0 for part in (queries, database)]
        return (queries.shape[1] - signs[0] @ signs[1].T) / 2  # whole numbers, exact in float32
    if metric == "cosine":
        queries, database = (
            x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (queries, database)
        )
        return 1.0 - queries @ database.T
    return np.square(queries).sum(1)[:, None] - 2.0 * queries @ database.T + np.square(database).sum(1)[None]


def checked(queries, database, query_labels, labels, metric) -> tuple[np.ndarray, np.ndarray]:
    """Convert codes to bool or float32; raises InputError for what `mean_average_precision` refuses."""
    if metric not in METRICS:
        raise InputError(f"metric: expected {', '.join(METRICS)}. Received: {metric!r}")
    queries, database = np.asarray(queries), np.asarray(database)
    for name, codes, known in (("queries", queries, query_labels), ("database", database, labels)):
        if codes.ndim != 2 or np.shape(known) != (len(codes),) or codes.shape[1] != database.shape[-1]:
            raise InputError(
                f"{name}: expected codes [N, Z] of one Z and labels [N]. Received: {codes.shape}, {np.shape(known)}"
            )
        if metric == "hamming" and not ((codes == 0) | (codes == 1)).all():
            raise InputError(f"{name}: hamming compares bits; expected 0 and 1 only")
        if not np.isfinite(codes).all():
            raise InputError(f"{name}: expected finite codes")
    kind = bool if metric == "hamming" else np.float32
    return queries.astype(kind), database.astype(kind)
