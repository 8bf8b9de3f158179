"""Baselines beside the features of a run: the same labels, given to classifiers that know no pretraining."""

import hashlib
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

import kerasae
from kerasae.evaluate import BASELINES, convnet

MOST_LABELS = 60_000
"""Most labelled examples for which baselines are fitted."""

MOST_FOR_CONVNET = 5_000
"""Most labelled examples for the slower ones: the support vector machine and the convolutional network."""

UNLABELLED = 10_000
"""Most training examples that the principal components are fitted to."""

WORDS = {
    "raw": "raw values",
    "pca": "principal components",
    "start": "features before adaptation",
    "untrained": "features of random weights",
}
"""What the protocol of a baseline calls its input."""


def neighbours(labels):
    """Neighbours that vote: one among few labels, 20 among many."""
    return 1 if labels < 1000 else 20


class Baselines:
    """Models of the labels without pretraining, fitted to subsets of a source; kept for the next run on the same.

    Args:
        source: the data.
        components: principal components to keep, as many as the features are wide.
        seed: of the components and of the untrained encoder.
        model: the pretrained model, of which an untrained copy is probed; None for no such baseline.
        start: the model that the pretraining started from, or None.
    """

    def __init__(self, source, components, seed, model=None, start=None):
        self.pool, source = source.train, source.labelled()
        self.kind = kerasae.evaluate.LABEL_KINDS[source.info.label_kind]
        self.source, self.components, self.seed, self.model, self.start = source, components, seed, model, start
        self.maximum = source.info.max_value

    def fit(self, rows, seed):
        """Name of `BASELINES` → result with `accuracy`, `predictions` and `protocol`, for these labelled rows."""
        if len(rows) > MOST_LABELS:
            return {}
        train, test_y = self.source.train.subset(rows), self.source.test.labels
        raw = kerasae.evaluate.raw_input(train, self.maximum)
        parts = [str(seed), *map(digest, (raw, train.labels, self.test, test_y))]
        parts += [] if self.kind.metric == "accuracy" else [self.kind.metric]
        ways = self.ways(train, raw, seed)
        found = {name: keep([name, *parts, *more], test_y, build, self.kind) for name, more, build in ways}
        for name in ("untrained", "start"):
            if self.encoders[name] is not None:
                found[f"{name}_probe"] = self.probe(name, train, seed)
        found["majority"] = self.kind.constant(self.source.train.labels, test_y)
        return {name: found[name] for name in BASELINES if name in found}

    def ways(self, train, raw, seed):
        """Name, what its result depends on beside the examples, and a function that fits it, of each to be kept."""
        info, test_y = self.source.info, self.source.test.labels
        k = neighbours(len(train))
        pca = [str(self.components), digest(self.unlabelled)]
        for name, more, project in (("raw", [], lambda: (raw, self.test)), ("pca", pca, lambda: self.project(raw))):
            yield f"{name}_probe", more, partial(linear, self.kind, project, train.labels, test_y, seed, WORDS[name])
            if info.label_kind != "class":
                continue
            yield f"{name}_nearest", [*more, str(k)], partial(nearest, project, train.labels, test_y, k, WORDS[name])
        if len(train) > MOST_FOR_CONVNET or info.label_kind != "class":
            return
        yield "raw_svm", [], lambda: kerasae.evaluate.support_vectors(raw, train.labels, self.test, test_y)
        if len(info.shape) == 3 and info.shape[-1] <= 4:
            several = train, self.source.test, info.classes, self.maximum, seed
            yield (
                "convnet",
                [str(info.shape), str(convnet.STEPS)],
                lambda: kerasae.evaluate.convolutional_baseline(*several),
            )

    @cached_property
    def test(self):
        """Raw test examples."""
        return kerasae.evaluate.raw_input(self.source.test, self.maximum)

    @cached_property
    def unlabelled(self):
        """Raw training examples, also without labels, to which the components are fitted."""
        count = len(self.pool)
        rows = np.random.default_rng(self.seed).permutation(count)[:UNLABELLED]
        return kerasae.evaluate.raw_input(self.pool.subset(np.sort(rows)), self.maximum)

    def project(self, raw):
        """Principal components of labelled and of test examples."""
        return kerasae.evaluate.principal_components(
            self.unlabelled, raw, self.test, count=self.components, seed=self.seed
        )

    @cached_property
    def encoders(self):
        """Name → model and its features of the test examples, or None: an untrained copy, and the start."""
        models = {"untrained": self.model and untrained(self.model, self.seed), "start": self.start}
        return {
            name: model and (model, kerasae.evaluate.features(model, self.source.test))
            for name, model in models.items()
        }

    def probe(self, name, train, seed):
        """Fit a linear probe to the features of one of `encoders`."""
        model, test_x = self.encoders[name]
        x = kerasae.evaluate.features(model, train)
        return linear(self.kind, lambda: (x, test_x), train.labels, self.source.test.labels, seed, WORDS[name])


def untrained(model, seed):
    """Copy a model with new random weights."""
    import keras

    from kerasae.training import precision

    keras.utils.set_random_seed(seed)
    config = keras.saving.serialize_keras_object(model)
    return precision.in_float32(lambda: keras.saving.deserialize_keras_object(config))


def linear(kind, project, train_y, test_y, seed, words):
    """Logistic or ridge regression on what `project()` gives for the labelled and for the test examples."""
    x, test_x = project()
    return called(kind.probe(x, train_y, test_x, test_y, seed=seed), words)


def nearest(project, train_y, test_y, k, words):
    """Nearest neighbours in what `project()` gives."""
    x, test_x = project()
    return called(kerasae.evaluate.knn_probe(x, train_y, test_x, test_y, k=k, metric="euclidean"), words)


def called(result, words):
    """A result whose protocol names its input."""
    return replace(result, protocol=result.protocol.replace("frozen features", words))


def keep(parts, test_y, build, kind=kerasae.evaluate.LABEL_KINDS["class"]):
    """The result that `build()` gives, from an earlier run if it was of the same parts."""
    from kerasae.data.index_cache import fingerprint, kept

    def columns():
        found = build()
        return {"predictions": found.predictions, "protocol": np.array(found.protocol)}

    found = kept(fingerprint(["baseline", kerasae.__version__, *parts]), columns)
    return kind.judge(test_y, found["predictions"], str(found["protocol"]))


def digest(array):
    """SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
