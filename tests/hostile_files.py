"""Hypothesis strategies for hostile files: archives, arrays, models, checkpoints, JSON, other projects' weights."""

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import reference_weights
import safetensors.numpy
import torch_files
from hostile import json_values, mutated
from hypothesis import strategies as st

# ---- archives


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    """Make an archive of (name, bytes) pairs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def members(data):
    """Read name and bytes of every member of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


@st.composite
def repacked(draw, data):
    """Mutate, rename, delete, double, inflate or compress a member of an archive, or add one."""
    found = members(data)
    i = draw(st.integers(0, len(found) - 1))
    name, content = found[i]
    how = draw(st.sampled_from(["mutate", "mutate", "mutate", "rename", "drop", "double", "compress", "add", "bomb"]))
    if how == "mutate":
        found[i] = name, draw(mutated(content))
    elif how == "rename":
        found[i] = draw(st.sampled_from(["../../escaped", "/escaped", "a/../../escaped", "x", name.upper()])), content
    elif how == "drop":
        del found[i]
    elif how == "double":
        found.append((name, draw(mutated(content))))
    elif how == "add":
        found.append((draw(st.sampled_from(["../../escaped", "assets/../../../escaped", "x.py", "assets/x"])), b"x"))
    elif how == "bomb":
        found[i] = name, bytes(2_000_000)
    return zipped(found, zipfile.ZIP_DEFLATED if how in ("compress", "bomb") else zipfile.ZIP_STORED)


class Executed:
    """Object whose unpickling creates the folder `path`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def of_kind(kind, values, canary):
    """Convert numbers to a NumPy type; an array of objects holds `Executed`."""
    if kind != "O":
        return values.astype("u4").view("V4") if kind == "V4" and values.ndim else values.astype("u1").astype(kind)
    made = np.empty(values.shape, object)
    made[...] = Executed(canary)
    return made


@st.composite
def arrays(draw, canary):
    """Draw an npz with wrong types, ranks and values, and with pickles that execute code."""
    kinds = ["uint8", "int64", "float32", "float64", "float16", "complex64", "bool"]
    kinds += ["S3", "U2", "M8[s]", "O", "V4", ">f4"]
    names = st.sampled_from(["x_train", "y_train", "x_test", "y_test", "x_trian", "other"])
    made = {}
    for name in draw(st.sets(names, max_size=4)):
        shape = draw(st.lists(st.integers(0, 6), max_size=5))
        kind = draw(st.sampled_from(kinds))
        values = np.array(draw(st.lists(st.sampled_from([0, 1, 5, 255, 256]), min_size=1, max_size=4)))
        made[name] = of_kind(kind, np.resize(values, shape) if values.size else np.zeros(shape), canary)
    return npz(**made)


def header(shape, descr="'|u1'"):
    """Make the header of an .npy file that declares a shape."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text


def claims():
    """Draw an npz whose x_train declares a shape or type that its bytes do not have."""
    shapes = ["(10**9,)", "(2000000000, 4, 4)", "(1, -4, 4)", "(99999999999999999999, 4)", "()", "(4, 4", "None"]
    descr = ["'|u1'", "'<f8'", "'|O'", "'<f999999999'", "[('a', '<f4')]", "'" + "x" * 99 + "'", "{}", "'|V1000000000'"]
    pairs = st.tuples(st.sampled_from(shapes), st.sampled_from(descr))
    return pairs.map(lambda pair: zipped([("x_train.npy", header(*pair) + bytes(64))]))


# ---- JSON and configurations


def paths(value, here=()):
    """Yield the path of every value in a tree of lists and dictionaries."""
    yield here
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*here, key))


def replaced(value, place, new):
    """Copy a tree with another value at one path."""
    if not place:
        return new
    first, *rest = place
    items = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    items[first] = replaced(items[first], rest, new)
    return items if isinstance(value, dict) else list(items.values())


@st.composite
def altered(draw, tree, values):
    """Replace one or two values of a tree."""
    for _ in range(draw(st.integers(1, 2))):
        tree = replaced(tree, draw(st.sampled_from(list(paths(tree)))), draw(values))
    return tree


def rewritten(data):
    """Replace values of JSON by paths, other types and enormous numbers."""
    odd = [None, [], {}, 10**30, -1, 1e308, "x", "npz:data.npz", "digits", "npz:../../neighbour", ["a"], [[1]], True]
    values = st.one_of(st.sampled_from(odd), json_values())
    return altered(json.loads(data), values).map(lambda tree: json.dumps(tree).encode("utf-8", "surrogatepass"))


def rewritten_progress(body):
    """Replace the progress of a checkpoint by random JSON."""

    def put(text):
        return zipped([(n, npy(np.frombuffer(text, "u1")) if n == "progress.npy" else d) for n, d in members(body)])

    return json_values().map(lambda value: put(json.dumps(value).encode("utf-8", "surrogatepass")))


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def lambdas(canary):
    """List configurations of layers that would run code or read files while the layer is created."""
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAA=", "defaults": None, "closure": None}}
    layer = {"module": "keras.layers", "registered_name": None}
    return [
        {**layer, "class_name": "Lambda", "config": {"function": code}},
        {"class_name": "Lambda", "config": {"function": code}},
        {**layer, "class_name": "TFSMLayer", "config": {"filepath": str(canary), "call_endpoint": "x"}},
        {**layer, "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"module": "os", "class_name": "mkdir", "config": {"path": str(canary)}, "registered_name": None},
        {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "exec"},
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
        {"module": "keras.saving", "class_name": "function", "config": "load_model", "registered_name": "load_model"},
        {
            "module": "pipelines.command_line.main",
            "class_name": "main",
            "config": {},
            "registered_name": "kerasae>main",
        },
        {"class_name": "__typespec__", "config": [], "spec_name": "x", "module": "os", "registered_name": None},
        code,
    ]


def configured(data, canary):
    """Replace values, sizes and classes in the configuration of a model."""
    config = json.loads(dict(members(data))["config.json"])
    odd = st.sampled_from([None, [], {}, 0, -1, 3, 10**6, 10**9, 10**30, 1e308, "x", "relu", "float64", "string", True])
    values = st.one_of(odd, st.sampled_from(lambdas(canary)), st.sampled_from(lambdas(canary)), json_values())

    def put(tree):
        text = json.dumps(tree).encode("utf-8", "surrogatepass")
        return zipped([(name, text if name == "config.json" else content) for name, content in members(data)])

    return altered(config, values).map(put)


# ---- weights of other projects


def good_weights(file):
    """Write the weights of a masked autoencoder by way of `file`: suffix → bytes."""
    named = reference_weights.random_weights()
    return {
        "pth": torch_files.save_zip(file, named).read_bytes(),
        "pt": torch_files.save_legacy(file, named).read_bytes(),
        "safetensors": safetensors.numpy.save(named),
    }


def weights(arena):
    """Draw suffix and bytes of a file of weights, and the bytes of a config.json beside it or None."""
    file = arena.temporary / "weights"
    formats = good_weights(file)
    pickles = [pickle.dumps(Executed(arena.canary), protocol) for protocol in (0, 2, 4)]
    executed = [torch_files.save_zip(file, {}, pickle=content).read_bytes() for content in pickles] + pickles
    damaged = {kind: st.one_of(mutated(content), mutated(content, 30)) for kind, content in formats.items()}
    damaged["zip"] = repacked(formats["pth"])
    good = [st.tuples(st.just(kind), content) for kind, content in damaged.items()]
    beside = {"image_size": 8, "hidden_size": 16, "num_attention_heads": 4, "mask_ratio": 0.5, "norm_pix_loss": True}
    said = st.one_of(st.none(), mutated(json.dumps(beside).encode()), rewritten(json.dumps(beside)))
    files = st.one_of(*good, st.sampled_from([("pth", content) for content in executed]))
    return st.tuples(files, said).map(lambda pair: (*pair[0], pair[1]))
