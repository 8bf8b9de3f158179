"""What an export offers: its endpoints, functions of a batch by name, and their description for the card."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import kerasae
from kerasae import models
from kerasae.detectors import Detector
from kerasae.errors import InputError

DTYPES = ("uint8", "uint16", "float32")
LABELS = tf.TensorSpec((None,), "int32", "labels")
SEED = tf.TensorSpec((), "int32", "seed")


class Endpoint(NamedTuple):
    """Function of batches that returns named tensors, with the specification of each batch."""

    function: Callable
    takes: tuple[tf.TensorSpec, ...]


def endpoints(model, dtype="uint8") -> dict[str, Endpoint]:
    """Build the endpoints of a model by name; the first is also a server's default.

    Autoencoders: reconstruct, encode, decode, score; those that infer a class also classify; those with a prior also
    sample. Classifiers: classify, or estimate where labels are numbers, and encode. Segmenters: segment, the
    classes of pixels and their probabilities, and encode. Detectors: detect, with the
    threshold inside, and encode. They take examples as stored, so
    that scaling is part of the endpoint, named "images" [B, H, W, C] or, for any other shape, "inputs"; `decode` takes
    float32 "codes". A conditional model takes int32 "labels" [B] beside them. `sample` takes an int32 "seed", which
    draws the same examples as `model.sample`, and "labels" [B], or "n" where there are none. The batch is of any size.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype: expected that of the stored examples, {' or '.join(DTYPES)}. Received: {dtype!r}")
    name = "images" if len(model.example_shape) == 3 else "inputs"
    stored = tf.TensorSpec((None, *model.example_shape), dtype, name)
    encode = Endpoint(lambda x: floats(codes=model.encode(x)), (stored,))
    if isinstance(model, Detector):
        model.calibration  # noqa: B018  raises InputError without a threshold, before anything is traced
        return {"detect": Endpoint(model.detect, (stored,)), "encode": encode}
    if isinstance(model, models.Segmenter):
        return {"segment": Endpoint(model.answer, (stored,)), "encode": encode}
    if isinstance(model, models.Classifier):
        return {model.answers.endpoint: Endpoint(model.answer, (stored,)), "encode": encode}
    return of_autoencoder(model, stored)


def of_autoencoder(model, stored):
    """Build the endpoints of a model that is no classifier, of examples specified by `stored`."""
    examples = (stored, LABELS) if model.needs_condition else (stored,)
    codes = tf.TensorSpec((None, *model.code_shape), "float32", "codes")
    found = {
        "reconstruct": Endpoint(lambda *x: floats(reconstructions=model.reconstruct(*x)), examples),
        "encode": Endpoint(lambda *x: floats(codes=model.encode(*x)), examples),
        "decode": Endpoint(
            lambda *z: floats(decoded=model.decode(*z)), (codes, LABELS) if model.conditional else (codes,)
        ),
        "score": Endpoint(lambda *x: floats(scores=model.score(*x)), examples),
    }
    if model.infers_labels:
        found["classify"] = Endpoint(lambda x: floats(probabilities=model.probabilities(x)), (stored,))
    if model.generative and model.code_prior() is not None:
        found["sample"] = sampling(model)
    return found


def sampling(model):
    """Build the endpoint that decodes draws of a model's prior."""
    if model.conditional:

        def draw(labels, seed):
            return floats(samples=model.sample(ops.shape(labels)[0], y=labels, seed=seed))

        return Endpoint(draw, (LABELS, SEED))
    count = tf.TensorSpec((), "int32", "n")
    return Endpoint(lambda n, seed: floats(samples=model.sample(n, seed=seed)), (count, SEED))


def floats(**outputs):
    """Cast outputs to float32, whatever precision the model computes in."""
    return {name: ops.cast(value, "float32") for name, value in outputs.items()}


def unserved(model):
    """Return the endpoints that no format has although the model can do it: name → reason."""
    chains = getattr(model, "generative", False) and model.code_prior() is None
    return {"sample": "its samples are the ends of chains of many steps; draw them by kerasae sample"} if chains else {}


def batches_for(model, offered, x, y=None):
    """Make a batch for every input of the endpoints `offered`, of examples x [N, *shape]: name → array.

    Labels are y, classes [N] of which −1 is unknown, or the classes in turn; codes are those of the examples.
    """
    wanted = {spec.name for endpoint in offered.values() for spec in endpoint.takes}
    found = {offered["encode"].takes[0].name: x, "n": np.int32(len(x)), SEED.name: np.int32(5)}
    if LABELS.name in wanted:
        classes = np.arange(len(x)) % model.condition_width if y is None else np.asarray(y)
        found[LABELS.name] = classes.astype("int32")
    if "codes" in wanted:
        found["codes"] = np.asarray(call(offered["encode"], found)["codes"])
    return {name: batch for name, batch in found.items() if name in wanted}


def call(endpoint, batches):
    """Call an endpoint in this process on what it takes of `batches`; single numbers are plain integers."""
    given = (batches[spec.name] for spec in endpoint.takes)
    return endpoint.function(*(int(value) if np.ndim(value) == 0 else tf.constant(value) for value in given))


# ---- for the card


def describe(model, dtype):
    """Describe the model for the card: class, input and versions."""
    takes = next(iter(endpoints(model, dtype).values())).takes[0]
    scale, top = getattr(model, "standardization", None), 1.0 if dtype == "float32" else model.pixel_max
    values = {"range": [0.0, top]} if scale is None else {"range": None, "missing": scale.missing}
    versions = {"kerasae": kerasae.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    return {
        "model": type(model).__name__,
        "input": {"name": takes.name, **spell(takes), **values},
        "versions": versions,
    }


def signature(endpoint, traced):
    """Describe the inputs of an endpoint and the outputs of its traced function."""
    gives = {output: spell(value) for output, value in sorted(traced.structured_outputs.items())}
    return {"inputs": {spec.name: spell(spec) for spec in endpoint.takes}, "outputs": gives}


def spell(spec):
    """Convert shape (null for a free axis) and type to JSON values."""
    return {"shape": spec.shape.as_list(), "dtype": spec.dtype.name}
