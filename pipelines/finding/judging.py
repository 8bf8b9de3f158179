"""Measure how well an index finds examples of the same class, beside raw values and hashes that train no network."""

import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate import HASHING_BASELINES, mean_average_precision, principal_components, raw_input
from pipelines.building.variants import scale_of
from pipelines.finding import encoding
from pipelines.judging.codes import UNLABELLED, some

DATABASE = 60_000
"""Most training examples that are searched."""


def lines(model, source, recipe, thresholds) -> list[str]:
    """Print-ready lines of mAP: test examples ask, training examples are found; why there are none, where so."""
    if source.info.label_kind != "class" or not source.info.classes or not source.has_test:
        return ["no classes and test examples to judge by"]
    queries = some(source.test.labelled(), recipe.queries, recipe.seed)
    database = some(source.train.labelled(), DATABASE, recipe.seed)
    if source.info.kind == "tokens" or database.labels is None or queries.labels is None:
        return ["no classes and vectors to judge by"]
    try:
        found = table(model, source, (queries, database), recipe, thresholds)
    except InputError as error:
        return [f"not judged: {error}"]
    head = f"mAP: {len(queries)} test examples ask, {len(database)} training examples of {source.info.classes} classes"
    return [
        f"{head}; equal distances in any order:",
        *(f"  {name:36} {value:6.3f}" for name, value in found),
        verdict(found),
    ]


def table(model, source, parts, recipe, thresholds):
    """Measure mAP of the index's own codes, first, and of baselines: pairs (name, mAP)."""
    scale = scale_of(source.info)
    labels = [part.labels for part in parts]
    vectors = [np.nan_to_num(raw_input(part, scale)) for part in parts]
    training = np.nan_to_num(raw_input(some(source.train, UNLABELLED, recipe.seed), scale))
    codes = [encoding.as_stored(encoding.flat_codes(model, part), thresholds) for part in parts]
    width = codes[0].shape[1]
    metric = "hamming" if thresholds is not None else recipe.metric
    own = f"{width} bits of the run" if thresholds is not None else f"codes of the run, {width} numbers"
    found = [(own, mean_average_precision(*codes, *labels, metric))]
    for name, hashed in HASHING_BASELINES.items() if thresholds is not None else ():
        if name != "PCA-ITQ" or width <= min(training.shape):
            bits = hashed(training, *vectors, bits=width, seed=recipe.seed)
            found.append((f"{name}, {width} bits", mean_average_precision(*bits, *labels, "hamming")))
    pca = principal_components(training, *vectors, count=width, seed=recipe.seed)
    found.append((f"PCA, {pca[0].shape[1]} numbers", mean_average_precision(*pca, *labels, "euclidean")))
    return [*found, (f"raw, {vectors[0].shape[1]} numbers", mean_average_precision(*vectors, *labels, "euclidean"))]


def verdict(found) -> str:
    """Say in words whether the run finds more than the best baseline."""
    (_, own), *others = found
    best, score = max(others, key=lambda pair: pair[1])
    if own > score:
        return f"  the run is ahead of the best baseline ({best}) by {own - score:.3f}"
    return (
        f"  the run is no better than {best} ({own - score:+.3f}); search those, or train longer with --neighbours 10"
    )
