"""ConvNeXt networks and the masked autoencoder of them: against NumPy, and for what hidden pixels may not change."""

import math

import keras
import mae_reference
import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import correlate2d

from kerasae import layers, networks, ops
from kerasae.errors import InputError
from kerasae.models import ConvolutionalMaskedAutoencoder, MaskedAutoencoder
from kerasae.optimizers import layer_scales

RNG = np.random.default_rng(0)
SMALL = {"widths": (6, 8), "depths": (1, 2), "kernel": 3, "expansion": 2.0, "decoder_width": 10}


def shaken(model):
    """Random weights, biases and responses included: at the start the response normalisation is the identity."""
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def build(shape=(16, 8, 3), patch=4, options=(), **model):
    pair = networks.convnext(shape, patch, name="row", **{**SMALL, **dict(options)})
    return shaken(ConvolutionalMaskedAutoencoder(*pair, **model))


def inputs_of(model, count=3):
    x = RNG.uniform(size=(count, *model.example_shape)).astype("float32")
    return x, RNG.uniform(size=(count, model.patches_shape[0])).astype("float32")


# ---- the transcription: one example, double precision, a sparse convolution place by place


def response(x, seen, gamma, beta):
    """Woo et al., algorithm 1, over the places seen: [H, W, C]."""
    norm = np.sqrt((x[seen] ** 2).sum(axis=0))
    return gamma * (x * (norm / (norm.mean() + 1e-6))) + beta + x


def block(x, seen, weights, path):
    """Where a place is hidden its neighbours see nothing; only what comes out at the places seen is defined."""
    x = np.where(seen[..., None], x, 0.0)
    kernel = weights(f"{path}/depthwise/kernel")[..., 0]
    y = np.stack([correlate2d(x[..., c], kernel[..., c], "same") for c in range(x.shape[-1])], axis=-1)
    y = mae_reference.layer_norm(y + weights(f"{path}/depthwise/bias"), weights, f"{path}/norm")
    y = mae_reference.gelu(mae_reference.linear(y, weights, f"{path}/fc1"))
    y = response(y, seen, weights(f"{path}/response/gamma"), weights(f"{path}/response/beta"))
    return x + mae_reference.linear(y, weights, f"{path}/fc2")


def strided(x, weights, path, side):
    """A convolution whose stride is its kernel, patch by patch."""
    h, w, _ = x.shape
    kernel = weights(f"{path}/kernel")
    out = np.zeros((h // side, w // side, kernel.shape[-1]))
    for i in range(h // side):
        for j in range(w // side):
            out[i, j] = np.tensordot(x[i * side : (i + 1) * side, j * side : (j + 1) * side], kernel, 3)
    return out + weights(f"{path}/bias")


def encode(image, mask, weights, depths=(1, 2), stem=2):
    """Features [rows, columns, D] of an image [H, W, C] with the patches of a mask [rows, columns] hidden."""
    x, number = mae_reference.layer_norm(strided(image, weights, "row_stem", stem), weights, "row_stem_norm"), 0
    for stage, depth in enumerate(depths):
        if stage:
            x = strided(mae_reference.layer_norm(x, weights, f"row_down_norm_{stage}"), weights, f"row_down_{stage}", 2)
        factor = x.shape[0] // mask.shape[0]
        seen = np.kron(mask, np.ones((factor, factor))) == 0
        for _ in range(depth):
            x = block(x, seen, weights, f"row_block_{number}")
            number += 1
    return mae_reference.layer_norm(x, weights, "row_norm")


def decode(features, mask, weights, token):
    """Patches [N, P] from features [rows, columns, D]."""
    hidden = mask[..., None] > 0
    x = mae_reference.linear(np.where(hidden, token, features), weights, "row_decoder_embed")
    x = block(x, np.ones(mask.shape, bool), weights, "row_decoder_block_0")
    x = mae_reference.layer_norm(x, weights, "row_decoder_norm")
    return mae_reference.linear(x.reshape(mask.size, -1), weights, "row_decoder_pred")


def expected(model, image, noise):
    """Mask, prediction and loss of one image."""
    weights, grid = mae_reference.Weights(model.encoder, model.decoder), (4, 2)
    hidden = np.ones(8)
    hidden[np.argsort(noise)[: int(8 * (1 - model.mask_ratio))]] = 0
    if model.mask_group > 1:
        hidden = mae_reference.group_mask(noise, model.mask_ratio, grid, model.mask_group)
    token = np.asarray(model.masked_tokens.mask_token, "float64")[0, 0]
    features = encode(image.astype("float64"), hidden.reshape(grid), weights)
    prediction = decode(features, hidden.reshape(grid), weights, token)
    target = mae_reference.patches_of(image.astype("float64"), 4, 4)
    if model.normalize_targets:
        deviation = np.sqrt(target.var(axis=1, ddof=1, keepdims=True) + 1e-6)
        target = (target - target.mean(axis=1, keepdims=True)) / deviation
    loss = ((prediction - target) ** 2).mean(axis=1)[hidden > 0].mean()
    return {"mask": hidden, "prediction": prediction, "loss": loss}


# ---- layers


@pytest.mark.parametrize("hide", [False, True])
def test_global_response_norm_is_the_papers(hide):
    layer = layers.GlobalResponseNorm()
    x = RNG.normal(size=(3, 4, 5, 6)).astype("float32")
    layer.build(x.shape)
    shaken(layer)
    seen = RNG.uniform(size=(3, 4, 5)) < 0.6 if hide else np.ones((3, 4, 5), bool)
    found = layer(x, visible=seen[..., None].astype("float32")) if hide else layer(x)
    gamma, beta = (np.asarray(w, "float64") for w in layer.weights)
    for one, mask, theirs in zip(x.astype("float64"), seen, np.asarray(found), strict=True):
        np.testing.assert_allclose(theirs, response(one, mask, gamma, beta), rtol=1e-5, atol=1e-5)


def test_global_response_norm_starts_as_the_identity_and_has_a_gradient_where_all_is_zero():
    layer, x = layers.GlobalResponseNorm(), tf.zeros((2, 3, 3, 4))
    np.testing.assert_array_equal(layer(x + 0.5), x + 0.5)
    layer.gamma.assign([1.0, 2.0, 3.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert np.isfinite(tape.gradient(y, x)).all()


# ---- networks


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 2), (8, 12, 1), (13, 6, 4)])
@pytest.mark.parametrize("options", [{}, {"code": 3}, {"pooling": None}], ids=["pooled", "code", "places"])
def test_convnext_gives_every_height_and_width_back(shape, options):
    encoder, decoder = networks.convnext(shape, 4, **SMALL, **options)
    places = -(-shape[0] // 4) * -(-shape[1] // 4)
    codes = {"code": (3,), "pooling": (places, 8)}
    assert encoder.output_shape[1:] == (codes[next(iter(options))] if options else (8,))
    assert decoder.input_shape == encoder.output_shape and decoder.output_shape == (None, *shape)


def test_convnext_is_its_transcription():
    encoder, _ = networks.convnext((16, 8, 3), 4, name="row", mean=0.4, std=(0.2, 0.3, 0.5), **SMALL)
    shaken(encoder)
    x = RNG.uniform(size=(2, 16, 8, 3)).astype("float32")
    for image, code in zip(x, np.asarray(encoder(x)), strict=True):
        standard = (image.astype("float64") - 0.4) / [0.2, 0.3, 0.5]
        features = encode(standard, np.zeros((4, 2)), mae_reference.Weights(encoder))
        np.testing.assert_allclose(code, features.mean(axis=(0, 1)), rtol=1e-4, atol=1e-4)


def test_a_code_reaches_every_pixel_of_an_image_that_the_patch_does_not_divide():
    encoder, decoder = networks.convnext((5, 7, 1), 4, code=3, **SMALL)
    z = np.eye(3, dtype="float32")
    assert np.abs(np.asarray(decoder(z)) - np.asarray(decoder(0 * z))).max(axis=0).min() > 0
    x = np.eye(35, dtype="float32").reshape(35, 5, 7, 1)
    assert np.abs(np.asarray(encoder(x)) - np.asarray(encoder(0 * x))).max(axis=1).min() > 0


def test_nothing_is_shared_between_examples():
    encoder = shaken(networks.convnext((8, 8, 1), 4, **SMALL)[0])
    x = RNG.uniform(size=(4, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(encoder(x, training=True)[1:2], encoder(x[1:2], training=True), atol=1e-5)


def test_published_sizes():
    """The paper counts, in millions, a head of 1,000 classes too."""
    for millions, pair in (
        (3.7, networks.convnext_atto((32, 64, 3), decoder_width=8)),
        (28.6, networks.convnext_tiny((32, 64, 3), decoder_width=8)),
    ):
        weights = pair[0].count_params() + 1000 * (pair[0].output_shape[-1] + 1)
        assert round(weights / 1e6, 1) == millions and pair[1].output_shape == (None, 32, 64, 3)


def test_a_mini_network_has_places_of_the_patch():
    encoder, decoder = networks.convnext_mini((12, 8, 1), pooling=None)
    assert encoder.output_shape == decoder.input_shape == (None, 6, 128)
    assert sum(isinstance(layer, layers.ConvNextBlock) for layer in encoder.layers) == 8


def test_other_sizes_are_the_same_function():
    for options in ({}, {"pooling": None}):
        encoder, decoder = (shaken(part) for part in networks.convnext((16, 8, 3), 4, name="row", **SMALL, **options))
        larger = networks.resize_convnext(encoder, (8, 20, 3))
        x = RNG.uniform(size=(1, 8, 20, 3)).astype("float32")
        features = encode(x[0].astype("float64"), np.zeros((2, 5)), mae_reference.Weights(encoder))
        expected = features.reshape(10, 8) if options else features.mean(axis=(0, 1))
        np.testing.assert_allclose(larger(x)[0], expected, rtol=1e-4, atol=1e-4)
        resized = networks.resize_convnext(decoder, (8, 20, 3))
        assert resized.output_shape == (None, 8, 20, 3) and resized.input_shape == larger.output_shape
        for old, new in zip(decoder.weights, resized.weights, strict=True):
            np.testing.assert_array_equal(old, new)


def test_layer_scales_follow_the_blocks():
    """As the reference counts: the stem first, a downsampling with the block behind it, then the last normalisation."""
    encoder = networks.convnext((16, 8, 3), 4, name="row", **SMALL)[0]
    numbers = {"row_stem": 0, "row_stem_norm": 0, "row_block_0": 1, "row_down_norm_1": 2, "row_down_1": 2}
    numbers |= {"row_block_1": 2, "row_block_2": 3, "row_norm": 4}
    found = layer_scales(encoder, 0.5)
    assert found == {w.path: 0.5 ** (4 - numbers[w.path.split("/")[0]]) for w in encoder.weights}


MISTAKES = {
    "convnext: shape": lambda: networks.convnext((4, 4)),
    "convnext: widths and depths": lambda: networks.convnext((4, 4, 1), widths=(3,)),
    "convnext: widths and depths must.*at least one": lambda: networks.convnext((4, 4, 1), widths=(), depths=()),
    "convnext: patch must be a multiple of 2": lambda: networks.convnext((4, 4, 1), 3),
    "convnext: pooling.*'class'": lambda: networks.convnext((4, 4, 1), pooling="class"),
    "convnext: a posterior": lambda: networks.convnext((4, 4, 1), posterior="gaussian"),
    "convnext: a code of": lambda: networks.convnext((4, 4, 1), code=3, pooling=None),
    "convnext: code": lambda: networks.convnext((4, 4, 1), code=0),
    "ConvNextBlock: drop_path": lambda: layers.ConvNextBlock(drop_path=1.0),
    "GlobalResponseNorm: epsilon": lambda: layers.GlobalResponseNorm(0.0),
    "resize_convnext: expected": lambda: networks.resize_convnext(networks.conv((4, 4, 1), 2)[0], (8, 8, 1)),
    "resize_convnext: expected.*code": lambda: networks.resize_convnext(
        networks.convnext((4, 4, 1), code=3, **SMALL)[1], (8, 8, 1)
    ),
    "resize_convnext: .*2 channels": lambda: networks.resize_convnext(
        networks.convnext((4, 4, 1), **SMALL)[0], (8, 8, 2)
    ),
    "not divisible by the patch 4×4": lambda: networks.resize_convnext(
        networks.convnext((4, 4, 1), **SMALL)[1], (6, 8, 1)
    ),
    "a patch that divides the image; no Patches": lambda: build((6, 8, 1)),
    "networks.convnext.*no MaskableBlock": lambda: ConvolutionalMaskedAutoencoder(
        *networks.vit((4, 4, 1), 2, width=8, depth=1, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2)
    ),
    r"code=None.*codes \(3,\)": lambda: build(options={"code": 3}),
    "MaskedAutoencoder: .*networks.vit.*no PatchTokens": lambda: MaskedAutoencoder(
        *networks.convnext((4, 4, 1), **SMALL)
    ),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_named(words):
    with pytest.raises(InputError, match=words):
        MISTAKES[words]()


# ---- masks


@pytest.mark.parametrize(("ratio", "normalize", "group"), [(0.6, True, 1), (0.25, False, 1), (0.5, True, 2)])
def test_forward_pass_is_that_of_sparse_convolutions(ratio, normalize, group):
    model = build(mask_ratio=ratio, normalize_targets=normalize, mask_group=group)
    x, noise = inputs_of(model)
    for training in (False, True):
        out = model.forward(x, noise, training)
        for i in range(len(x)):
            for name, value in expected(model, x[i], noise[i]).items():
                np.testing.assert_allclose(out[name][i], value, rtol=1e-4, atol=1e-4, err_msg=name)


def test_visible_features_and_predictions_do_not_depend_on_hidden_pixels():
    model = build(shape=(16, 16, 3), mask_group=2)
    x, noise = inputs_of(model)
    first = model.forward(x, noise)
    hidden = np.asarray(first["mask"])[..., None] > 0
    patches = np.asarray(ops.patchify(x, 4))
    other = ops.unpatchify(np.where(hidden, 50 * patches[::-1], patches).astype("float32"), 4, (4, 4))
    again = model.forward(other, noise)
    seen = ~hidden[..., 0]
    np.testing.assert_array_equal(np.asarray(again["tokens"])[seen], np.asarray(first["tokens"])[seen])
    np.testing.assert_array_equal(again["prediction"], first["prediction"])
    changed = model.forward(ops.unpatchify(np.where(hidden, patches, 0.5 * patches), 4, (4, 4)), noise)
    assert np.all(np.asarray(changed["prediction"]) != np.asarray(first["prediction"]))


@pytest.mark.parametrize("pooling", ["mean", None])
def test_a_pass_that_hides_nothing_is_the_plain_encoder(pooling):
    model = build(options={"pooling": pooling})
    x, _ = inputs_of(model)
    patches = model.encoder.layers[1](x)
    tokens = model._tokens(patches, None, tf.zeros((3, 8)), training=False)
    np.testing.assert_allclose(tokens, model.tokens(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model.pool(tokens), model.encode(x), rtol=1e-5, atol=1e-6)


def test_the_gradient_reaches_every_trainable_weight():
    model = build()
    x, _ = inputs_of(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.objective(model.prepare(x), training=True)["reconstruction"])
    gradients = tape.gradient(loss, model.trainable_weights)
    assert any("mask_token" in weight.path for weight in model.trainable_weights)
    assert [w.path for w, g in zip(model.trainable_weights, gradients, strict=True) if g is None or not np.any(g)] == []


def test_it_learns_to_continue_a_pattern():
    """Stripes whose phase the visible patches tell: the hidden ones can be predicted almost exactly."""
    phase = RNG.uniform(0, 2 * math.pi, size=(128, 1, 1, 1))
    x = np.float32(0.5 + 0.5 * np.sin(np.arange(16)[None, :, None, None] * math.pi / 4 + phase)) * np.ones(
        (1, 1, 16, 1)
    )
    keras.utils.set_random_seed(3)
    sizes = {"widths": (8, 16), "depths": (1, 2), "kernel": 5, "decoder_width": 16}
    model = ConvolutionalMaskedAutoencoder(*networks.convnext((16, 16, 1), 4, **sizes))
    model.compile(keras.optimizers.Adam(5e-3))
    before = float(np.mean(model.score(x)))
    model.fit(x, epochs=30, batch_size=32, verbose=0)
    assert float(np.mean(model.score(x))) < 0.2 < 0.8 < before
