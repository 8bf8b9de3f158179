"""Level 4: files of models, read so that one from a stranger can do no harm.

Keras's safe mode refuses serialised functions, and still lets a file name anything that Keras exports, of any size.
This reader takes what kerasae writes and no more: three files, stored as they are; classes of kerasae and layers that
only compute; as many bytes of weights as the file has. Whatever else a file holds or does is one `InputError`.
"""

import io
import json
import math
import zipfile

import h5py
import keras
import numpy as np

from kerasae import models
from kerasae.errors import InputError
from kerasae.models.contract import Trainable
from kerasae.networks.sizes import checked

WEIGHTS, CONFIG = "model.weights.h5", "config.json"
MEMBERS = {"metadata.json", CONFIG, WEIGHTS}

MODULES = ("keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.activations")
"""Modules of Keras that only compute, but for the classes in `UNSAFE`."""

TRAINERS = ("keras.optimizers", "keras.optimizers.schedules")
"""Modules of Keras whose classes only compute, too, and are wanted only by whoever trains on. Metrics come as names:
their classes take as much memory as they are told to."""

OPERATIONS = "keras.src.ops."
"""Where functional networks keep what is done between their layers: slices, sums and the like."""

NAMED = {
    *(("keras", name) for name in ("DTypePolicy", "Functional", "Sequential")),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.models.sequential", "Sequential"),
    ("keras.random", "SeedGenerator"),
}
"""Module and class of what else a network is made of."""

FUNCTIONS = ("activations", "initializers", "regularizers", "constraints")
"""Modules of Keras whose functions a network may name."""

VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
"""What Keras calls plain values that JSON cannot spell."""

UNSAFE = {
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),  # run what somebody else wrote
    *("StringLookup", "IntegerLookup", "TextVectorization"),  # read files that the configuration names
}


def load_model(file, compiled=False):
    """The model in a `.keras` file that `model.save` or a command of kerasae wrote.

    Layers of your own, which this reader does not know, take `keras.saving.load_model` after `import kerasae`.

    Args:
        file: path.
        compiled: whether with its optimiser, loss and metrics, to train on where it stopped, even if its weights are
            not finite; without, what is read is used, not trained further.

    Returns:
        An `Autoencoder`, of whatever variant, or a `Classifier`.

    Raises:
        InputError: the file is missing or damaged, holds something else than a model of kerasae, or asks for more.

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
    except Exception as error:  # a configuration is a programme for Keras's constructors, which raise what they like
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"{file} cannot be loaded: {reason[:300]}") from error


def untrained(value):
    """An object of the configuration without optimiser, loss and metrics."""
    return {name: inner for name, inner in value.items() if name != "compile_config"}


def compile_like(model, config):
    """Give a model the optimiser, loss and metrics of a configuration."""
    if not config.get("compile_config"):
        raise InputError("it was saved without an optimiser; leave out compiled=True, then compile it")
    check_classes(config, MODULES + TRAINERS)
    model.compile_from_config(config["compile_config"])


def check_members(archive):
    """Raise InputError unless the archive has the three files of a model, each once and as long as it claims."""
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(MEMBERS):
        raise InputError(f"expected an archive of {', '.join(sorted(MEMBERS))}; it holds {', '.join(names[:5])}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise InputError(f"{member.filename} is compressed, which Keras does not do")


def check_classes(config, modules):
    """Raise InputError for the first class or function that a network has no need of, wherever it is named."""
    known, rest = keras.saving.get_custom_objects(), [config]
    while rest:
        value = rest.pop()
        if isinstance(value, dict) and "class_name" in value and not harmless(value, known, modules):
            name = f"{value.get('module')}.{value['class_name']}"
            raise InputError(f"it names {name[:100]}, which no model of kerasae needs; nothing of it was run")
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def harmless(value, known, modules):
    """Whether an object of a configuration is of kerasae, or of a class of Keras in modules that only compute."""
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
    """The model without its weights, unless these would take more than the `most` bytes that the file has for them."""

    def check(size):
        if size > most:
            raise InputError(f"its configuration asks for {size} bytes of weights, but it holds at most {most}")

    model = checked(lambda: keras.saving.deserialize_keras_object(config), check)
    if not isinstance(model, Trainable | models.Classifier):
        raise InputError(f"it holds a {type(model).__name__}, which is no model of kerasae")
    return model


def check_weights(archive):
    """Raise InputError if arrays claim to be larger than the file that holds them, as compressed ones can."""
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
