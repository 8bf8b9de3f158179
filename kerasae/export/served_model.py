"""Run an export as those do whom it was made for: with TensorFlow and its card, without Keras and the models."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasae.data import Intake
from kerasae.data.table_columns import from_description
from kerasae.errors import InputError

ANSWERS = {
    "classify": "probabilities",
    "estimate": "values",
    "detect": "scores",
    "score": "scores",
    "segment": "classes",
}
"""Endpoint → its output that is predicted, the first that an export has."""


class ServedModel:
    """Predict by an export: probabilities or numbers of a classifier [B, K], scores [B] of an autoencoder or detector,
    or classes of pixels [B, H, W] of a segmenter.

    A SavedModel is a program that TensorFlow runs: load only those of people you trust.

    Attributes:
        intake: `kerasae.data.Intake` of the examples, as the run of the export has read them.
        class_names: names of the classes or numbers, by the card; 0, 1 … where it has none; None for an autoencoder.
        kind: of what is predicted: "class", "classes", "numbers", "pixels", or "anomaly" of a detector.

    Args:
        path: folder of the export, with its `card.json`.

    Raises:
        InputError: it is no export of kerasae, is damaged, or has nothing to predict with.

    Example:
        >>> served = ServedModel("saved_models/mnist")
        >>> served.predict(images).shape
        (16, 10)
    """

    def __init__(self, path):
        try:
            card = json.loads(Path(path, "card.json").read_text(encoding="utf-8"))
            self.intake = _intake(card)
            endpoint = next(name for name in ANSWERS if name in card["endpoints"])
            self.kind, self.class_names = _labels(card, endpoint)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError) as error:
            reason = f"{type(error).__name__} {error}".strip()[:100]
            raise InputError(f"{path} has no readable card.json of an export ({reason}); export it again") from None
        if "labels" in card["endpoints"][endpoint]["inputs"]:
            raise InputError(f"{path} holds a conditional {card['model']}, which needs the class of every example")
        self._output = ANSWERS[endpoint]
        self._model = _load(path)  # the endpoint needs this reference
        if endpoint not in self._model.signatures:
            raise InputError(f"{path} has no endpoint {endpoint}, which its card names; export it again")
        self._endpoint = self._model.signatures[endpoint]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict examples [B, *shape] as `intake` gives them: float32 [B, K] or [B], or classes uint8 [B, H, W].

        Of a detector it is float32 [B, 2]: the score, and 1 for an anomaly.
        """
        outputs = self._endpoint(tf.constant(x))
        found = outputs[self._output].numpy()
        if self.kind != "anomaly":
            return found
        return np.stack([found, outputs["anomalies"].numpy()], axis=1).astype("float32")


def _load(path):
    try:
        with tf.device("CPU:0"):
            return tf.saved_model.load(str(path))
    except Exception as error:  # whatever TensorFlow raises for damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path} cannot be loaded: {reason}; export it again") from None


def _intake(card: dict) -> Intake:
    """What the card says of the input, and of how the run has read its images."""
    takes, recipe = card["input"], (card.get("recipe") or {}).get("recipe") or {}
    shape = tuple(int(n) for n in takes["shape"][1:])
    value_range = (card.get("data") or {}).get("value_range")
    if takes["dtype"] not in ("uint8", "uint16", "float32") or min(shape) < 1:
        raise ValueError(f"input {takes}")
    top = 1.0 if takes["range"] is None else float(takes["range"][1])
    further = {"standardized": takes["range"] is None, "missing": bool(takes.get("missing"))}
    if columns := (card.get("data") or {}).get("columns"):
        found = from_description((column["name"], column["categories"]) for column in columns)
        further |= {"columns": found, "target": recipe.get("target")}
    return Intake.as_read(recipe, shape, takes["dtype"], top, value_range, **further)


def _labels(card: dict, endpoint: str) -> tuple[str, list[str] | None]:
    """Kind of what is predicted, and the names of the classes or numbers."""
    if endpoint in ("score", "detect"):
        return ("class" if endpoint == "score" else "anomaly"), None
    if endpoint == "segment":
        shape = card["endpoints"][endpoint]["outputs"]["probabilities"]["shape"]
        return "pixels", _names(card["labels"]["names"], shape[-1])
    labels = card.get("labels") or {"kind": "class", "names": (card.get("data") or {}).get("class_names")}
    if labels["kind"] not in (("numbers",) if endpoint == "estimate" else ("class", "classes")):
        raise ValueError(f"labels of the kind {labels['kind']}")
    return labels["kind"], _names(
        labels["names"], card["endpoints"][endpoint]["outputs"][ANSWERS[endpoint]]["shape"][-1]
    )


def _names(names, count: int) -> list[str]:
    if names and len(names) != count:
        raise ValueError(f"{len(names)} names for {count} outputs")
    return [str(name) for name in (names or range(count))]
