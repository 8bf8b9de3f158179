"""Plain convolutional networks and their masked autoencoder: against NumPy, and blind to hidden pixels."""

import keras
import mae_reference
import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import correlate2d

from kerasae import layers, networks, ops
from kerasae.errors import InputError
from kerasae.models import ConvolutionalMaskedAutoencoder

RNG = np.random.default_rng(0)
SMALL = {"patch": 4, "widths": (5, 6, 7), "decoder_width": 8, "decoder_depth": 1, "name": "row"}


def shaken(model):
    """Random weights, gammas, betas and running statistics; variances stay positive."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        noise = 0.3 * rng.normal(size=weight.shape)
        weight.assign(weight + (np.abs(noise) if "variance" in weight.path else noise))
    return model


def convolved(x, kernel):
    """Correlate an image [H, W, C] with kernels [k, k, C, D], with zeros around it."""
    maps = [
        sum(correlate2d(x[..., c], kernel[..., c, d], "same") for c in range(x.shape[-1]))
        for d in range(kernel.shape[-1])
    ]
    return np.stack(maps, axis=-1)


def block(x, seen, weights, path, pool):
    """Transcribe `ConvBlock` in inference, for one example in double precision."""
    y = convolved(np.where(seen[..., None], x, 0.0), weights(f"{path}/conv/kernel"))
    gamma, beta, mean, variance = (
        weights(f"{path}/norm/{name}") for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    y = np.maximum(gamma * (y - mean) / np.sqrt(variance + 1e-3) + beta, 0.0)
    if pool:
        rows, columns = (n // 2 for n in y.shape[:2])
        y = y[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, -1).max(axis=(1, 3))
    return y


def encode(image, mask, weights):
    """Features [rows, columns, D] of an image [H, W, C] with the patches of a mask [rows, columns] hidden."""
    x = image
    for i in range(3):
        factor = x.shape[0] // mask.shape[0]
        x = block(x, np.kron(mask, np.ones((factor, factor))) == 0, weights, f"row_block_{i}", pool=i < 2)
    return x


def build(shape=(16, 8, 3), **model):
    return shaken(ConvolutionalMaskedAutoencoder(*networks.vgg(shape, **SMALL), **model))


def test_the_encoder_is_its_transcription():
    encoder, _ = networks.vgg((16, 8, 3), mean=0.4, std=(0.2, 0.3, 0.5), **SMALL)
    shaken(encoder)
    x = RNG.uniform(size=(2, 16, 8, 3)).astype("float32")
    for image, code in zip(x, np.asarray(encoder(x)), strict=True):
        features = encode(
            (image.astype("float64") - 0.4) / [0.2, 0.3, 0.5], np.zeros((4, 2)), mae_reference.Weights(encoder)
        )
        np.testing.assert_allclose(code, features.mean(axis=(0, 1)), rtol=1e-4, atol=1e-4)


def test_masked_features_are_those_of_sparse_convolutions():
    model = build(mask_ratio=0.5)
    x, noise = RNG.uniform(size=(3, 16, 8, 3)).astype("float32"), RNG.uniform(size=(3, 8)).astype("float32")
    out = model.forward(x, noise)
    for i, image in enumerate(x):
        mask = np.asarray(out["mask"][i]).reshape(4, 2)
        expected = encode(image.astype("float64"), mask, mae_reference.Weights(model.encoder)).reshape(8, -1)
        seen = mask.ravel() == 0
        np.testing.assert_allclose(np.asarray(out["tokens"][i])[seen], expected[seen], rtol=1e-4, atol=1e-4)


def test_predictions_do_not_depend_on_hidden_pixels():
    model = build(mask_ratio=0.5)
    x, noise = RNG.uniform(size=(3, 16, 8, 3)).astype("float32"), RNG.uniform(size=(3, 8)).astype("float32")
    first = model.forward(x, noise)
    hidden = np.asarray(first["mask"])[..., None] > 0
    patches = np.asarray(ops.patchify(x, 4))
    other = ops.unpatchify(np.where(hidden, 50 * patches[::-1], patches).astype("float32"), 4, (4, 2))
    np.testing.assert_array_equal(model.forward(other, noise)["prediction"], first["prediction"])
    changed = model.forward(ops.unpatchify(np.where(hidden, patches, 0.5 * patches), 4, (4, 2)), noise)
    assert np.any(np.asarray(changed["prediction"]) != np.asarray(first["prediction"]))


def test_batch_statistics_normalise_in_training():
    layer = layers.ConvBlock(4)
    y = layer(RNG.normal(size=(64, 6, 6, 3)).astype("float32"), training=True)
    z = layer.norm(layer.convolution(RNG.normal(size=(64, 6, 6, 3)).astype("float32")), training=True)
    assert tf.reduce_min(y) == 0
    np.testing.assert_allclose(np.asarray(z).mean(axis=(0, 1, 2)), 0, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 2), (8, 12, 1)])
@pytest.mark.parametrize("options", [{}, {"code": 3}, {"pooling": None}], ids=["pooled", "code", "places"])
def test_every_height_and_width_comes_back(shape, options):
    encoder, decoder = networks.vgg(shape, **SMALL, **options)
    assert decoder.input_shape == encoder.output_shape and decoder.output_shape == (None, *shape)


def test_channels_double_up_to_512():
    encoder, _ = networks.vgg((32, 32, 3), 16)
    found = [layer.filters for layer in encoder.layers if isinstance(layer, layers.ConvBlock)]
    assert found == [64, 128, 256, 512, 512] and encoder.output_shape == (None, 512)


def test_other_sizes_are_the_same_function():
    encoder = shaken(networks.vgg((16, 8, 3), **SMALL)[0])
    larger = networks.resize_convnext(encoder, (8, 20, 3))
    x = RNG.uniform(size=(1, 8, 20, 3)).astype("float32")
    expected = encode(x[0].astype("float64"), np.zeros((2, 5)), mae_reference.Weights(encoder)).mean(axis=(0, 1))
    np.testing.assert_allclose(larger(x)[0], expected, rtol=1e-4, atol=1e-4)


MISTAKES = {
    "vgg: shape": lambda: networks.vgg((4, 4)),
    "vgg: patch must be a power of two.*6": lambda: networks.vgg((12, 12, 1), 6),
    "vgg: patch must be a power of two, the same": lambda: networks.vgg((12, 12, 1), (2, 4)),
    "vgg: a patch of 4 takes 3 widths": lambda: networks.vgg((12, 12, 1), 4, widths=(8, 8)),
    "vgg: pooling.*'class'": lambda: networks.vgg((4, 4, 1), 2, pooling="class"),
    "vgg: a posterior": lambda: networks.vgg((4, 4, 1), 2, posterior="gaussian"),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_named(words):
    with pytest.raises(InputError, match=words):
        MISTAKES[words]()


def test_it_learns_to_continue_a_pattern():
    """Stripes whose phase the visible patches tell: the hidden ones can be predicted almost exactly."""
    phase = RNG.uniform(0, 2 * np.pi, size=(128, 1, 1, 1))
    x = np.float32(0.5 + 0.5 * np.sin(np.arange(16)[None, :, None, None] * np.pi / 4 + phase)) * np.ones((1, 1, 16, 1))
    keras.utils.set_random_seed(3)
    model = ConvolutionalMaskedAutoencoder(*networks.vgg((16, 16, 1), 4, widths=(8, 16, 16), decoder_width=16))
    model.compile(keras.optimizers.Adam(1e-2))
    before = float(np.mean(model.score(x)))
    model.fit(x, epochs=30, batch_size=32, verbose=0)
    assert float(np.mean(model.score(x))) < 0.3 < 0.8 < before
