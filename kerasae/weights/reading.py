"""Read weight files of PyTorch and safetensors as arrays by name."""

import json
from pathlib import Path
from typing import NamedTuple

import ml_dtypes  # noqa: F401 (teaches NumPy the bfloat16 that safetensors asks it for)
import numpy as np
import safetensors

from kerasae.errors import InputError
from kerasae.weights.prefixes import choose, under
from kerasae.weights.torch_file import LEGACY_MAGIC, Refused, Tensor, open_torch

FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of the weight file in a folder of transformers."""

ENVELOPES = ("model", "state_dict", "model_state_dict", "module")
"""Keys under which training checkpoints hold the model's weights."""

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that PyTorch puts before every name in parallel or compiled training."""

DEEPEST, LONGEST = 4, 256
"""Dictionaries within each other, and letters of their keys, up to which encoders are looked for."""


class Checkpoint(NamedTuple):
    """Weights by name, with the configurations of the network and of its images."""

    file: Path
    tensors: dict[str, np.ndarray]
    config: dict
    images: dict


class Stored(NamedTuple):
    """Tensor of a safetensors file whose numbers are not read yet."""

    content: safetensors.safe_open
    name: str

    def array(self):
        """Read the numbers."""
        return self.content.get_tensor(self.name)


def read_weights(file) -> dict[str, np.ndarray]:
    """Read the arrays of a weight file by name, in the types and the layout in which they are stored.

    Nothing in the file is executed, and PyTorch is not needed. A dictionary that holds the weights under "model" or
    "state_dict", beside an optimiser for instance, is opened; "module." in front of every name is left out.

    Args:
        file: a file of `torch.save` (.pth, .pt, .bin) or of safetensors, told apart by what they hold; or a folder
            with `model.safetensors` or `pytorch_model.bin` in it.

    Returns:
        Name → array; bfloat16 is NumPy's type of that name from `ml_dtypes`.

    Raises:
        InputError: the file is damaged, cut short, of another format, or holds objects that are no weights.

    Example:
        >>> read_weights("mae_pretrain_vit_base.pth")["cls_token"].shape
        (1, 1, 768)
    """
    return read_checkpoint(file, usual).tensors


def read_encoder(file, prefix=None):
    """Read the `Checkpoint` of the vision transformer in a file, under names without what stands before all of them.

    Where the file holds none, its weights are read as `read_weights` does.

    Args:
        file: as for `read_weights`.
        prefix: which one of several to read, see `kerasae.weights.prefixes.choose`.
    """

    def select(content):
        named = every_tensor(content)
        found = choose(named, prefix)
        return usual(content) if found is None else under(named, found, file)

    return read_checkpoint(file, select)


def read_checkpoint(file, select):
    """Read weights, with the configurations of network and images beside them.

    Args:
        file: as for `read_weights`.
        select: function from what the file holds to the tensors to read, by name.
    """
    file = find(Path(file))
    try:
        reader = read_safetensors if kind(file) == "safetensors" else read_torch_tensors
        tensors, notes = reader(file, select)
        config = read_json(file.with_name("config.json")) or decode(notes.get("config"))
        images = read_json(file.with_name("preprocessor_config.json")) or decode(notes.get("images"))
    except Refused as error:
        raise InputError(f"{file} {error}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from None
    return Checkpoint(file, tensors, config, images)


def find(path):
    """Return the file itself, or the weight file in a folder."""
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path} is a folder without {' or '.join(FILES)}; name the file of weights")


def kind(file):
    """Tell "torch" from "safetensors" by the first bytes of a file."""
    with open(file, "rb") as stream:
        head = stream.read(32)
    if head.startswith(b"PK") or LEGACY_MAGIC in head:
        return "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80"):
        raise Refused("is a pickle that torch.save did not write; it was not opened")
    raise Refused("holds no weights: expected a file of torch.save (.pth, .pt, .bin) or of safetensors")


def read_safetensors(file, select):
    """Read the selected tensors, and the notes in the header, of a safetensors file."""
    try:
        with safetensors.safe_open(file, framework="np") as content:
            chosen = select({name: Stored(content, name) for name in content.keys()})  # noqa: SIM118
            return {name: stored.array() for name, stored in chosen.items()}, content.metadata() or {}
    except (safetensors.SafetensorError, TypeError, ValueError) as error:
        raise Refused(f"is damaged or cut short: {error}") from None


def read_torch_tensors(file, select):
    """Read the selected tensors of a torch.save file, which has no notes."""
    with open(file, "rb") as stream, open_torch(stream) as content:
        return {name: tensor.array() for name, tensor in select(content).items()}, {}


def usual(content):
    """Select the innermost dictionary of tensors by name, without wrappers' prefixes; other objects are ignored."""
    return unwrapped({name: value for name, value in state_dict(content).items() if is_tensor(value)})


def is_tensor(value):
    """Tell a tensor, whose numbers are not read yet, from other objects."""
    return isinstance(value, Tensor | Stored)


def every_tensor(content):
    """Name every tensor in nested dictionaries by its keys, joined by dots; no dictionary is entered twice."""
    named, waiting, entered = {}, [("", content, 1)], set()
    for prefix, part, depth in waiting:  # grows while it is read
        if not isinstance(part, dict) or id(part) in entered or depth > DEEPEST or len(prefix) > LONGEST:
            continue
        entered.add(id(part))
        inside = {f"{prefix}{key}": value for key, value in part.items() if isinstance(key, str)}
        named |= {name: value for name, value in inside.items() if is_tensor(value)}
        waiting += [(f"{name}.", value, depth + 1) for name, value in inside.items()]
    return named


def state_dict(content):
    """Find the innermost dictionary of tensors by name."""
    for _ in ENVELOPES:
        if isinstance(content, dict):
            if any(isinstance(name, str) and is_tensor(value) for name, value in content.items()):
                return {name: value for name, value in content.items() if isinstance(name, str)}
            content = next((content[name] for name in ENVELOPES if name in content), None)
    raise Refused(f"holds no tensors by name, neither at the top nor under {', '.join(map(repr, ENVELOPES))}")


def unwrapped(tensors):
    """Remove the prefixes that PyTorch's wrappers put before every name."""
    for wrapper in (*WRAPPERS, *WRAPPERS):
        if tensors and all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): value for name, value in tensors.items()}
    return tensors


def read_json(file):
    """Read the dictionary in a JSON file; empty if there is no file."""
    return decode(file.read_bytes(), file.name) if file.is_file() else {}


def decode(text, source="its header"):
    """Parse a dictionary from JSON; empty for None."""
    try:
        content = json.loads(text or "{}")
    except ValueError as error:
        raise Refused(f"cannot be understood: {source} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise Refused(f"cannot be understood: {source} holds no dictionary")
    return content
