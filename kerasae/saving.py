"""Level 4: load model files safely, also from strangers.

Keras's safe mode refuses serialised functions, but lets a file name any class that Keras exports, of any size. This
reader accepts only files as kerasae writes them: three uncompressed members; classes of kerasae and layers that only
compute; no more bytes of weights than the file has. Everything else raises an `InputError`.
"""

import io
import json
import math
import zipfile

import h5py
import keras
import numpy as np

from kerasae import models
from kerasae.detectors import Detector
from kerasae.errors import InputError
from kerasae.models.contract import Trainable
from kerasae.networks.sizes import checked

WEIGHTS, CONFIG = "model.weights.h5", "config.json"
MEMBERS = {"metadata.json", CONFIG, WEIGHTS}

MODULES = ("keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.activations")
"""Modules of Keras that only compute, but for the classes in `UNSAFE`."""

TRAINERS = ("keras.optimizers", "keras.optimizers.schedules")
"""Modules of Keras whose classes only compute, allowed only for further training. Metrics must be names, as their
classes allocate as much memory as a configuration asks for."""

OPERATIONS = "keras.src.ops."
"""Module of the operations between the layers of functional networks, such as slices and sums."""

NAMED = {
    *(("keras", name) for name in ("DTypePolicy", "Functional", "Sequential")),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.models.sequential", "Sequential"),
    ("keras.random", "SeedGenerator"),
}
"""Module and class of other objects that networks contain."""

FUNCTIONS = ("activations", "initializers", "regularizers", "constraints")
"""Modules of Keras whose functions a network may name."""

VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
"""Keras's class names of plain values that JSON cannot hold."""

UNSAFE = {
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),  # run what somebody else wrote
    *("StringLookup", "IntegerLookup", "TextVectorization"),  # read files that the configuration names
}


def load_model(file, compiled=False):
    """Load the model in a `.keras` file that `model.save` or a command of kerasae wrote.

    Models with your own layers are refused; load them by `keras.saving.load_model` after `import kerasae`.

    Args:
        file: path.
        compiled: whether to load optimiser, loss and metrics too, for further training. Only then are weights with NaN
            or infinity accepted.

    Returns:
        An `Autoencoder` of any variant, a `Classifier`, a `Segmenter`, or a `Detector`.

    Raises:
        InputError: the file is missing or damaged, holds no model of kerasae, or names other classes.

    Example:
        >>> model = load_model("runs/plain/model.keras")
    """
    try:
        with zipfile.ZipFile(file) as archive:
            check_members(archive)
            config = json.loads(archive.read(CONFIG), object_hook=untrained)
            check_classes(config, MODULES)
            model = build(config, archive.getinfo(WEIGHTS).file_size)
            check_weights(archive)
            if compiled:
                compile_like(model, json.loads(archive.read(CONFIG)))
        model.load_weights(file)
        if not compiled:
            check_finite(model)
        return model
    except InputError as error:
        raise InputError(f"{file} cannot be loaded: {error}") from None
    except Exception as error:  # constructors in a configuration may raise any type
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"{file} cannot be loaded: {reason[:300]}") from error


def untrained(value):
    """Drop optimiser, loss and metrics from an object of the configuration."""
    return {name: inner for name, inner in value.items() if name != "compile_config"}


def compile_like(model, config):
    """Compile a model with the optimiser, loss and metrics of a configuration."""
    if not config.get("compile_config"):
        raise InputError("it was saved without an optimiser; leave out compiled=True, then compile it")
    check_classes(config, MODULES + TRAINERS)
    model.compile_from_config(config["compile_config"])


def check_members(archive):
    """Raise InputError unless the archive has the three files of a model, once each and uncompressed."""
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(MEMBERS):
        raise InputError(f"expected an archive of {', '.join(sorted(MEMBERS))}; it holds {', '.join(names[:5])}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise InputError(f"{member.filename} is compressed, which Keras does not do")


def check_classes(config, modules):
    """Raise InputError for the first class or function in a configuration that no network needs."""
    known, rest = keras.saving.get_custom_objects(), [config]
    while rest:
        value = rest.pop()
        if isinstance(value, dict) and "class_name" in value and not harmless(value, known, modules):
            name = f"{value.get('module')}.{value['class_name']}"
            raise InputError(f"it names {name[:100]}, which no model of kerasae needs; nothing of it was run")
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def harmless(value, known, modules):
    """Tell whether an object of a configuration is of kerasae, or of a Keras class that only computes."""
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(name, str) or name in UNSAFE:
        return False
    if isinstance(registered, str) and registered.startswith("kerasae>") and registered in known:
        return True
    if not isinstance(module, str):
        return name in VALUES
    if (module, name) == ("builtins", "function"):  # by its bare name, such as "relu"
        return any(value.get("config") in vars(getattr(keras, room)) for room in FUNCTIONS)
    return module in modules or module.startswith(OPERATIONS) or (module, name) in NAMED


def build(config, most):
    """Build the model without loading weights; raises InputError if they would take more than `most` bytes."""

    def check(size):
        if size > most:
            raise InputError(f"its configuration asks for {size} bytes of weights, but it holds at most {most}")

    model = checked(lambda: keras.saving.deserialize_keras_object(config), check)
    if not isinstance(model, Trainable | models.Classifier | models.Segmenter | Detector):
        raise InputError(f"it holds a {type(model).__name__}, which is no model of kerasae")
    return model


def check_weights(archive):
    """Raise InputError if arrays claim more bytes than the file that holds them, as compressed arrays can."""
    sizes = []

    def note(_, item):
        if isinstance(item, h5py.Dataset):
            sizes.append(math.prod(item.shape or ()) * item.dtype.itemsize)

    with archive.open(WEIGHTS) as stream, h5py.File(io.BufferedReader(stream), "r") as content:
        content.visititems(note)
    if sum(sizes) > archive.getinfo(WEIGHTS).file_size:
        raise InputError(f"its weights claim {sum(sizes)} bytes, more than {WEIGHTS} has")


def check_finite(model):
    """Raise InputError if a weight is NaN or infinite."""
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))).all():
            raise InputError(f"{weight.path} holds NaN or infinity")
