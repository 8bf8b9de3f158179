"""SimMIM against its transcription in NumPy."""

import mae_reference
import numpy as np
import pytest
import tensorflow as tf

from kerasae import layers, networks
from kerasae.errors import InputError
from kerasae.models import SimMIM

RNG = np.random.default_rng(0)
SMALL = {"width": 16, "depth": 2, "heads": 4, "decoder": "linear"}


def build(shape=(8, 8, 3), patch=2, options=(), **model):
    model = SimMIM(*networks.vit(shape, patch, name="row", **{**SMALL, **dict(options)}), **model)
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def inputs_of(model, count=3):
    x = RNG.uniform(size=(count, *model.example_shape)).astype("float32")
    return x, RNG.uniform(size=(count, model.patches_shape[0])).astype("float32")


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("group", [1, 2])
def test_forward_pass_is_the_papers(class_token, group):
    model = build((8, 12, 2), (2, 3), {"class_token": class_token}, mask_group=group)
    x, noise = inputs_of(model)
    out = model.forward(x, noise)
    weights = mae_reference.Weights(model)
    for i in range(3):
        if group == 1:
            mask = np.ones(16)
            mask[np.argsort(noise[i])[:6]] = 0  # int(16 · 0.4) stay
        else:
            mask = mae_reference.group_mask(noise[i], 0.6, (4, 4), 2)
        image = x[i].astype("float64")
        prediction = mae_reference.simmim(image, mask, weights, (2, 3), 2, 4)
        error = np.abs(prediction - mae_reference.patches_of(image, 2, 3))
        np.testing.assert_array_equal(out["mask"][i], mask)
        np.testing.assert_allclose(out["prediction"][i], prediction, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(out["loss"][i], error[mask > 0].mean(), rtol=1e-4)


def test_encode_knows_nothing_of_masks():
    model = build(options={"pooling": None})
    x, _ = inputs_of(model)
    weights = mae_reference.Weights(model)
    patches = mae_reference.patches_of(x[0].astype("float64"), 2, 2)
    np.testing.assert_allclose(
        model.encode(x)[0], mae_reference.encode(patches, np.arange(16), weights, 2, 4), atol=1e-4
    )
    assert not any("mask" in weight.path for weight in model.encoder.weights)
    assert isinstance(model.masked_tokens, layers.MaskedTokens)


def test_the_gradient_reaches_every_trainable_weight():
    model = build(options={"pooling": None})
    x, _ = inputs_of(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.objective(model.prepare(x), training=True)["reconstruction"])
    gradients = tape.gradient(loss, model.trainable_weights)
    assert any("mask_token" in weight.path for weight in model.trainable_weights)
    assert [w.path for w, g in zip(model.trainable_weights, gradients, strict=True) if g is None or not np.any(g)] == []


def test_another_decoder_is_refused():
    with pytest.raises(InputError, match="SimMIM.*decoder='linear'.*'deep'"):
        build(options={"decoder": "deep"})
