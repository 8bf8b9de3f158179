"""Verify that an export computes what its model computes, in a separate process that cannot import kerasae."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasae import models
from kerasae.detectors import Detector
from kerasae.errors import InputError
from kerasae.export.offers import batches_for, call, endpoints

CHECK = Path(__file__).with_name("check.py")


class ParityError(RuntimeError):
    """Report that an export computes something else than its model; the message names the endpoint."""


def verify(model, path, examples, tolerance=1e-5, checker=None) -> float:
    """Reload a SavedModel in a fresh process that cannot import kerasae, and compare every endpoint with the model.

    Every signature, `serving_default` too, answers the examples in one batch, and the first example alone. A value v
    may differ by tolerance · max(1, |v|), as scores of hundreds of nats have fewer decimals; one that is restored from
    standardised values by tolerance · max(1, |v|, its deviation). Both sides compute on the CPU,
    whatever devices there are.

    Args:
        model: the model that was exported.
        path: the export.
        examples: [N, *shape] as stored, N ≥ 2.
        tolerance: largest difference that passes.
        checker: `Checker` to share between several exports; None starts a new one.

    Returns:
        The largest absolute difference over all endpoints, outputs and batches.

    Raises:
        InputError: the examples do not fit.
        ParityError: the export does not load, has other endpoints, or differs by more than the tolerance.

    Example:
        >>> kerasae.export.verify(model, "saved_models/digits", images[:16])
        1.1920929e-07
    """
    with nullcontext(checker) if checker else Checker() as checker:
        return parity(model, path, examples, tolerance, checker)["max_abs_diff"]


def parity(model, path, examples, tolerance, checker, served=None):
    """Verify an export and return the card's entry: the largest differences, and how they were measured.

    `served` holds the names of the endpoints that the export has; None for all.
    """
    questions, expected = examine(model, np.asarray(examples), served, checker.runtime == "tensorflow")
    found = checker.ask(path, questions)
    differences = compare(expected, found, tolerance, units(model))
    by_endpoint = {}
    for name, difference in differences.items():
        endpoint = name.split("/")[0]
        by_endpoint[endpoint] = max(by_endpoint.get(endpoint, 0.0), difference)
    return {
        "max_abs_diff": max(differences.values()),
        "tolerance": tolerance,
        "batch_sizes": sorted({len(batch) for batch in questions.values() if batch.ndim}),
        "endpoints": by_endpoint,
    }


def examine(model, examples, served=None, with_default=True):
    """Make batches by "input/case", and compute the model's own answers to them by "endpoint/output/case".

    `with_default` adds the first endpoint as serving_default, which a SavedModel has.
    """
    if len(examples) < 2 or examples.shape[1:] != model.example_shape:
        raise InputError(f"examples: expected [2 or more, *{model.example_shape}]. Received: {examples.shape}")
    everything = endpoints(model, examples.dtype.name)
    offered = {name: everything[name] for name in (everything if served is None else served)}
    if with_default:
        offered["serving_default"] = next(iter(offered.values()))
    questions, expected = {}, {}
    with tf.device("CPU:0"):
        for case, x in (("one", examples[:1]), ("all", examples)):
            given = batches_for(model, everything, x)
            questions |= {f"{name}/{case}": batch for name, batch in given.items()}
            for name, endpoint in offered.items():
                outputs = call(endpoint, given)
                expected |= {f"{name}/{output}/{case}": np.asarray(value) for output, value in outputs.items()}
    return questions, expected


class Checker:
    """Run exports in a process without kerasae and accelerator, in an empty folder.

    The process imports its runtime while the first export is being written. Use it as a context; it ends on exit.

    Args:
        runtime: "tensorflow", or "onnx" or "litert", where TensorFlow and Keras cannot be imported either.

    Example:
        >>> with kerasae.export.Checker() as checker:
        ...     for name, model in trained.items():
        ...         kerasae.export.save(model, f"saved_models/{name}", examples=images[:16], checker=checker)
    """

    def __init__(self, runtime="tensorflow"):
        self.runtime = runtime

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        empty, self.said = Path(self.folder.name, "empty"), Path(self.folder.name, "said.txt")
        empty.mkdir()
        # -P: the folder of the script, which is this package's, is not searched for modules.
        command, environment = [sys.executable, "-P", CHECK, self.runtime], {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                command, cwd=empty, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.folder.cleanup()

    def ask(self, path, questions):
        """Return the answers of an export to batches; raises ParityError with the reason if it fails."""
        asked, answered = Path(self.folder.name, "asked.npz"), Path(self.folder.name, "answered.npz")
        np.savez(asked, **questions)
        request = json.dumps([os.path.abspath(path), str(asked), str(answered)]) + "\n"
        with suppress(BrokenPipeError):  # a process that ended is reported below
            self.process.stdin.write(request.encode())
            self.process.stdin.flush()
        reply = self.process.stdout.readline()
        reason = json.loads(reply) if reply else self.last_words()
        if reason:
            raise ParityError(f"{path} does not work without kerasae: {reason}")
        with np.load(answered, allow_pickle=False) as answers:
            return dict(answers)

    def last_words(self):
        """Return the last line that the process printed, or its exit status."""
        status = self.process.wait()
        said = self.said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return said[-1] if said else f"exit status {status}"


def units(model):
    """Name the endpoints whose outputs are restored from standardised values, with the deviations: name → [..., C]."""
    scale = getattr(model, "standardization", None)
    if scale is None or isinstance(model, models.Classifier | models.Segmenter | Detector):
        return {}
    return dict.fromkeys(("reconstruct", "serving_default", "decode"), np.abs(scale.deviation))


def compare(expected, found, tolerance, units=None):
    """Compute the largest absolute difference of every output; raises ParityError for the first above the tolerance.

    `units` gives by endpoint what counts as 1 in its outputs, where that is more than 1; a tolerance of None lets any
    finite difference pass.
    """
    if odd := sorted(expected.keys() ^ found.keys()):
        raise ParityError(f"endpoint {odd[0]}: {'not' if odd[0] in expected else 'only'} in the export")
    differences = {}
    for name, wanted in expected.items():
        if found[name].shape != wanted.shape or found[name].dtype != wanted.dtype:
            raise ParityError(f"endpoint {name}: {describe_array(found[name])} instead of {describe_array(wanted)}")
        if "/classes/" in name:
            wanted = settled(wanted, found[name], expected[name.replace("/classes/", "/probabilities/")], tolerance)
        difference = np.abs(found[name].astype("float64") - wanted.astype("float64"))
        allowed = allowance(wanted, (units or {}).get(name.split("/")[0], 1.0), tolerance)
        # Written so that NaN fails.
        if not np.all(difference <= allowed):
            most = float(difference.max())
            limit = "none" if tolerance is None else f"{tolerance:g}"
            raise ParityError(f"endpoint {name}: differs by {most:.3g} from the model; tolerance={limit}")
        differences[name] = float(difference.max())
    return differences


def settled(wanted, found, probabilities, tolerance):
    """Take the class that an export names where it is as probable, within the tolerance, as the model's own."""
    of_found = np.take_along_axis(probabilities, np.minimum(found, probabilities.shape[-1] - 1)[..., None], -1)[..., 0]
    near = probabilities.max(axis=-1) - of_found <= 2 * (np.inf if tolerance is None else tolerance)
    return np.where(near, found, wanted)


def allowance(wanted, unit, tolerance):
    """Compute by how much each value may differ, where `unit` counts as 1."""
    if tolerance is None:
        return np.finfo("float64").max
    return tolerance * np.maximum(np.maximum(1.0, unit), np.abs(wanted.astype("float64")))


def describe_array(array):
    return f"{array.dtype} {list(array.shape)}"
