"""Encoders under prefixes and in nested dictionaries, as training frameworks save them."""

import numpy as np
import pytest
import torch_files
from reference_weights import random_weights, transformers
from test_weights_bad_input import refused, save

from kerasae.weights import import_weights, read_weights

SIZES = {"heads": 4, "decoder_width": 12, "decoder_depth": 1, "decoder_heads": 3}


def named(prefix, weights):
    return {prefix + name: value for name, value in weights.items()}


def check_encoder(file, weights, **options):
    """The encoder of a file is that of the weights without any prefix."""
    found = import_weights(file, **SIZES, **options)
    plain = import_weights(save(file.parent, weights), **SIZES)
    for mine, expected in zip(found.encoder.weights, plain.encoder.weights, strict=True):
        np.testing.assert_array_equal(mine, expected, err_msg=mine.path)
    return found


@pytest.mark.parametrize(
    "prefix",
    ["model.", "module.", "encoder.", "backbone.", "teacher.", "_orig_mod.", "module._orig_mod.model.", "net.vit_b."],
)
@pytest.mark.parametrize("kind", ["reference", "hub", "bare"])
def test_a_prefix_of_all_names_is_found(prefix, kind, tmp_path, caplog):
    weights = random_weights(decoder=False)
    stored = weights if kind == "reference" else transformers(weights, "hub")
    if kind == "bare":  # an encoder of transformers that is the whole model
        stored = {name.removeprefix("vit."): value for name, value in stored.items()}
    check_encoder(torch_files.save_zip(tmp_path / "x.pth", named(prefix, stored)), weights)
    assert "left out" not in caplog.text


def test_a_decoder_beside_the_encoder_comes_along(tmp_path):
    weights = random_weights()
    file = torch_files.save_zip(tmp_path / "x.ckpt", {"state_dict": named("model.", weights), "epoch": 3})
    found = check_encoder(file, weights)
    plain = import_weights(save(tmp_path, weights), **SIZES)
    for mine, expected in zip(found.decoder.weights, plain.decoder.weights, strict=True):
        np.testing.assert_array_equal(mine, expected, err_msg=mine.path)


def test_what_stands_beside_the_prefix_is_left_out_and_said(tmp_path, caplog):
    weights = random_weights(decoder=False)
    head = {"head.mlp.0.weight": np.ones((5, 16), "float32"), "head.mlp.0.bias": np.ones(5, "float32")}
    content = {"state_dict": {**named("backbone.", weights), **head}}
    check_encoder(torch_files.save_zip(tmp_path / "x.ckpt", content), weights)
    assert "outside 'state_dict.backbone.' are left out" in caplog.text
    assert "state_dict.head.mlp.0.bias" in caplog.text and "(2)" in caplog.text


def test_of_student_and_teacher_one_must_be_chosen(tmp_path):
    """The layout of facebookresearch/dino#65: two nested dictionaries, each with wrappers of its own."""
    student, teacher = (random_weights(seed, decoder=False) for seed in (0, 1))
    content = {"student": named("module.backbone.", student), "teacher": named("backbone.", teacher), "epoch": 3}
    file = torch_files.save_zip(tmp_path / "x.pth", content)
    words = ["'student.module.backbone.', 'teacher.backbone.'", "prefix"]
    refused(file, *words, call=import_weights, **SIZES)
    check_encoder(file, teacher, prefix="teacher")
    check_encoder(file, student, prefix="student.module.backbone.")
    words = ["prefix 'teach'", "'student.module.backbone.', 'teacher.backbone.'"]
    refused(file, *words, call=import_weights, prefix="teach", **SIZES)


def test_an_average_at_the_top_and_the_weights_themselves(tmp_path):
    weights, average = (random_weights(seed, decoder=False) for seed in (0, 1))
    file = tmp_path / "x.safetensors"
    save(tmp_path, {**weights, **named("ema.", average)})
    file = file.rename(tmp_path / "both.safetensors")
    refused(file, "'', 'ema.'", call=import_weights, **SIZES)
    check_encoder(file, weights, prefix="")
    check_encoder(file, average, prefix="ema")


def test_an_encoder_that_is_more_complete_wins(tmp_path):
    """A second tower with a patch embedding, but without positions, is none that fits."""
    weights = random_weights(decoder=False)
    other = {"aux.patch_embed.proj.weight": np.ones((16, 3, 2, 2), "float32")}
    check_encoder(torch_files.save_zip(tmp_path / "x.pth", {**named("main.", weights), **other}), weights)


def test_another_architecture_is_refused_in_one_line(tmp_path):
    content = {"state_dict": {"model.conv1.weight": np.ones((4, 3, 3, 3), "float32")}, "epoch": 3}
    file = torch_files.save_zip(tmp_path / "x.pth", content)
    refused(file, "patch_embed.proj.weight, which a vision transformer has", call=import_weights)
    refused(file, "no encoder under prefix 'model'", call=import_weights, prefix="model")
    swin = {"model.patch_embed.proj.weight": np.ones((8, 3, 4, 4), "float32")}
    swin |= {"model.layers.0.blocks.0.attn.qkv.weight": np.ones((24, 8), "float32")}
    refused(torch_files.save_zip(tmp_path / "swin.pth", swin), "has no pos_embed", call=import_weights)


def test_reading_weights_of_any_network_takes_no_encoder_out(tmp_path):
    weights = {**named("backbone.", random_weights(decoder=False)), "head.bias": np.ones(5, "float32")}
    file = torch_files.save_zip(tmp_path / "x.pth", {"state_dict": weights})
    assert read_weights(file).keys() == weights.keys()


def test_dictionaries_within_themselves_end(tmp_path):
    """A dictionary that holds itself under a thousand keys, and one a thousand deep."""
    keys = b"".join(b"X\x04\x00\x00\x00%04dh\x00" % i for i in range(1000))
    weight = torch_files.Raw(torch_files.Pickle().tensor(np.ones(2, "float32")))
    circle = b"\x80\x02}q\x00(" + keys + b"X\x01\x00\x00\x00a" + weight + b"u."
    deep = b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 1000 + weight + b"s" * 1000 + b"."
    for pickle, words in ((circle, "which a vision transformer has. It has: a"), (deep, "no tensors by name")):
        file = torch_files.save_zip(tmp_path / "x.pth", {"a": np.ones(2, "float32")}, pickle=pickle)
        refused(file, words, call=import_weights)
