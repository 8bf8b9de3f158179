"""Weights of other projects: what is read, imported and exported computes what the NumPy transcription computes."""

import json

import keras
import mae_reference
import numpy as np
import pytest
import safetensors.numpy
import torch_files
from reference_weights import Oracle, normalised, random_weights, tokens, transformers

from kerasae import models, networks, ops
from kerasae.errors import InputError
from kerasae.weights import export_weights, import_weights, read_weights

RNG = np.random.default_rng(0)
HEADS = {"heads": 4, "decoder_heads": 3}
SMALL = {"decoder_width": 12, "decoder_depth": 1}
PLAIN = {**HEADS, "mean": 0.0, "std": 1.0}


def save(folder, weights, how="safetensors"):
    """A file of weights."""
    if how == "safetensors":
        safetensors.numpy.save_file(weights, folder / "x.safetensors")
        return folder / "x.safetensors"
    return {"pth": torch_files.save_zip, "legacy": torch_files.save_legacy}[how](folder / "x.pth", weights)


def images(shape, count=2):
    return RNG.uniform(size=(count, *shape)).astype("float32")


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def check_masked_pass(model, weights, *, patch=(2, 2), ratio=0.75, mean=0.0, std=1.0, normalize=True):
    """The model's masked pass is the transcription's with the weights as they are in the reference project."""
    x = images(model.example_shape)
    noise = RNG.uniform(size=(len(x), model.patches_shape[0])).astype("float32")
    found, options = model.forward(x, noise), {"patch": patch, "ratio": ratio, "mean": mean, "std": std}
    for i, image in enumerate(x.astype("float64")):
        expected = mae_reference.forward(
            image, noise[i], Oracle(weights), depths=(2, 1), heads=(4, 3), normalize=normalize, **options
        )
        for name, value in expected.items():
            close(found[name][i], value)


# ---- import


@pytest.mark.parametrize("how", ["pth", "legacy", "safetensors"])
def test_encoder_and_decoder_of_the_reference_project(how, tmp_path):
    weights = random_weights()
    model = import_weights(save(tmp_path, weights, how), **PLAIN)
    assert type(model) is models.MaskedAutoencoder and model.example_shape == (8, 8, 3)
    check_masked_pass(model, weights)


@pytest.mark.parametrize("kind", ["hub", "memory", "saved"])
def test_the_layouts_of_transformers(kind, tmp_path):
    weights = random_weights()
    check_masked_pass(import_weights(save(tmp_path, transformers(weights, kind)), **PLAIN), weights)


def test_rectangles_other_channels_and_odd_widths(tmp_path):
    weights = random_weights(grid=(2, 4), patch=(3, 2), channels=2, width=28, hidden=61)  # int(61 / 28 * 28) is 60
    file = save(tmp_path, weights)
    given = {"mean": (0.4, 0.6), "std": (0.2, 0.3)}
    model = import_weights(file, image_size=(6, 8), normalize_targets=False, **HEADS, **given)
    check_masked_pass(model, weights, patch=(3, 2), normalize=False, **given)


def test_images_are_standardised_as_imagenets_unless_it_is_said_otherwise(tmp_path):
    weights = random_weights()
    model = import_weights(save(tmp_path, weights), **HEADS)
    check_masked_pass(model, weights, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_what_lies_beside_the_file_is_used(tmp_path):
    weights = random_weights(grid=(2, 4))
    config = {"num_attention_heads": 4, "decoder_num_attention_heads": 3, "image_size": [4, 8], "hidden_size": 16}
    images = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7], "rescale_factor": 1 / 16}
    (tmp_path / "config.json").write_text(json.dumps({**config, "mask_ratio": 0.5, "norm_pix_loss": False}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(images))
    save(tmp_path, transformers(weights, "hub")).rename(tmp_path / "model.safetensors")
    model = import_weights(tmp_path)
    assert model.pixel_max == 16.0
    check_masked_pass(model, weights, ratio=0.5, normalize=False, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))


@pytest.mark.parametrize(("kind", "prefix"), [("reference", ""), ("hub", ""), ("hub", "vit."), ("memory", "")])
def test_an_encoder_alone_encodes_and_has_a_new_decoder(kind, prefix, tmp_path, caplog):
    weights = random_weights(decoder=False)
    named = weights if kind == "reference" else transformers(weights, kind)
    if kind != "reference":
        named = {prefix + name.removeprefix("vit."): x for name, x in named.items()}
        named[f"{prefix}pooler.dense.weight"] = np.ones((16, 16), "float32")  # on the class token, behind all else
    file = save(tmp_path, named)
    model = import_weights(file, pooling=None, decoder_width=12, decoder_depth=2, **PLAIN)
    assert "no decoder" in caplog.text
    assert model.decoder.get_layer("vit_decoder_embed").units == 12 and len(model.decoder.layers) == 8
    x = images((8, 8, 3))
    expected = [normalised(tokens(image.astype("float64"), weights, (2, 2), 4, 2), weights, "norm") for image in x]
    close(model.encode(x), expected)


def test_pooling_of_an_encoder(tmp_path):
    weights = random_weights(decoder=False)
    file, x = save(tmp_path, weights), images((8, 8, 3))
    every = [normalised(tokens(image.astype("float64"), weights, (2, 2), 4, 2), weights, "norm") for image in x]
    close(import_weights(file, **SMALL, **PLAIN).encode(x), [t[1:].mean(0) for t in every])
    close(import_weights(file, pooling="class", **SMALL, **PLAIN).encode(x), [t[0] for t in every])


def head():
    """A layer of five classes."""
    return {"head.weight": RNG.normal(size=(5, 16)).astype("float32"), "head.bias": np.arange(5.0, dtype="float32")}


def test_a_fine_tuned_file_normalises_the_mean_of_the_tokens(tmp_path):
    weights = {**random_weights(decoder=False), **head()}
    weights |= {f"fc_norm.{kind}": weights.pop(f"norm.{kind}") for kind in ("weight", "bias")}
    model = import_weights(save(tmp_path, weights), **PLAIN)
    assert type(model) is models.Classifier and model.classes == 5
    x = images((8, 8, 3))
    means = np.stack([tokens(image.astype("float64"), weights, (2, 2), 4, 2)[1:].mean(0) for image in x])
    close(model(x), normalised(means, weights, "fc_norm") @ weights["head.weight"].T + weights["head.bias"])


@pytest.mark.parametrize("kind", ["reference", "hub", "memory"])
def test_a_head_on_the_class_token(kind, tmp_path):
    weights = {**random_weights(decoder=False), **head()}
    model = import_weights(save(tmp_path, weights if kind == "reference" else transformers(weights, kind)), **PLAIN)
    x = images((8, 8, 3))
    first = np.stack([tokens(image.astype("float64"), weights, (2, 2), 4, 2)[0] for image in x])
    close(model(x), normalised(first, weights, "norm") @ weights["head.weight"].T + weights["head.bias"])


def test_another_image_size_interpolates_the_positions(tmp_path):
    file = save(tmp_path, random_weights())
    model, larger = import_weights(file, **PLAIN), import_weights(file, image_size=(8, 12), **PLAIN)
    expected = networks.resize_vit(model.encoder, (8, 12, 3))
    for ours, theirs in zip(larger.encoder.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert larger.decoder.output_shape == (None, 8, 12, 3)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_published_positions_stay_fixed_and_others_are_learned(precision, tmp_path):
    weights = random_weights()
    assert import_weights(save(tmp_path, weights), **PLAIN).encoder.get_layer("vit_tokens").learned
    for name, width in (("pos_embed", 16), ("decoder_pos_embed", 12)):
        weights[name][0, 0], weights[name][0, 1:] = 0, ops.sincos_positions((4, 4), width)
    model = import_weights(save(tmp_path, {n: x.astype(precision) for n, x in weights.items()}), **PLAIN)
    assert not any("positions" in weight.path for weight in model.trainable_weights)


@pytest.mark.parametrize(("width", "expected"), [(192, 3), (768, 12), (1280, 16), (128, 2)])
def test_heads_of_a_width(width, expected, tmp_path):
    weights = random_weights(width=width, hidden=width, depth=1, decoder=False)
    model = import_weights(save(tmp_path, weights), **SMALL)
    assert model.encoder.get_layer("vit_block_0").heads == expected


# ---- what is read


def test_half_precision_is_read_as_it_is_stored_and_imported_as_float32(tmp_path):
    import ml_dtypes

    weights = random_weights()
    half = {name: x.astype(ml_dtypes.bfloat16) for name, x in weights.items()}
    for how in ("pth", "safetensors"):
        read = read_weights(save(tmp_path, half, how))
        assert read["norm.weight"].dtype == ml_dtypes.bfloat16 and len(read) == len(weights)
        assert all(np.array_equal(read[name], half[name]) for name in weights)
    rounded = {name: x.astype("float32") for name, x in half.items()}
    model = import_weights(save(tmp_path, half), **PLAIN)
    assert model.encoder.weights[0].dtype == "float32"
    check_masked_pass(model, rounded)


@pytest.mark.parametrize("envelope", ["model", "state_dict"])
def test_training_checkpoints_and_wrapped_names(envelope, tmp_path):
    weights = {f"module.{name}": x for name, x in random_weights().items()}
    namespace = torch_files.Raw(b"cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrK\x01sb")
    device = torch_files.Raw(b"ctorch\ndevice\n" + torch_files.Pickle().ops(("cpu",)) + b"R")
    optimizer = {"state": {0: {"exp_avg": np.zeros(3, "float32")}}}
    content = {"epoch": 3, "args": namespace, "device": device, "optimizer": optimizer, envelope: weights}
    read = read_weights(torch_files.save_zip(tmp_path / "x.pth", content))
    assert read.keys() == random_weights().keys()
    np.testing.assert_array_equal(read["cls_token"], weights["module.cls_token"])


def test_views_of_a_storage(tmp_path):
    """Strides, offsets and shared numbers, as PyTorch stores slices and transposed tensors."""
    x = np.arange(24, dtype="float32").reshape(4, 6)
    writer = torch_files.Pickle()
    part = torch_files.Raw(writer.tensor(x, offset=7, shape=(2, 2), stride=(6, 2)))
    content = {"turned": x.T, "part": part, "number": np.array(3.0), "none": np.zeros((0, 4), "float32")}
    read = read_weights(tmp_zip(tmp_path, writer, content))
    np.testing.assert_array_equal(read["turned"], x.T)
    np.testing.assert_array_equal(read["part"], x[1:3, 1:5:2])
    assert read["number"] == 3 and read["none"].shape == (0, 4)


def tmp_zip(folder, writer, content):
    """A file whose writer has already written parts of it."""
    import zipfile

    pickle = writer.dump(content)
    with zipfile.ZipFile(folder / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickle)
        for key, data in writer.storages.items():
            archive.writestr(f"x/data/{key}", data)
    return folder / "x.pth"


# ---- export


def vit(**options):
    """A small model whose weights are all random."""
    sizes = {"width": 16, "depth": 2, "heads": 4, "decoder_width": 12, "decoder_depth": 1, "decoder_heads": 3}
    model = models.MaskedAutoencoder(
        *networks.vit((4, 8, 2), **{"patch": 2, **sizes, "mlp_ratio": 2.5, "mean": (0.1, 0.2), "std": 0.5, **options}),
        mask_ratio=0.5,
        normalize_targets=False,
        pixel_max=16.0,
    )
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(weight + 0.3 * RNG.normal(size=weight.shape))
    return model


@pytest.mark.parametrize("layout", ["transformers", "reference"])
@pytest.mark.parametrize("options", [{}, {"learned_positions": True, "pooling": "class"}])
def test_an_export_comes_back_as_it_was(layout, options, tmp_path):
    model = vit(**options)
    export_weights(model, tmp_path / "out", layout=layout)
    back = import_weights(tmp_path / "out", pooling=options.get("pooling", "mean"))
    assert (back.mask_ratio, back.normalize_targets, back.pixel_max) == (0.5, False, 16.0)
    x = RNG.integers(0, 17, (2, 4, 8, 2)).astype("uint8")
    np.testing.assert_array_equal(back.encode(x), model.encode(x))
    np.testing.assert_array_equal(back.reconstruct(x), model.reconstruct(x))
    np.testing.assert_array_equal(back.score(x), model.score(x))


@pytest.mark.parametrize("layout", ["transformers", "reference"])
def test_an_export_has_the_names_and_the_values_of_the_layout(layout, tmp_path):
    weights = random_weights()
    export_weights(import_weights(save(tmp_path, weights), **PLAIN), tmp_path / "out", layout=layout)
    written = read_weights(tmp_path / "out" / "model.safetensors")
    expected = weights if layout == "reference" else transformers(weights, "hub")
    assert written.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(written[name], value, err_msg=name)


def test_the_configuration_says_what_transformers_assumes_otherwise(tmp_path):
    export_weights(vit(), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    wanted = {"layer_norm_eps": 1e-6, "hidden_act": "gelu", "qkv_bias": True, "image_size": [4, 8], "patch_size": 2}
    wanted |= {"num_channels": 2, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
    wanted |= {"intermediate_size": 40, "decoder_hidden_size": 12, "decoder_num_hidden_layers": 1}
    wanted |= {"decoder_num_attention_heads": 3, "decoder_intermediate_size": 30, "norm_pix_loss": False}
    assert {name: config[name] for name in wanted} == wanted and config["mask_ratio"] == 0.5
    assert config["architectures"] == ["ViTMAEForPreTraining"] and config["model_type"] == "vit_mae"
    processor = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert processor["image_mean"] == [0.1, 0.2] and processor["image_std"] == [0.5, 0.5]
    assert processor["rescale_factor"] == 1 / 16 and processor["size"] == {"height": 4, "width": 8}


@pytest.mark.parametrize("layout", ["transformers", "reference"])
def test_an_encoder_alone_is_exported_without_decoder(layout, tmp_path):
    model = vit()
    export_weights(model, tmp_path / "out", layout=layout, part="encoder")
    names = read_weights(tmp_path / "out").keys()
    assert not any(name.startswith(("decoder", "mask", "vit.")) for name in names)
    x = RNG.integers(0, 17, (2, 4, 8, 2)).astype("uint8")
    np.testing.assert_array_equal(import_weights(tmp_path / "out", **SMALL).encode(x), model.encode(x))


@pytest.mark.parametrize(("norm", "layouts"), [("norm", ["reference", "transformers"]), ("fc_norm", ["reference"])])
def test_classifiers_come_back_as_they_were(norm, layouts, tmp_path):
    weights = {**random_weights(decoder=False), **head()}
    weights |= {f"{norm}.{kind}": weights.pop(f"norm.{kind}") for kind in ("weight", "bias")}
    model, x = import_weights(save(tmp_path, weights), **PLAIN), images((8, 8, 3))
    model.save(tmp_path / "x.keras")
    for i, layout in enumerate(layouts):
        export_weights(keras.saving.load_model(tmp_path / "x.keras"), tmp_path / str(i), layout=layout)
        np.testing.assert_array_equal(import_weights(tmp_path / str(i))(x), model(x))


def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    export_weights(vit(), out)
    export_weights(vit(), out, layout="reference")
    assert [file.name for file in out.iterdir()] == ["model.safetensors"]
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="choose another destination"):
        export_weights(vit(), out)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    ("options", "arguments", "text"),
    [
        ({"class_token": False}, {}, "class token"),
        ({"layer_scale": 0.1}, {}, "layer scale"),
        ({"patch": (2, 4)}, {}, "square patches.*part='encoder'"),
        ({}, {"layout": "timm"}, "'transformers' or 'reference'"),
        ({}, {"part": "decoder"}, "'all' or 'encoder'"),
    ],
)
def test_what_other_projects_have_no_place_for(options, arguments, text, tmp_path):
    with pytest.raises(InputError, match=text):
        export_weights(vit(**options), tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_head_on_the_mean_of_normalised_tokens_has_no_place(tmp_path):
    model = models.Classifier(vit().feature_encoder(), 5, pixel_max=16)
    with pytest.raises(InputError, match="part='encoder'"):
        export_weights(model, tmp_path / "out")
    export_weights(model, tmp_path / "out", part="encoder")
    x = RNG.integers(0, 17, (2, 4, 8, 2)).astype("uint8")
    np.testing.assert_array_equal(import_weights(tmp_path / "out", **SMALL).encode(x), model.encode(x))


def test_models_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(InputError, match="MaskedAutoencoder.*Received: Autoencoder"):
        export_weights(models.Autoencoder(*networks.dense((8, 8, 3), 4)), tmp_path / "out")
    with pytest.raises(InputError, match="networks.vit"):
        export_weights(models.Classifier(networks.dense((8, 8, 3), 4)[0], 3), tmp_path / "out")
