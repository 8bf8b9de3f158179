"""Hypothesis strategies for hostile input: mutated bytes, text, values, command lines and pictures."""

import io
import struct
import zlib
from dataclasses import fields
from importlib import import_module
from typing import get_type_hints

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from pipelines.command_line import main as cli

# ---- bytes

NUMBERS = [b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"\0" * 8, b"\x80", b"nan", b"1e999"]
CHUNKS = st.sampled_from([*NUMBERS, b"PK\x03\x04", b"../", b'"', b"{", b"[" * 50])


@st.composite
def mutated(draw, data, most=4):
    """Mutate bytes: flip, overwrite, insert, delete or double a few spans, or truncate."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, most))):
        place, length = draw(st.integers(0, max(0, len(data) - 1))), draw(st.integers(1, 40))
        how = draw(st.sampled_from(["flip", "set", "insert", "drop", "double", "end"]))
        new = draw(st.one_of(CHUNKS, st.binary(min_size=1, max_size=8)))
        if how == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "set":
            data[place : place + len(new)] = new
        elif how == "insert":
            data[place:place] = new
        elif how == "drop":
            del data[place : place + length]
        elif how == "double":
            data[place:place] = data[place : place + length]
        else:
            del data[place:]
    return bytes(data)


# ---- text and values

TEXTS = ["", " ", "\0", "a\nb", "ä€𝄞", "\udcff", "\x1b[31m", "x" * 5000, "..", "../x", "a/../../b", "nan", "-1", "None"]
TEXTS += ["{}", "%s%n", "$HOME", "~", "--", "-", "=", "CON", "'; rm -rf x", "0", "1e400", "[" * 300]
INTEGERS = [0, -1, 1, 2, 3, 7, 100, 2**31 - 1, 2**31, 2**63, 10**30, -(2**63)]
FLOATS = ["nan", "inf", "-inf", "1e400", "-1", "0", "1", "0.5", "1e-300", "1e300", "-0.0", "1e-45", "3e38"]


def relative(text):
    """Turn text into a path that stays in the sandbox."""
    return text.lstrip("/").replace("../" * 3, "")


def texts():
    return st.one_of(st.sampled_from(TEXTS), st.text(max_size=12)).map(relative)


def integers():
    return st.one_of(st.sampled_from(INTEGERS), st.integers(-5, 12)).map(str)


def floats():
    return st.one_of(st.sampled_from(FLOATS), st.floats().map(repr))


def json_values():
    plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts())

    def nested(inner):
        return st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3)

    return st.recursive(plain, nested, max_leaves=6)


# ---- command lines

HUGE = {"size": ["tiny", "small"]}
"""Fields with values too large for a test → the values that are tried."""


def flags(command):
    """Draw a few flags of a command, with values of the declared types or of others."""
    recipe = import_module(cli.COMMANDS[command]).Recipe
    hints = get_type_hints(recipe)
    named = [f for f in fields(recipe) if not f.metadata.get("positional") and f.name not in ("data", "data_dir")]
    if not named:
        return st.just([])
    one = st.one_of([flag(f.name, str(hints[f.name])) for f in named])
    return st.lists(one, max_size=3).map(lambda found: sum(found, []))


def flag(name, hint):
    """Draw one flag and its values."""
    spelled = "--" + name.replace("_", "-")
    if name in HUGE:
        return st.sampled_from(HUGE[name]).map(lambda value: [spelled, value])
    kinds = {"int": integers(), "float": floats(), "bool": st.sampled_from(["true", "false", "x"])}
    fitting = [strategy for kind, strategy in kinds.items() if kind in hint] or [texts(), words()]
    if "dict" in hint:
        option = st.sampled_from(["beta", "weight", "x", ""])
        return st.tuples(option, floats()).map(lambda pair: [f"{spelled}.{pair[0]}", pair[1]])
    count = 3 if "tuple" in hint else 1
    values = st.lists(st.one_of(*fitting, *([] if len(fitting) > 1 else fitting), texts()), min_size=0, max_size=count)
    return st.one_of(values.map(lambda found: [spelled, *found]), st.just([f"--no-{name.replace('_', '-')}"]))


def words():
    """Draw a word of command lines."""
    flags = ["--help", "--version", "--data", "--out", "--recipe", "--seed", "--epochs", "--labels"]
    names = ["plain", "variational", "run", "digits", "npz:data.npz", "folder:pictures", "mae-mnist", "import"]
    left_out = ("data-worker", "serve", "doctor")  # two do not end, doctor takes twenty seconds
    return st.sampled_from([*(command for command in cli.COMMANDS if command not in left_out), *flags, *names])


def command_lines():
    """Draw random words, or a command with its positional arguments and random flags."""
    free = st.lists(st.one_of(words(), texts(), integers()), max_size=6)
    fitting = st.one_of([st.tuples(st.just(start), flags(start[0])).map(lambda p: [*p[0], *p[1]]) for start in STARTS])
    return st.one_of(free, fitting, fitting)


STARTS = [["train", variant] for variant in ("plain", "variational", "denoising", "adversarial")]
STARTS += [
    ["stacked"],
    ["mae"],
    ["quickstart"],
    ["list"],
    ["weights", "import", "file.pth"],
    ["weights", "export", "run"],
    ["embed", "run", "--to", "codes.npz"],
    ["predict", "run", "data.npz", "pictures"],
    ["sample", "run", "--to", "drawn"],
    ["edit", "run", "--to", "drawn"],
    ["map", "run", "--to", "drawn.html"],
    ["duplicates", "run", "--to", "drawn.html"],
    ["index", "run", "--to", "drawn"],
    ["search", "drawn", "data.npz"],
    ["restore", "run", "pictures", "--to", "drawn"],
    ["segment", "run", "--masks", "pictures"],
]
STARTS += [[command, "run"] for command in ("compare", "evaluate", "export", "latent", "prior", "recommend", "report")]
STARTS += [[command, "run", "--no-baselines"] for command in ("detect", "probe", "finetune")]


def specs():
    """Draw names of data sets, well formed or not."""
    kinds = st.sampled_from(["digits", "npz:", "folder:", "tfds:", "", ":", "npz", "NPZ:", "http://"])
    names = ["data.npz", "pictures", "run", "/dev/null", "pipe", "mnist", "a:mnist", "mnist/x:9"]
    return st.tuples(kinds, st.one_of(texts(), st.sampled_from(names))).map("".join)


# ---- pictures


def picture(kind):
    """Encode a small valid picture."""
    stream = io.BytesIO()
    pixels = np.arange(64 * 3, dtype="uint8").reshape(8, 8, 3)
    np.save(stream, pixels) if kind == "npy" else Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


PICTURES = ("png", "gif", "jpeg", "bmp", "webp", "tiff", "npy")


def bombs(side):
    """Make small files whose headers declare side × side pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 10_000)
    chunks = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    png = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    gif, jpeg, bmp = (bytearray(picture(kind)) for kind in ("gif", "jpeg", "bmp"))
    gif[6:10] = struct.pack("<HH", side % 65536, side % 65536)
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side % 65536, side % 65536)
    bmp[18:26] = struct.pack("<ii", side, side)
    made = {"png": b"\x89PNG\r\n\x1a\n" + png, "gif": bytes(gif), "jpeg": bytes(jpeg), "bmp": bytes(bmp)}
    sides = struct.pack("<I", side % 2**32)
    tiff = picture("tiff")
    for tag in (256, 257):  # width and height, one number of 16 or 32 bits each
        place = max(tiff.find(struct.pack("<HHI", tag, kind, 1)) for kind in (3, 4))
        tiff = tiff[: place + 2] + struct.pack("<HI", 4, 1) + sides + tiff[place + 12 :]
    array = picture("npy").replace(b"(8, 8, 3), }", f"({side}, {side}), }}".encode())
    return {**made, "tiff": tiff, "npy": array, "webp": picture("webp")[:20] + sides + picture("webp")[24:]}


def pictures():
    """Draw suffix and bytes of a mutated picture, a decompression bomb, or random bytes."""
    kinds = st.sampled_from(PICTURES)
    damaged = kinds.flatmap(lambda kind: st.tuples(st.just(kind), mutated(picture(kind))))
    sides = st.sampled_from([9000, 65535, 2**31 - 1, 0, 2**28])
    promised = st.tuples(kinds, sides).map(lambda pair: (pair[0], bombs(pair[1])[pair[0]]))
    return st.one_of(damaged, damaged, promised, st.tuples(kinds, st.binary(max_size=60)))
