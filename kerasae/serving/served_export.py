"""An export with all its endpoints, and its name and version as TensorFlow Serving finds them on the disk."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasae.errors import InputError
from kerasae.export import ANSWERS, ServedModel
from kerasae.results import Prediction, as_json
from kerasae.serving.tensors import Takes


class Endpoint(NamedTuple):
    """Signature of an export: what it takes, and its function of a batch."""

    takes: Takes
    compute: Callable[[np.ndarray], dict[str, np.ndarray]]
    """Examples [B, *shape] → outputs by name, each [B, …]."""
    bytes: int
    """Of one example, or of its outputs if these are more."""


class ServedExport(ServedModel):
    """Run all endpoints of an export by name.

    Attributes:
        name, version: of the folder: `saved_models/mnist` is version 1 of mnist, `saved_models/mnist/3` is version 3.
        endpoints: signature → `Endpoint`.
        predicts: the endpoint that images are sent to: classify, estimate, segment or score.
        signature_def: the signatures, as TensorFlow Serving's metadata gives them.

    Raises:
        InputError: it is no export of kerasae, is damaged, or has a name that no address can have.

    Example:
        >>> served = ServedExport("saved_models/mnist")
        >>> served.endpoints["encode"].compute(images)["codes"].shape
        (16, 32)
    """

    def __init__(self, path):
        super().__init__(path)
        self.name, self.version = name_and_version(path)
        self.endpoints = {name: self._endpoint_of(signature) for name, signature in self._model.signatures.items()}
        self.predicts = next(name for name in ANSWERS if name in self.endpoints)
        self.signature_def = signature_def(path)

    def said(self, answers: np.ndarray) -> list[dict]:
        """Word the output of `predicts` [B, K] or [B] as `kerasae predict --format json` does, without names."""
        if self.kind == "pixels":
            return [{"classes": rows} for rows in answers.tolist()]
        field = {"classify": "probabilities", "estimate": "values", "score": "score"}[self.predicts]
        found = [Prediction("", **{field: row}) for row in answers.tolist()]
        entries = [as_json(one, self.class_names, self.kind) for one in found]
        return [{key: value for key, value in entry.items() if key != "name"} for entry in entries]

    def _endpoint_of(self, signature) -> Endpoint:
        (spec,) = signature.structured_input_signature[1].values()
        shape, dtype = tuple(spec.shape[1:]), spec.dtype.name
        if spec.name == "codes":
            takes = Takes(spec.name, shape, dtype)
        else:
            takes = Takes(spec.name, shape, dtype, self._values(), self.intake.missing, len(shape) == 3)

        def compute(x):
            return {name: y.numpy() for name, y in signature(tf.constant(x)).items()}

        example = np.zeros((1, *shape), dtype)
        outputs = compute(example)  # also so that no request pays for the first run
        return Endpoint(takes, compute, max(example.nbytes, sum(y.nbytes for y in outputs.values())))

    def _values(self) -> tuple[float, float] | None:
        """Range of the stored values; None where the model standardises floats, or reads them as words."""
        any_number = self.intake.standardized or self.intake.columns or self.intake.text_as
        if self.intake.dtype == "float32":
            return None if any_number else (0.0, 1.0)
        return 0.0, float(np.iinfo(self.intake.dtype).max if any_number else self.intake.maximum)


def name_and_version(path) -> tuple[str, int]:
    """Read name and version off the folder of an export; raises InputError for a name that no address can have."""
    place = Path(os.path.abspath(path))
    numbered = place.name.isdecimal() and place.parent.name
    name, version = (place.parent.name, int(place.name)) if numbered else (place.name, 1)
    if not name.isprintable() or not name or ":" in name:
        raise InputError(f"export: {path} cannot be served by its name; rename it to letters and digits")
    return name, version


def find_exports(paths: Sequence[str]) -> list[str]:
    """Find the folders of exports: a folder is one, or holds versions of one in numbered folders, as NAME/1 and NAME/2.

    Raises InputError for a folder without an export, and for two of the same name and version.
    """
    found = [folder for path in paths for folder in versions(path)]
    known = {}
    for folder in found:
        if (other := known.setdefault(name_and_version(folder), folder)) is not folder:
            name, version = name_and_version(folder)
            raise InputError(f"export: {other} and {folder} are both version {version} of {name}; rename one")
    return found


def versions(path: str) -> list[str]:
    if "\0" not in path and Path(path, "saved_model.pb").is_file():
        return [path]
    numbered = [] if "\0" in path else [place for place in Path(path).glob("*/saved_model.pb")]
    found = sorted((place.parent for place in numbered if place.parent.name.isdecimal()), key=lambda p: int(p.name))
    if not found:
        raise InputError(
            f"export: {path} is no export; expected a saved_model.pb in it. `kerasae export RUN` writes one"
        )
    return [str(folder) for folder in found]


def signature_def(path) -> dict:
    """Read the signatures of a SavedModel, in the JSON of their protocol buffers."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    content = SavedModel.FromString(Path(path, "saved_model.pb").read_bytes())
    options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    found = content.meta_graphs[0].signature_def
    return {name: MessageToDict(signature, **options) for name, signature in sorted(found.items())}
