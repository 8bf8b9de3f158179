"""Write SavedModels with named endpoints, and verify that they compute what the model computes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import kerasae
from kerasae import models
from kerasae.detectors import Detector
from kerasae.errors import InputError

CHECK = Path(__file__).with_name("check.py")
PARTS = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "card.json"}
DTYPES = ("uint8", "uint16", "float32")


class ParityError(RuntimeError):
    """Report that an export computes something else than its model; the message names the endpoint."""


# ---- what an export offers


class Endpoint(NamedTuple):
    """Function of one batch that returns named tensors, with the specification of the batch."""

    function: Callable
    takes: tf.TensorSpec


def endpoints(model, dtype="uint8") -> dict[str, Endpoint]:
    """Build the endpoints of a model by name; the first is also a server's default.

    Autoencoders: reconstruct, encode, decode, score. Classifiers: classify, or estimate where labels are numbers, and
    encode. Detectors: detect, with the threshold inside, and encode. They take examples as stored, so
    that scaling is part of the endpoint, named "images" [B, H, W, C] or, for any other shape, "inputs"; `decode` takes
    float32 "codes". The batch is of any size.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype: expected that of the stored examples, {' or '.join(DTYPES)}. Received: {dtype!r}")
    name = "images" if len(model.example_shape) == 3 else "inputs"
    stored = tf.TensorSpec((None, *model.example_shape), dtype, name)
    encode = Endpoint(lambda x: floats(codes=model.encode(x)), stored)
    if isinstance(model, Detector):
        model.calibration  # noqa: B018  raises InputError without a threshold, before anything is traced
        return {"detect": Endpoint(model.detect, stored), "encode": encode}
    if isinstance(model, models.Classifier):
        return {model.answers.endpoint: Endpoint(model.answer, stored), "encode": encode}
    codes = tf.TensorSpec((None, *model.code_shape), "float32", "codes")
    return {
        "reconstruct": Endpoint(lambda x: floats(reconstructions=model.reconstruct(x)), stored),
        "encode": encode,
        "decode": Endpoint(lambda z: floats(decoded=model.decode(z)), codes),
        "score": Endpoint(lambda x: floats(scores=model.score(x)), stored),
    }


def floats(**outputs):
    """Cast outputs to float32, whatever precision the model computes in."""
    return {name: ops.cast(value, "float32") for name, value in outputs.items()}


# ---- writing


def save(model, dest, *, dtype="uint8", card=None, examples=None, tolerance=1e-5, checker=None) -> Path:
    """Write a SavedModel whose endpoints take raw examples in batches of any size, and its `card.json`.

    The export is written, and with `examples` verified, under another name next to `dest` and then moved there. An
    earlier export at `dest` stays until the new one is complete.

    Args:
        model: an autoencoder, a `Classifier` or a `Detector`.
        dest: folder to write. An earlier export there is replaced; anything else is left alone.
        dtype: type of the stored examples, "uint8", "uint16" or "float32".
        card: further entries of the card, such as data, recipe and metrics; JSON values.
        examples: [N, *shape] as stored, N ≥ 2, to `verify` the export with; None does not verify.
        tolerance, checker: as for `verify`.

    Returns:
        `dest`. The card says what was verified: `card["parity"]["max_abs_diff"]`.

    Raises:
        InputError: `dest` holds other files than an export, or an argument does not fit.
        ParityError: as for `verify`; `dest` is as it was.

    Example:
        >>> kerasae.export.save(model, "saved_models/digits", examples=images[:16])
        >>> served = tf.saved_model.load("saved_models/digits")
        >>> served.signatures["encode"](tf.constant(images))["codes"]
    """
    place = Path(os.path.abspath(dest))
    refuse_foreign(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.")
    with beside as folder, nullcontext(checker) if checker or examples is None else Checker() as checker:
        new = Path(folder, "new")
        content = {**(card or {}), **describe(model, dtype), "endpoints": write(model, new, dtype)}
        content["parity"] = None if examples is None else parity(model, new, examples, tolerance, checker)
        (new / "card.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        put_in_place(new, place, aside=Path(folder, "earlier"))
    return Path(dest)


def refuse_foreign(place):
    """Raise InputError unless `place` is free, an empty folder, or an earlier export and nothing else."""
    if not place.exists():
        return
    entries = set(os.listdir(place)) if place.is_dir() else {place.name}
    if foreign := sorted(entries - PARTS):
        raise InputError(f"{place} is not free: it holds {foreign[0]}, which is no part of an export; choose another")
    if entries and not {"saved_model.pb", "card.json"} <= entries:
        raise InputError(f"{place} exists and is no export of kerasae; choose another destination")


def write(model, path, dtype):
    """Trace the endpoints and write the SavedModel; returns the inputs and outputs of each for the card."""
    archive, described = keras.export.ExportArchive(), {}
    for name, (function, takes) in endpoints(model, dtype).items():
        traced = archive.add_endpoint(name, function, input_signature=[takes]).get_concrete_function()
        gives = {output: spell(value) for output, value in sorted(traced.structured_outputs.items())}
        described[name] = {"inputs": {takes.name: spell(takes)}, "outputs": gives}
    archive.write_out(str(path), verbose=False)
    return described


def spell(spec):
    """Convert shape (null for a free axis) and type to JSON values."""
    return {"shape": spec.shape.as_list(), "dtype": spec.dtype.name}


def describe(model, dtype):
    """Describe the model for the card: class, input and versions."""
    takes = next(iter(endpoints(model, dtype).values())).takes
    scale, top = getattr(model, "standardization", None), 1.0 if dtype == "float32" else model.pixel_max
    values = {"range": [0.0, top]} if scale is None else {"range": None, "missing": scale.missing}
    versions = {"kerasae": kerasae.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    return {
        "model": type(model).__name__,
        "input": {"name": takes.name, **spell(takes), **values},
        "versions": versions,
    }


def put_in_place(new, place, aside):
    """Move the folder `new` to `place`; an earlier folder moves to `aside`, and back if that fails."""
    if place.exists():
        os.replace(place, aside)
    try:
        os.replace(new, place)
    except OSError:
        if aside.exists():
            os.replace(aside, place)
        raise


# ---- verifying


def verify(model, path, examples, tolerance=1e-5, checker=None) -> float:
    """Reload an export in a fresh process that cannot import kerasae, and compare every endpoint with the model.

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


def parity(model, path, examples, tolerance, checker):
    """Verify an export and return the card's entry: the largest differences, and how they were measured."""
    questions, expected = examine(model, np.asarray(examples))
    found = checker.ask(path, questions)
    differences = compare(expected, found, tolerance, units(model))
    by_endpoint = {}
    for name, difference in differences.items():
        endpoint = name.split("/")[0]
        by_endpoint[endpoint] = max(by_endpoint.get(endpoint, 0.0), difference)
    return {
        "max_abs_diff": max(differences.values()),
        "tolerance": tolerance,
        "batch_sizes": sorted({len(batch) for batch in questions.values()}),
        "endpoints": by_endpoint,
    }


def examine(model, examples):
    """Make batches by "input/case", and compute the model's own answers to them by "endpoint/output/case"."""
    if len(examples) < 2 or examples.shape[1:] != model.example_shape:
        raise InputError(f"examples: expected [2 or more, *{model.example_shape}]. Received: {examples.shape}")
    offered = endpoints(model, examples.dtype.name)
    offered = {**offered, "serving_default": next(iter(offered.values()))}
    questions, expected = {}, {}
    with tf.device("CPU:0"):
        for case, x in (("one", examples[:1]), ("all", examples)):
            given = {offered["encode"].takes.name: x, "codes": np.asarray(offered["encode"].function(x)["codes"])}
            for endpoint, (function, takes) in offered.items():
                questions[f"{takes.name}/{case}"] = batch = given[takes.name]
                outputs = function(tf.constant(batch))
                expected |= {f"{endpoint}/{output}/{case}": np.asarray(v) for output, v in outputs.items()}
    return questions, expected


class Checker:
    """Run exports in a process without kerasae and accelerator, in an empty folder.

    The process imports TensorFlow while the first export is being written. Use it as a context; it ends on exit.

    Example:
        >>> with kerasae.export.Checker() as checker:
        ...     for name, model in trained.items():
        ...         kerasae.export.save(model, f"saved_models/{name}", examples=images[:16], checker=checker)
    """

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        empty, self.said = Path(self.folder.name, "empty"), Path(self.folder.name, "said.txt")
        empty.mkdir()
        # -P: the folder of the script, which is this package's, is not searched for modules.
        command, environment = [sys.executable, "-P", CHECK], {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
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
    if scale is None or isinstance(model, models.Classifier | Detector):
        return {}
    return dict.fromkeys(("reconstruct", "serving_default", "decode"), np.abs(scale.deviation))


def compare(expected, found, tolerance, units=None):
    """Compute the largest absolute difference of every output; raises ParityError for the first above the tolerance.

    `units` gives by endpoint what counts as 1 in its outputs, where that is more than 1.
    """
    if odd := sorted(expected.keys() ^ found.keys()):
        raise ParityError(f"endpoint {odd[0]}: {'not' if odd[0] in expected else 'only'} in the export")
    differences = {}
    for name, wanted in expected.items():
        if found[name].shape != wanted.shape or found[name].dtype != wanted.dtype:
            raise ParityError(f"endpoint {name}: {describe_array(found[name])} instead of {describe_array(wanted)}")
        difference = np.abs(found[name].astype("float64") - wanted.astype("float64"))
        unit = (units or {}).get(name.split("/")[0], 1.0)
        allowed = tolerance * np.maximum(np.maximum(1.0, unit), np.abs(wanted.astype("float64")))
        # Written so that NaN fails.
        if not np.all(difference <= allowed):
            most = float(difference.max())
            raise ParityError(f"endpoint {name}: differs by {most:.3g} from the model; tolerance={tolerance:g}")
        differences[name] = float(difference.max())
    return differences


def describe_array(array):
    return f"{array.dtype} {list(array.shape)}"
