"""Read PyTorch's weight files without PyTorch, and without running any code that they hold.

Such a file holds a pickle of names and shapes, and the numbers as plain bytes. A pickle is a program: this reader knows
the few opcodes and classes that weights need, and refuses all others.
"""

import mmap
import pickle
import struct
import zipfile
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from math import prod
from typing import NamedTuple

import ml_dtypes
import numpy as np

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""PyTorch's class of a storage → its NumPy type."""

BYSTANDERS = {
    "_codecs.encode",
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "torch.Size",
    "torch.device",
}
"""Classes of objects beside the weights in training checkpoints, each replaced by a `Bystander`."""

LEGACY_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
"""First bytes, behind a short pickle header, of a torch.save file before PyTorch 1.6."""

SETS = (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET)
"""Opcodes of a pickle that weights do not need."""

MISHAPS = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(struct.error, OverflowError, MemoryError, RecursionError),
)
"""Errors of reading a damaged pickle; nothing of a hostile one has run by then."""


class Refused(ValueError):
    """Report a file that is damaged or holds unknown objects; the message is the rest of "FILE ..."."""


class Bystander:
    """Stand in for an object that is no weight: take any arguments and do nothing."""

    def __init__(self, *args, **kwargs):
        pass


class Tensor(NamedTuple):
    """View of a storage whose numbers are not read yet."""

    storage: partial
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self):
        """Read the numbers, [*shape]; raises Refused if the storage holds fewer than the shape claims."""
        values = self.storage()
        reach = self.offset + 1 + sum(s * (n - 1) for s, n in zip(self.stride, self.shape, strict=True))
        if prod(self.shape) == 0:
            return np.zeros(self.shape, values.dtype)
        if min(*self.stride, self.offset, 0) < 0 or reach > len(values) or prod(self.shape) > len(values):
            raise Refused(f"claims a tensor of shape {self.shape} where only {len(values)} numbers are stored")
        strides = [s * values.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides, writeable=False)


def mapping(items=()):
    """Build a dictionary in place of an OrderedDict."""
    return put({}, [part for item in items for part in item])


def put(content, items):
    """Put the items key, value, key, value, … into a dictionary; raises Refused for keys that are no names."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        # A nested tuple is refused: its hash can take years.
        if not isinstance(key, str | bytes | int | float | None):
            raise Refused("holds a dictionary whose keys are no names")
        content[key] = value
    return content


def rebuild_tensor(storage, offset, shape, stride, *_):
    """Build a `Tensor` from the arguments of `torch._utils._rebuild_tensor_v2`, without gradient and hooks."""
    whole = [offset, *shape, *stride]
    if not isinstance(storage, partial) or any(type(n) is not int for n in whole) or len(shape) != len(stride):
        raise Refused("describes a tensor in a way that torch.save does not")
    if min([0, *shape]) < 0:
        raise Refused(f"claims a tensor of shape {tuple(shape)}")
    return Tensor(storage, offset, tuple(shape), tuple(stride))


def rebuild_parameter(data, *_):
    """Return the tensor of a parameter."""
    return data


KNOWN = {
    "collections.OrderedDict": mapping,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    **dict.fromkeys(BYSTANDERS, Bystander),
    **{f"torch.{name}": name for name in STORAGES},
}
"""Name in a pickle → the function or class called for it; all other names are refused."""


class WeightUnpickler(pickle._Unpickler):
    """Unpickle weights; import nothing, and call only the functions in `KNOWN`.

    The base is Python's unpickler in Python. It stops behind the pickle's last byte, as the legacy format needs, and
    allocates no memory for sizes that a pickle merely claims.

    Args:
        stream: the pickle.
        storage: function (key, type, count) → array of a storage's numbers.
    """

    dispatch = {code: load for code, load in pickle._Unpickler.dispatch.items() if bytes([code]) not in SETS}
    # Ignore the attributes of objects, which weights do not need.
    dispatch[pickle.BUILD[0]] = lambda self: self.stack.pop()
    dispatch[pickle.DICT[0]] = lambda self: self.append(put({}, self.pop_mark()))
    dispatch[pickle.SETITEM[0]] = lambda self: self.fill([self.stack.pop() for _ in range(2)][::-1])
    dispatch[pickle.SETITEMS[0]] = lambda self: self.fill(self.pop_mark())

    def __init__(self, stream, storage=None):
        super().__init__(stream, encoding="utf-8")
        self.storage, self.types = storage, {}

    def fill(self, items):
        """Put items into the dictionary on top of the stack."""
        if type(self.stack[-1]) is not dict:
            raise Refused("puts items into something that is no dictionary")
        put(self.stack[-1], items)

    def find_class(self, module, name):
        if f"{module}.{name}" not in KNOWN:
            raise Refused(f"holds {module}.{name}, which is no weight and was not touched; save the state_dict() alone")
        return KNOWN[f"{module}.{name}"]

    def persistent_load(self, pid):
        kind, storage, key, _, count, *view = pid
        texts = [isinstance(value, str) for value in (kind, storage, key)]
        if not all(texts) or storage not in STORAGES or type(count) is not int or any(v is not None for v in view):
            raise Refused("refers to its numbers in a way that torch.save does not")
        self.types[key] = np.dtype(STORAGES[storage])
        return partial(self.storage, key, self.types[key], count)


@contextmanager
def open_torch(file):
    """Open a file of torch.save: its content, with a `Tensor` per tensor whose numbers are read on demand.

    Args:
        file: the file, open and binary; tensors can be read while the context is open.

    Raises:
        Refused: the file is damaged, or holds more than dictionaries, lists, numbers, texts and tensors.
    """
    try:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as archive:
                yield read_archive(archive)
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield read_legacy(content)
    except Refused:
        raise
    except (*MISHAPS, zipfile.BadZipFile, NotImplementedError) as error:
        raise Refused(f"is damaged or cut short: {error or type(error).__name__}") from None


def read_archive(archive):
    """Read the format since PyTorch 1.6: an archive of data.pkl and a file of plain bytes for every storage."""
    found = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
    if len(found) != 1:
        raise Refused("is an archive of something else than weights: it holds no data.pkl")
    folder = found[0].removesuffix("data.pkl")
    if folder + "byteorder" in archive.namelist() and contents(archive, folder + "byteorder") != b"little":
        raise Refused("was written on a big-endian machine; save it as safetensors there")

    def storage(key, dtype, count):
        return numbers(contents(archive, f"{folder}data/{key}"), dtype, count)

    return WeightUnpickler(BytesIO(contents(archive, found[0])), storage).load()


def contents(archive, name):
    """Read a file of the archive; refuse compressed files, which could be larger than the archive."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise Refused(f"holds {name} compressed, which torch.save does not do")
    return archive.read(name)


def read_legacy(file):
    """Read the format before PyTorch 1.6: five pickles, then the size and the bytes of every storage."""
    places = {}

    def storage(key, dtype, count):
        start, held = places[key]
        return numbers(file[start : start + held * dtype.itemsize], dtype, count)

    for _ in range(3):  # magic number, version of the format, description of the machine
        WeightUnpickler(file).load()
    unpickler = WeightUnpickler(file, storage)
    content = unpickler.load()
    for key in WeightUnpickler(file).load():
        if not isinstance(key, str):
            raise Refused("names its storages in a way that torch.save does not")
        (held,) = struct.unpack("<q", file.read(8))
        places[key] = file.tell(), max(held, 0)
        file.seek(max(held, 0) * unpickler.types[key].itemsize, 1)
    return content


def numbers(data, dtype, count):
    """Convert a storage to an array; raises Refused if it does not have the length that the pickle claims."""
    if len(data) != count * dtype.itemsize:
        raise Refused(f"claims {count} numbers of type {dtype} where {len(data)} bytes are stored")
    return np.frombuffer(data, dtype)
