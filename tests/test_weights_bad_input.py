"""Files that are no weights, damaged, hostile, or the weights of something else: one line, and nothing happens."""

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import torch_files
from PIL import Image
from reference_weights import random_weights, transformers

from kerasae.errors import InputError
from kerasae.weights import import_weights, read_weights

PLAIN = {"heads": 4, "decoder_heads": 3, "mean": 0.0, "std": 1.0}


def refused(file, *words, call=read_weights, **options):
    """The one line that the file is refused with."""
    with pytest.raises(InputError) as caught:
        call(file, **options)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 500 and all(word in line for word in words), line
    return line


def save(folder, weights):
    safetensors.numpy.save_file(weights, folder / "x.safetensors")
    return folder / "x.safetensors"


def written(folder, data, name="x.pth"):
    (folder / name).write_bytes(data)
    return folder / name


# ---- hostile


class Payload:
    """What pickle itself would run."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(marker):
    """Pickles that make a file when they are opened without care, in every way in which a pickle can call."""
    command, path = f"touch {marker}", str(marker)
    text = b"X" + struct.pack("<I", len(command)) + command.encode()
    yield from (pickle.dumps(Payload(os.system, command), protocol) for protocol in (0, 2, 4))
    yield pickle.dumps(Payload(eval, f"open({path!r}, 'w').close()"))
    yield pickle.dumps({"model": {"cls_token": Payload(open, path, "w")}})
    yield b"\x80\x02(iposix\nsystem\n".replace(b"(i", b"(" + text + b"i") + b"."  # INST
    yield b"\x80\x02(cposix\nsystem\n" + text + b"o."  # OBJ
    yield b"\x80\x02cbuiltins\ngetattr\n(cposix\nsystem\nX\x08\x00\x00\x00__call__tR(" + text + b"tR."


KINDS = range(8)


def bodies(kind, marker):
    return list(hostile(marker))[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_a_file_is_executed(kind, tmp_path):
    marker = tmp_path / "executed"
    data = bodies(kind, marker)
    pickle.loads(data)
    assert marker.exists()  # the payload is alive
    marker.unlink()
    bare = written(tmp_path, data, "bare.pth")
    archive = torch_files.save_zip(tmp_path / "zip.pth", {}, pickle=data)
    legacy = torch_files.save_legacy(tmp_path / "legacy.pth", {"a": np.ones(2, "float32")})
    start = legacy.read_bytes().index(b"\x80\x02", 20)
    legacy.write_bytes(legacy.read_bytes()[:start] + data)
    behind = written(tmp_path, legacy.read_bytes()[:start] + b"\x80\x02K\x01." + data, "behind.pth")
    for file in (bare, archive, legacy, behind):
        refused(file)
        assert not marker.exists(), file
    assert "which is no weight and was not touched" in refused(archive)


def test_what_a_pickle_may_name_cannot_be_changed_from_inside(tmp_path):
    """BUILD sets attributes, also of functions and classes; the next file would find them changed."""
    tail = b"N}X\x0c\x00\x00\x00__defaults__(K\x01K\x02tsX\x03\x00\x00\x00newK\x01s\x86b."
    for name in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nSize\n", b"ccollections\nOrderedDict\n"):
        refused(torch_files.save_zip(tmp_path / "x.pth", {}, pickle=b"\x80\x02" + name + tail))
    from collections import OrderedDict

    from kerasae.weights import torch_file

    changed = (torch_file.rebuild_tensor, torch_file.Bystander, OrderedDict)
    assert torch_file.rebuild_tensor.__defaults__ is None and not any(hasattr(x, "new") for x in changed)


def test_a_whole_module_is_refused_by_its_name(tmp_path):
    module = torch_files.Raw(b"ctimm.models.vision_transformer\nVisionTransformer\n)\x81}b")
    refused(torch_files.save_zip(tmp_path / "x.pth", {"model": module}), "VisionTransformer", "state_dict")


CLAIMS = {
    "more numbers than stored": {"shape": (3, 5), "stride": (5, 1)},
    "huge": {"shape": (10**9, 10**9), "stride": (10**9, 1)},
    "huge without a step": {"shape": (10**6, 10**6), "stride": (0, 0)},
    "backwards": {"shape": (2, 2), "stride": (-1, 1)},
    "before its start": {"shape": (2, 2), "stride": (2, 1), "offset": -3},
    "behind its end": {"shape": (2, 2), "stride": (2, 1), "offset": 10},
    "negative": {"shape": (-2, -2), "stride": (2, 1)},
    "other axes": {"shape": (2, 2), "stride": (1,)},
}


def claiming(folder, claim, stored):
    """A file with one tensor of twelve numbers and so many stored bytes."""
    tensor = torch_files.Raw(torch_files.Pickle().tensor(np.zeros((3, 4), "float32"), **claim))
    with zipfile.ZipFile(folder / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", torch_files.Pickle().dump({"a": tensor}))
        archive.writestr("x/data/0", bytes(stored))
    return folder / "x.pth"


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())
def test_a_tensor_that_claims_what_is_not_stored(claim, tmp_path):
    refused(claiming(tmp_path, claim, 48), "tensor")


@pytest.mark.parametrize("stored", [0, 44, 47, 52, 4800])
def test_a_storage_of_another_length_than_is_said(stored, tmp_path):
    assert read_weights(claiming(tmp_path, {}, 48))["a"].shape == (3, 4)
    refused(claiming(tmp_path, {}, stored), f"12 numbers of type float32 where {stored} bytes are stored")


def test_pickles_that_claim_memory(tmp_path):
    """A text of 2^60 bytes, and the 2^32nd place of the memo, each in a few bytes."""
    for ops in (b"\x8d" + struct.pack("<Q", 2**60), b"K\x01r\xff\xff\xff\xff", b"\x95" + struct.pack("<Q", 2**60)):
        refused(torch_files.save_zip(tmp_path / "x.pth", {}, pickle=b"\x80\x04" + ops + b"."))
    legacy = torch_files.save_legacy(tmp_path / "y.pth", {"a": np.ones(2, "float32")})
    data = legacy.read_bytes()
    for count in (2**62, 2**40, -1, 3, 1):
        refused(written(tmp_path, data[:-16] + struct.pack("<q", count) + data[-8:]))


NESTED = (
    b")" + 60 * b"2\x86"
)  # ((…, …), (…, …)) sixty deep: to hash or to print it takes as many steps as it has leaves
SLOW = {
    "key of a dictionary": b"}" + NESTED + b"K\x01s",
    "keys of a dictionary": b"}(" + NESTED + b"K\x01u",
    "dictionary from a list": b"(" + NESTED + b"K\x01d",
    "dictionary from pairs": b"ccollections\nOrderedDict\n(](" + NESTED + b"K\x01\x86" + b"etR",
    "set": b"\x8f(" + NESTED + b"\x90",
    "frozen set": b"(" + NESTED + b"\x91",
    "storage": b"(X\x07\x00\x00\x00storage" + NESTED + b"K\x01K\x01K\x01tQ",
    "key of a storage": b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + NESTED + b"K\x01K\x01tQ",
}


@pytest.mark.parametrize("ops", SLOW.values(), ids=SLOW.keys())
def test_pickles_that_would_take_years(ops, tmp_path):
    refused(torch_files.save_zip(tmp_path / "x.pth", {}, pickle=b"\x80\x04" + ops + b"."))
    data = torch_files.save_legacy(tmp_path / "y.pth", {"a": np.ones(2, "float32")}).read_bytes()
    keys = data.rindex(b"\x80\x02")
    refused(written(tmp_path, data[:keys] + b"\x80\x02](" + NESTED + b"e." + data[-16:]))


# ---- damaged


@pytest.mark.parametrize("how", [torch_files.save_zip, torch_files.save_legacy])
def test_cut_short_anywhere(how, tmp_path):
    data = how(tmp_path / "whole", {"a": np.ones((2, 3), "float32"), "b": np.zeros(4, "float32")}).read_bytes()
    for end in [0, 1, 2, 7, *range(10, len(data), 7), len(data) - 1]:
        refused(written(tmp_path, data[:end]))


def test_safetensors_cut_short_anywhere(tmp_path):
    data = save(tmp_path, {"a": np.ones((2, 3), "float32")}).read_bytes()
    for end in range(0, len(data)):
        refused(written(tmp_path, data[:end], "y.safetensors"))


@pytest.mark.parametrize("how", [torch_files.save_zip, torch_files.save_legacy, "safetensors"])
def test_changed_bytes_are_refused_or_read_but_nothing_else(how, tmp_path):
    weights = {"a": np.ones((2, 3), "float32"), "b": np.zeros(4, "float32")}
    whole = save(tmp_path, weights) if how == "safetensors" else how(tmp_path / "whole", weights)
    data, rng, refusals = whole.read_bytes(), np.random.default_rng(0), 0
    for _ in range(400):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        try:
            read_weights(written(tmp_path, bytes(changed)))
        except InputError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 100


def test_a_changed_number_in_an_archive_is_noticed(tmp_path):
    file = torch_files.save_zip(tmp_path / "x.pth", {"a": np.full(64, 7.0, "float32")})
    data = bytearray(file.read_bytes())
    data[data.index(np.full(8, 7.0, "float32").tobytes())] ^= 1
    refused(written(tmp_path, bytes(data)), "damaged")


# ---- foreign


def test_files_of_other_kinds(tmp_path):
    picture = io.BytesIO()
    Image.fromarray(np.zeros((9, 9, 3), "uint8")).save(picture, "jpeg")
    refused(written(tmp_path, picture.getvalue(), "photo.jpg"), "photo.jpg", "no weights", "safetensors")
    refused(written(tmp_path, b"", "empty.pth"), "no weights")
    refused(written(tmp_path, pickle.dumps({"a": 1})), "pickle")
    refused(tmp_path / "nowhere.pth", "nowhere.pth", "No such file")
    refused(tmp_path, "model.safetensors", "pytorch_model.bin")


def test_archives_of_other_kinds(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    refused(tmp_path / "x.keras", "archive of something else")
    weights = {"a": np.zeros(4, "float32")}
    refused(torch_files.save_zip(tmp_path / "x.pth", weights, compression=zipfile.ZIP_DEFLATED), "compressed")
    refused(torch_files.save_zip(tmp_path / "x.pth", weights, byteorder=b"big"), "big-endian")
    refused(torch_files.save_zip(tmp_path / "x.pth", {"epoch": 3}), "no tensors by name")
    refused(torch_files.save_zip(tmp_path / "x.pth", [1, 2]), "no tensors by name")


def test_weights_of_another_network(tmp_path):
    file = save(tmp_path, {"conv1.weight": np.zeros((8, 3, 7, 7), "float32"), "bn1.bias": np.zeros(8, "float32")})
    refused(file, "patch_embed.proj.weight", "conv1.weight", call=import_weights)


def changed(folder, change, kind="reference"):
    """A file of weights with a change."""
    weights = random_weights()
    named = weights if kind == "reference" else transformers(weights, kind)
    change(named)
    return save(folder, named)


KEY = "vit.encoder.layer.1.attention.attention.key.bias"
NAMES = {
    "reference": ("blocks.1.attn.qkv.bias", "decoder_norm.weight"),
    "hub": (KEY, "decoder.decoder_norm.weight"),
    "memory": ("vit.layers.1.attention.k_proj.bias", "decoder.decoder_norm.weight"),
    "saved": (KEY, "decoder.decoder_encoder.layer.0.layernorm_after.bias"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_missing_unexpected_and_misshapen_weights_are_named_as_in_the_file(kind, tmp_path):
    for name in NAMES[kind]:
        file = changed(tmp_path, lambda weights: weights.pop(name), kind)  # noqa: B023
        refused(file, f"missing: {name} (1)", call=import_weights, **PLAIN)
        file = changed(tmp_path, lambda weights: weights.update({name: np.zeros(99, "float32")}), kind)  # noqa: B023
        refused(file, f"{name} (99,) instead of", call=import_weights, **PLAIN)
        file = changed(tmp_path, lambda weights: weights.update({f"{name}2": np.zeros(9, "float32")}), kind)  # noqa: B023
        refused(file, f"unexpected: {name}2 (1)", call=import_weights, **PLAIN)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("patch_embed.proj.weight", (16, 12), ["4 axes", "(16, 12)"]),
        ("patch_embed.proj.weight", (0, 3, 2, 2), ["empty"]),
        ("pos_embed", (1, 17, 20), ["pos_embed (1, 17, 20) instead of (1, 17, 16)"]),
        ("pos_embed", (1, 19, 16), ["pos_embed for 18 places", "image_size"]),
        ("pos_embed", (1, 0, 16), ["image_size"]),
        ("blocks.7.norm1.bias", (16,), ["missing: blocks.2.norm1.weight"]),
        ("blocks.0.mlp.fc1.weight", (40, 16, 1), ["2 axes"]),
        ("decoder_blocks.0.mlp.fc1.weight", (44, 12), ["decoder_blocks.0.mlp.fc1.bias (30,) instead of (44,)"]),
        ("head.weight", (5, 16), ["missing: head.bias"]),
    ],
)
def test_shapes_that_do_not_fit(name, shape, words, tmp_path):
    file = changed(tmp_path, lambda weights: weights.update({name: np.zeros(shape, "float32")}))
    refused(file, name.split(".")[0], *words, call=import_weights, **PLAIN)


def test_a_decoder_that_widens_otherwise_than_its_encoder(tmp_path):
    wider = {"decoder_blocks.0.mlp.fc1.weight": (44, 12), "decoder_blocks.0.mlp.fc1.bias": (44,)}
    wider |= {"decoder_blocks.0.mlp.fc2.weight": (12, 44)}
    arrays = {name: np.zeros(shape, "float32") for name, shape in wider.items()}
    refused(changed(tmp_path, lambda w: w.update(arrays)), "16 → 40", "12 → 44", call=import_weights, **PLAIN)


def test_values_that_are_no_weights(tmp_path):
    def spoil(value):
        return lambda weights: weights.update({"norm.bias": value})

    refused(changed(tmp_path, spoil(np.full(16, np.nan, "float32"))), "norm.bias", "NaN", call=import_weights, **PLAIN)
    refused(changed(tmp_path, spoil(np.zeros(16, "int64"))), "norm.bias", "int64", call=import_weights, **PLAIN)


# ---- what is not in the file


def test_what_the_file_does_not_tell(tmp_path):
    file = save(tmp_path, random_weights())
    refused(file, "give heads", "16", call=import_weights)
    refused(file, "give decoder_heads", "12", call=import_weights, heads=4)
    refused(file, "heads: 5", "16", call=import_weights, heads=5)
    refused(file, "15×15", "patch 2×2", "14×14 and 16×16", call=import_weights, image_size=15, **PLAIN)
    for size in (0, (8, 8, 3), (8.0, 8)):
        refused(file, "image_size", call=import_weights, image_size=size, **PLAIN)


def test_one_channel_and_three(tmp_path):
    file = save(tmp_path, random_weights(channels=1))
    refused(file, "1-channel", "give their mean", call=import_weights, heads=4, decoder_heads=3)
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": 1.0}
    refused(file, "mean", "one for every channel", call=import_weights, heads=4, decoder_heads=3, **imagenet)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hidden_size": 768}, ["width of 16", "config.json", "768"]),
        ({"image_size": 224}, ["16 places", "224"]),
        ({"image_size": "large"}, ["image_size 'large'"]),
        ({"image_size": True}, ["image_size"]),
        ({"hidden_act": "quick_gelu"}, ["quick_gelu"]),
        ({"num_attention_heads": "4"}, ["num_attention_heads '4'"]),
        ({"mask_ratio": "most"}, ["mask_ratio 'most'"]),
        ({"mask_ratio": 2}, ["mask_ratio"]),
        ([], ["config.json", "no dictionary"]),
    ],
)
def test_a_configuration_that_belongs_to_something_else(config, words, tmp_path):
    file = save(tmp_path, random_weights())
    (tmp_path / "config.json").write_text(json.dumps(config))
    heads = {} if "num_attention_heads" in config else {"heads": 4}
    refused(file, *words, call=import_weights, **heads, decoder_heads=3)


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[1"])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_configuration_that_is_none(text, name, tmp_path):
    file = save(tmp_path, random_weights())
    (tmp_path / name).write_bytes(text)
    refused(file, name, call=import_weights, **PLAIN)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"image_mean": [0.5, 0.5], "image_std": 1}, ["mean", "(0.5, 0.5)"]),
        ({"image_mean": "grey"}, ["mean", "grey"]),
        ({"rescale_factor": "1/255"}, ["rescale_factor"]),
        ({"rescale_factor": -1}, ["rescale_factor"]),
        ({"image_std": 0}, ["std"]),
    ],
)
def test_a_preprocessing_that_makes_no_sense(images, words, tmp_path):
    file = save(tmp_path, random_weights())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(images))
    refused(file, *(word for word in words if word[0] != "("), call=import_weights, heads=4, decoder_heads=3)
