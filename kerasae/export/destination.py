"""Write an export in one of several formats into its folder, which appears when it is whole and verified."""

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kerasae.errors import InputError
from kerasae.export import portable, saved_model
from kerasae.export.offers import describe
from kerasae.export.parity import Checker, parity
from kerasae.export.quantized import cost


class Format(NamedTuple):
    """A format of exports: how it is written, what runs it, and how far its answers may be from the model's."""

    write: Callable
    """(model, path, dtype, calibration) → the card's entry of each endpoint, and the reasons of those left out."""
    runtime: str
    """Name in `check.RUNTIMES`."""
    tolerance: float | None
    """None for weights in 8 bits, whose cost is measured instead."""


FORMATS = {
    "saved_model": Format(saved_model.write, "tensorflow", 1e-5),
    "onnx": Format(portable.write_onnx, "onnx", 1e-4),
    "litert": Format(portable.write_litert, "litert", 1e-4),
    "litert-dynamic": Format(partial(portable.write_litert, quantized="dynamic"), "litert", None),
    "litert-int8": Format(partial(portable.write_litert, quantized="int8"), "litert", None),
}
"""Name → format."""

PARTS = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "card.json"}
"""Entries of an export's folder, beside files of one endpoint."""


def save(
    model,
    dest,
    *,
    format="saved_model",
    dtype="uint8",
    card=None,
    examples=None,
    tolerance=None,
    checker=None,
    calibration=None,
    test=None,
) -> Path:
    """Write an export whose endpoints take raw examples in batches of any size, and its `card.json`.

    The export is written, and with `examples` verified, under another name next to `dest` and then moved there. An
    earlier export at `dest` stays until the new one is complete. A SavedModel is one program with all endpoints; the
    other formats are a file per endpoint, and leave out, in `card["left_out"]`, those that they cannot compute.

    Args:
        model: an autoencoder, a `Classifier`, a `Segmenter` or a `Detector`.
        dest: folder to write. An earlier export there is replaced; anything else is left alone.
        format: "saved_model", "onnx", "litert", "litert-dynamic" (weights in 8 bits) or "litert-int8" (activations
            too).
        dtype: type of the stored examples, "uint8", "uint16" or "float32".
        card: further entries of the card, such as data, recipe and metrics; JSON values.
        examples: [N, *shape] as stored, N ≥ 2, to `verify` the export with; None does not verify.
        tolerance: as for `verify`; None for that of the format, which for 8 bits is none.
        checker: as for `verify`.
        calibration: training examples (x, y) as stored, y None where there are no labels, from which "litert-int8"
            takes the ranges of activations.
        test: examples (x, y) likewise: what 8 bits cost is measured on them.

    Returns:
        `dest`. The card says what was verified: `card["parity"]["max_abs_diff"]`, and what 8 bits cost:
        `card["quantized"]`.

    Raises:
        InputError: `dest` holds other files than an export, a format's extra is not installed, no endpoint can be
            converted, or an argument does not fit.
        ParityError: as for `verify`; `dest` is as it was.

    Example:
        >>> kerasae.export.save(model, "saved_models/digits", examples=images[:16])
        >>> served = tf.saved_model.load("saved_models/digits")
        >>> served.signatures["encode"](tf.constant(images))["codes"]
    """
    if format not in FORMATS:
        raise InputError(f"format: expected {', '.join(FORMATS)}. Received: {format!r}")
    write, runtime, usual = FORMATS[format]
    place = Path(os.path.abspath(dest))
    refuse_foreign(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    checking = examples is not None or (test is not None and usual is None)
    beside = tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.")
    with beside as folder, opened(checker, runtime, checking) as checker:
        new = Path(folder, "new")
        described, left_out = write(model, new, dtype, calibration)
        content = {**(card or {}), **describe(model, dtype), "format": format, "endpoints": described}
        content |= {"left_out": left_out} if left_out else {}
        limit = usual if tolerance is None or usual is None else tolerance
        content["parity"] = None if examples is None else parity(model, new, examples, limit, checker, described)
        if usual is None and test is not None:
            content["quantized"] = cost(model, new, test, checker, described)
        (new / "card.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        put_in_place(new, place, aside=Path(folder, "earlier"))
    return Path(dest)


def opened(checker, runtime, wanted):
    """Open a `Checker` of a runtime where one is wanted; one that is given is used where it has this runtime."""
    if not wanted or (checker is not None and checker.runtime == runtime):
        return nullcontext(checker)
    return Checker(runtime)


def refuse_foreign(place):
    """Raise InputError unless `place` is free, an empty folder, or an earlier export and nothing else."""
    if not place.exists():
        return
    entries = set(os.listdir(place)) if place.is_dir() else {place.name}
    files = {entry for entry in entries if entry.endswith((".onnx", ".tflite"))} if place.is_dir() else set()
    if foreign := sorted(entries - PARTS - files):
        raise InputError(f"{place} is not free: it holds {foreign[0]}, which is no part of an export; choose another")
    if entries and not ("card.json" in entries and (files or "saved_model.pb" in entries)):
        raise InputError(f"{place} exists and is no export of kerasae; choose another destination")


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
