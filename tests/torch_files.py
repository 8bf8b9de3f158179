"""Write files of `torch.save` byte by byte, without PyTorch: pickle opcodes, then the numbers.

Written from the format: https://docs.python.org/3/library/pickletools.html and a disassembled file of PyTorch.
"""

import struct
import zipfile

import numpy as np

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}
STORAGES |= {"bfloat16": "BFloat16Storage"}


class Raw(bytes):
    """Opcodes that are inserted into the pickle unchanged."""


class Pickle:
    """A pickle of dictionaries, tuples, texts, numbers and arrays; arrays become tensors in storages.

    Args:
        view: opcode at the end of a storage reference, an additional value of the legacy format.
    """

    def __init__(self, view=b""):
        self.storages, self.view = {}, view

    def dump(self, value):
        return b"\x80\x02" + self.ops(value) + b"."

    def ops(self, value):
        if isinstance(value, Raw):
            return bytes(value)
        if isinstance(value, np.ndarray):
            return self.tensor(value)
        if isinstance(value, dict):
            # PyTorch's: an OrderedDict that carries an attribute, set by BUILD.
            items = b"".join(self.ops(k) + self.ops(v) for k, v in value.items())
            return b"ccollections\nOrderedDict\n)R(" + items + b"u" + b"}" + self.ops("_metadata") + b"}sb"
        if isinstance(value, tuple | list):
            return b"(" + b"".join(map(self.ops, value)) + (b"t" if isinstance(value, tuple) else b"l")
        if isinstance(value, bool) or value is None:
            return {True: b"\x88", False: b"\x89", None: b"N"}[value]
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else b"L%dL\n" % value
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def storage(self, data, dtype):
        """Add a storage; return the opcodes that refer to it."""
        key = str(len(self.storages))
        self.storages[key] = data
        name = Raw(b"ctorch\n" + STORAGES[dtype].encode() + b"\n")
        size = len(data) // np.dtype("float16" if dtype == "bfloat16" else dtype).itemsize
        return b"(" + b"".join(map(self.ops, ("storage", name, key, "cpu", size))) + self.view + b"tQ"

    def tensor(self, x, offset=0, shape=None, stride=None):
        """Encode a tensor; its storage has the memory layout of `x`, so that a transposed array keeps its strides."""
        shape = x.shape if shape is None else shape
        stride = tuple(s // x.itemsize for s in x.strides) if stride is None else stride
        where = self.storage(x.tobytes("A"), x.dtype.name)
        hooks = Raw(b"ccollections\nOrderedDict\n)R")
        rest = b"".join(map(self.ops, (offset, tuple(shape), tuple(stride), False, hooks)))
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + where + rest + b"tR"


def save_zip(file, value, pickle=None, folder="archive", byteorder=b"little", compression=zipfile.ZIP_STORED):
    """Write the format of PyTorch 1.6 and later; `pickle` replaces the bytes of the pickle."""
    writer = Pickle()
    content = writer.dump(value)
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", content if pickle is None else pickle)
        archive.writestr(f"{folder}/byteorder", byteorder)
        for key, data in writer.storages.items():
            archive.writestr(f"{folder}/data/{key}", data)
        archive.writestr(f"{folder}/version", b"3\n")
    return file


def save_legacy(file, value):
    """Write the format before PyTorch 1.6."""
    writer = Pickle(view=b"N")
    content = writer.dump(value)
    system = {"protocol_version": 1001, "little_endian": True}
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    heads = [magic, Pickle().dump(1001), Pickle().dump(system), content, Pickle().dump(list(writer.storages))]
    bodies = [struct.pack("<q", len(data) // 4) + data for data in writer.storages.values()]
    file.write_bytes(b"".join([*heads, *bodies]))
    return file
