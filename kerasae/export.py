"""SavedModels with named endpoints, and the proof that they compute what the model computes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasae import models
from kerasae.errors import InputError

CHECK = Path(__file__).with_name("export_check.py")


def endpoints(model):
    """Name → function of every endpoint; each takes one batch and returns a dict of tensors.

    Autoencoders: encode, decode, reconstruct, score. Classifiers: classify, encode. Inputs are examples as they are
    stored, so that preprocessing is part of the endpoint; `decode` takes codes.
    """
    if isinstance(model, models.Classifier):
        return {"classify": lambda x: classify(model, x), "encode": lambda x: {"codes": model.encode(x)}}
    return {
        "encode": lambda x: {"codes": model.encode(x)},
        "decode": lambda z: {"images": model.decode(z)},
        "reconstruct": lambda x: {"images": model.reconstruct(x)},
        "score": lambda x: {"scores": model.score(x)},
    }


def classify(model, x):
    """Probabilities [B, K] and the most probable class [B]."""
    probabilities = model.probabilities(x)
    return {"probabilities": probabilities, "classes": ops.argmax(probabilities, axis=-1)}


def save(model, dest, *, dtype="uint8", card=None):
    """Write a SavedModel whose endpoints take raw examples in batches of any size, and its `card.json`.

    Args:
        model: an autoencoder or a `Classifier`.
        dest: folder to write. An earlier export there is replaced; anything else is left alone.
        dtype: of the examples as stored, "uint8" or "float32".
        card: further entries of the card: data, recipe, metrics.

    Returns:
        The path written.

    Raises:
        InputError: `dest` holds something that is no export.

    Example:
        >>> kerasae.export.save(model, "saved_models/digits")
        >>> tf.saved_model.load("saved_models/digits").encode(images)["codes"]
    """
    dest = Path(dest)
    refuse_foreign(dest)
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dest.parent, prefix=f".{dest.name}-") as folder:
        whole = Path(folder) / "export"
        write(model, whole, dtype)
        content = {**describe(model, dtype), **(card or {})}
        (whole / "card.json").write_text(json.dumps(content, indent=2) + "\n")
        if dest.exists():
            shutil.rmtree(dest)
        os.replace(whole, dest)
    return dest


def refuse_foreign(dest):
    """Raise unless `dest` is free or holds an earlier export."""
    if dest.exists() and not (dest / "card.json").exists() and (dest.is_file() or any(dest.iterdir())):
        raise InputError(f"{dest} exists and is no export of kerasae (it has no card.json); choose another destination")


def write(model, path, dtype):
    """Trace the endpoints and write the SavedModel."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, function in endpoints(model).items():
        archive.add_endpoint(name, function, input_signature=[input_spec(model, name, dtype)])
    archive.write_out(str(path), verbose=False)


def input_spec(model, endpoint, dtype):
    """What an endpoint takes: codes for decode, examples as stored for the others."""
    if endpoint == "decode":
        return tf.TensorSpec((None, *model.code_shape), tf.float32, name="codes")
    return tf.TensorSpec((None, *model.example_shape), dtype, name="images")


def describe(model, dtype):
    """The part of the card that the model itself knows."""
    specs = {name: input_spec(model, name, dtype) for name in endpoints(model)}
    return {
        "model": type(model).__name__,
        "input": {
            "shape": [None, *model.example_shape],
            "dtype": dtype,
            "range": [0, model.pixel_max] if dtype == "uint8" else [0.0, 1.0],
        },
        "endpoints": {
            name: {"input": spec.name, "shape": list(spec.shape), "dtype": spec.dtype.name}
            for name, spec in specs.items()
        },
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }


def verify(model, path, examples, tolerance=1e-5):
    """Reload an export in a fresh process that cannot import kerasae, and compare every endpoint with the model.

    Args:
        model: the model that was exported.
        path: the export.
        examples: [N, *shape] as stored, N ≥ 2; they are sent as one batch and as a batch of one.
        tolerance: largest absolute difference that passes.

    Returns:
        The largest absolute difference over all endpoints and outputs.

    Raises:
        RuntimeError: the export does not load, lacks an output, or differs by more than the tolerance.
    """
    wanted, inputs = expected(model, examples)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "inputs.npz", **inputs)
        command = [sys.executable, "-I", str(CHECK), str(Path(path).resolve())]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{path} does not work in a fresh process: {result.stderr.strip().splitlines()[-1:]}")
        with np.load(Path(folder) / "outputs.npz", allow_pickle=False) as found:
            return largest_difference(wanted, dict(found), tolerance)


def expected(model, examples):
    """Outputs of the model in memory, as "endpoint/output/batch" → array, and the inputs "endpoint/batch"."""
    wanted, inputs = {}, {}
    codes = None if isinstance(model, models.Classifier) else np.asarray(model.encode(examples))
    for name, function in endpoints(model).items():
        given = codes if name == "decode" else examples
        for label, batch in (("all", given), ("one", given[:1])):
            inputs[f"{name}/{label}"] = batch
            for output, value in function(batch).items():
                wanted[f"{name}/{output}/{label}"] = np.asarray(value)
    return wanted, inputs


def largest_difference(wanted, found, tolerance):
    """Largest absolute difference over all outputs; raises RuntimeError, naming the output, if one is too large."""
    if missing := sorted(set(wanted) ^ set(found)):
        raise RuntimeError(f"the export and the model have different outputs: {', '.join(missing)}")
    worst = 0.0
    for name, value in wanted.items():
        difference = float(np.max(np.abs(value.astype("float64") - found[name]))) if value.size else 0.0
        if not difference <= tolerance:
            raise RuntimeError(f"{name} differs by {difference:.3g} after reloading, more than {tolerance:g}")
        worst = max(worst, difference)
    return worst
