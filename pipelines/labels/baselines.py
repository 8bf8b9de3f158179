"""Fit baselines without pretraining to the same labels as the probes of a run."""

import hashlib
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

import kerasae
from kerasae.evaluate import BASELINES, convnet
from pipelines.building.variants import scale_of

MOST_LABELS = 60_000
"""Number of labelled examples above which no baselines are fitted."""

MOST_FOR_CONVNET = 5_000
"""Number of labelled examples above which the slow baselines are left out: support vectors and convnet."""

UNLABELLED = 10_000
"""Maximum of unlabelled training examples to which the principal components are fitted."""

WORDS = {
    "raw": "raw values",
    "pca": "principal components",
    "start": "features before adaptation",
    "untrained": "features of random weights",
}
"""Input of a baseline → its name in the protocol text."""


def neighbours(labels):
    """Choose the k of k nearest neighbours: 1 below 1,000 labels, else 20."""
    return 1 if labels < 1000 else 20


class Baselines:
    """Models of the labels without pretraining, fitted to subsets of a source; kept for the next run on the same.

    Args:
        source: the data.
        components: number of principal components; the callers give the width of the features.
        seed: seed of the principal components and of the untrained encoder.
        model: the pretrained model, of which an untrained copy is probed, or None.
        start: the model from whose weights pretraining started, which is probed too, or None.
    """

    def __init__(self, source, components, seed, model=None, start=None):
        self.pool, source = source.train, source.labelled()
        self.kind = kerasae.evaluate.LABEL_KINDS[source.info.label_kind]
        self.source, self.components, self.seed, self.model, self.start = source, components, seed, model, start
        self.maximum = scale_of(source.info)
        self.words = {**WORDS, "raw": "bags of the tokens"} if source.info.kind == "tokens" else WORDS

    def fit(self, rows, seed):
        """Fit all baselines to labelled rows: name in `BASELINES` → `kerasae.evaluate.Baseline`."""
        if len(rows) > MOST_LABELS:
            return {}
        train, test_y = self.source.train.subset(rows), self.source.test.labels
        raw = self.raw(train)
        parts = [str(seed), *map(digest, (raw, train.labels, self.test, test_y))]
        parts += [] if self.kind.metric == "accuracy" else [self.kind.metric]
        ways = self.cached(train, raw, seed)
        found = {name: keep([name, *parts, *more], test_y, build, self.kind) for name, more, build in ways}
        for name in ("untrained", "start"):
            if self.encoders[name] is not None:
                found[f"{name}_probe"] = self.probe(name, train, seed)
        found["majority"] = self.kind.constant(self.source.train.labels, test_y)
        return {name: found[name] for name in BASELINES if name in found}

    def cached(self, train, raw, seed):
        """Yield the cached baselines: name, further parts of the cache key, and a function that fits it."""
        info, test_y = self.source.info, self.source.test.labels
        k = neighbours(len(train))
        pca = [str(self.components), digest(self.unlabelled)]
        for name, more, project in (("raw", [], lambda: (raw, self.test)), ("pca", pca, lambda: self.project(raw))):
            yield (
                f"{name}_probe",
                more,
                partial(linear, self.kind, project, train.labels, test_y, seed, self.words[name]),
            )
            if info.label_kind != "class":
                continue
            yield (
                f"{name}_nearest",
                [*more, str(k)],
                partial(nearest, project, train.labels, test_y, k, self.words[name]),
            )
        if len(train) > MOST_FOR_CONVNET or info.label_kind != "class":
            return
        yield "raw_svm", [], lambda: kerasae.evaluate.support_vectors(raw, train.labels, self.test, test_y)
        if len(info.shape) == 3 and info.shape[-1] <= 4 and not info.standardized:
            arguments = train, self.source.test, info.classes, self.maximum, seed
            yield (
                "convnet",
                [str(info.shape), str(convnet.STEPS)],
                lambda: kerasae.evaluate.convolutional_baseline(*arguments),
            )

    @cached_property
    def test(self):
        """Flatten and scale the test examples."""
        return self.raw(self.source.test)

    def raw(self, split):
        """Flatten and scale examples; sequences of tokens become bags of them, as their ids are no quantities."""
        if self.source.info.kind == "tokens":
            return kerasae.evaluate.bags_of_ids(split, len(self.source.info.columns))
        return kerasae.evaluate.raw_input(split, self.maximum)

    @cached_property
    def unlabelled(self):
        """Draw the raw training examples to which the principal components are fitted."""
        count = len(self.pool)
        rows = np.random.default_rng(self.seed).permutation(count)[:UNLABELLED]
        return self.raw(self.pool.subset(np.sort(rows)))

    def project(self, raw):
        """Project labelled and test examples onto the principal components."""
        return kerasae.evaluate.principal_components(
            self.unlabelled, raw, self.test, count=self.components, seed=self.seed
        )

    @cached_property
    def encoders(self):
        """Encode the test examples by the untrained copy and by the start: name → (model, features), or None."""
        models = {"untrained": self.model and untrained(self.model, self.seed), "start": self.start}
        return {
            name: model and (model, kerasae.evaluate.features(model, self.source.test))
            for name, model in models.items()
        }

    def probe(self, name, train, seed):
        """Fit a linear probe to the features of the encoder called `name`."""
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
    """Fit logistic regression to the inputs (labelled, test) that `project()` returns."""
    x, test_x = project()
    return with_input_named(kind.probe(x, train_y, test_x, test_y, seed=seed), words)


def nearest(project, train_y, test_y, k, words):
    """Fit k nearest neighbours to the inputs (labelled, test) that `project()` returns."""
    x, test_x = project()
    return with_input_named(kerasae.evaluate.knn_probe(x, train_y, test_x, test_y, k=k, metric="euclidean"), words)


def with_input_named(result, words):
    """Name the input of a baseline in its protocol text."""
    return replace(result, protocol=result.protocol.replace("frozen features", words))


def keep(parts, test_y, build, kind=kerasae.evaluate.LABEL_KINDS["class"]):
    """Cache the baseline that `build()` fits, under a key made of `parts`."""
    from kerasae.data.index_cache import fingerprint, kept

    def columns():
        found = build()
        return {"predictions": found.predictions, "protocol": np.array(found.protocol)}

    found = kept(fingerprint(["baseline", kerasae.__version__, *parts]), columns)
    return kind.judge(test_y, found["predictions"], str(found["protocol"]))


def digest(array):
    """Hash an array's bytes by SHA-256."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
