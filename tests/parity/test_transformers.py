"""Weights to and from transformers: the same tokens, predictions, masks, losses and logits, to 1e-4.

Needs PyTorch and transformers (`make parity`). Every parameter is random, also those that transformers starts at zero
or at one, so that one that is lost or put in the wrong place shows.
"""

import sys

import numpy as np
import pytest

# PyTorch 2.14 imports it on CPUs too, and its copy of LLVM beside TensorFlow's ends the process.
sys.modules.setdefault("triton", None)

torch = pytest.importorskip("torch", reason="make parity installs it")
transformers = pytest.importorskip("transformers", reason="make parity installs it")

from kerasae import models, weights  # noqa: E402 (after the skip)

ENCODER = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 80}
DECODER = {
    "decoder_hidden_size": 24,
    "decoder_num_hidden_layers": 2,
    "decoder_num_attention_heads": 3,
    "decoder_intermediate_size": 60,
}
IMAGES = {
    "square": {"image_size": 16, "patch_size": 4, "num_channels": 3},
    "one channel": {"image_size": 21, "patch_size": 7, "num_channels": 1, "mask_ratio": 0.4},
    # 2 × 8 patches: transformers builds rectangular grids only of a square number of patches.
    "rectangular": {"image_size": [8, 32], "patch_size": 4, "num_channels": 2, "norm_pix_loss": False},
}
RNG = np.random.default_rng(0)


def randomised(model, seed=0):
    """The model with random parameters, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def masked(**options):
    config = {**ENCODER, **DECODER, "layer_norm_eps": 1e-6, "norm_pix_loss": True, **options}
    return randomised(transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(**config)))


def images_for(config, count=3):
    """float32 [B, H, W, C] and, as transformers takes them, [B, C, H, W]."""
    size = config.image_size
    sides = (size, size) if isinstance(size, int) else tuple(size)
    x = RNG.uniform(size=(count, *sides, config.num_channels)).astype("float32")
    return x, torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


def saved(model, folder, how):
    """A file or a folder with the model's weights, as `how` writes them."""
    if how == "safetensors":
        model.save_pretrained(folder)
        return folder
    folder.mkdir()
    model.config.save_pretrained(folder)
    content = {"model": model.state_dict(), "epoch": 3, "args": torch.device("cpu")}
    torch.save(content, folder / "x.pth", _use_new_zipfile_serialization=how == "pth")
    return folder / "x.pth"


def theirs(model, pixels, noise):
    """What the masked pass of transformers gives; its loss where it takes images that are no squares by itself."""
    with torch.no_grad():
        encoded = model.vit(pixels, noise=noise)
        prediction = model.decoder(encoded.last_hidden_state, encoded.ids_restore).logits
        target = model.patchify(pixels, interpolate_pos_encoding=True)
        if model.config.norm_pix_loss:
            target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
        losses = (((prediction - target) ** 2).mean(-1) * encoded.mask).sum(1) / encoded.mask.sum(1)
        if pixels.shape[2] == pixels.shape[3]:
            whole = model(pixels, noise=noise)
            torch.testing.assert_close(whole.logits, prediction)
            torch.testing.assert_close(whole.loss, losses.mean())
    return {"tokens": encoded.last_hidden_state, "prediction": prediction, "mask": encoded.mask, "loss": losses}


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def compare(model, ours):
    """The masked pass of both under the same noise."""
    x, pixels = images_for(model.config)
    noise = RNG.uniform(size=(len(x), ours.patches_shape[0])).astype("float32")
    expected, found = theirs(model, pixels, torch.from_numpy(noise)), ours.forward(x, noise)
    for name, value in expected.items():
        close(found[name], value.numpy())
    assert np.ptp(expected["loss"].numpy()) > 1e-4 and np.ptp(expected["prediction"].numpy()) > 0.1


@pytest.mark.parametrize("options", IMAGES.values(), ids=IMAGES.keys())
@pytest.mark.parametrize("how", ["safetensors", "pth", "legacy pth"])
def test_the_masked_pass(options, how, tmp_path):
    model = masked(**options)
    ours = weights.import_weights(saved(model, tmp_path / "there", how), mean=0.0, std=1.0)
    assert isinstance(ours, models.MaskedAutoencoder)
    compare(model, ours)


@pytest.mark.parametrize("options", IMAGES.values(), ids=IMAGES.keys())
def test_the_export_loads_back(options, tmp_path):
    model = masked(**options)
    ours = weights.import_weights(saved(model, tmp_path / "there", "safetensors"), mean=0.0, std=1.0)
    weights.export_weights(ours, tmp_path / "back")
    back, report = transformers.ViTMAEForPreTraining.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values()), report
    assert back.config.layer_norm_eps == 1e-6
    compare(back.eval(), ours)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], value)


@pytest.mark.parametrize("part", ["all", "encoder"])
def test_the_export_loads_as_a_vit(part, tmp_path):
    model = masked(**IMAGES["square"])
    ours = weights.import_weights(saved(model, tmp_path / "there", "safetensors"), pooling=None, mean=0.0, std=1.0)
    weights.export_weights(ours, tmp_path / "back", part=part)
    vit, report = transformers.ViTModel.from_pretrained(
        tmp_path / "back", add_pooling_layer=False, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["mismatched_keys"], report
    x, pixels = images_for(model.config)
    with torch.no_grad():
        close(ours.encode(x), vit.eval()(pixels).last_hidden_state.numpy())


@pytest.mark.parametrize("kind", [transformers.ViTMAEModel, transformers.ViTModel])
@pytest.mark.parametrize("how", ["safetensors", "pth"])
def test_an_encoder_alone(kind, how, tmp_path):
    options = {**ENCODER, **IMAGES["square"], "layer_norm_eps": 1e-6}
    model = randomised(kind(kind.config_class(**options)))
    ours = weights.import_weights(saved(model, tmp_path / "there", how), pooling=None, mean=0.0, std=1.0)
    x, pixels = images_for(model.config)
    # Masking by rising noise shuffles nothing, and at a ratio of 0 hides nothing.
    model.config.mask_ratio = 0.0
    rising = {"noise": torch.arange(16.0).expand(len(x), -1)} if kind is transformers.ViTMAEModel else {}
    with torch.no_grad():
        close(ours.encode(x), model(pixels, **rising).last_hidden_state.numpy())


def test_a_classifier_there_and_back(tmp_path):
    config = transformers.ViTConfig(**ENCODER, image_size=16, patch_size=[4, 2], num_labels=5, layer_norm_eps=1e-6)
    model = randomised(transformers.ViTForImageClassification(config))
    ours = weights.import_weights(saved(model, tmp_path / "there", "safetensors"), mean=0.5, std=0.25)
    weights.export_weights(ours, tmp_path / "back")
    back = transformers.ViTForImageClassification.from_pretrained(tmp_path / "back").eval()
    x, _ = images_for(config)
    bytes_ = (255 * x).astype("uint8")
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "back")
    pixels = processor(images=list(bytes_), return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    with torch.no_grad():
        close(ours(bytes_), back(pixels).logits.numpy())
        close(ours(bytes_), model(pixels).logits.numpy())
