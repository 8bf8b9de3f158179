"""The masked autoencoder with a cross-attention decoder against its transcription in NumPy."""

import mae_reference
import numpy as np
import pytest
import tensorflow as tf

from kerasae import networks, ops
from kerasae.errors import InputError
from kerasae.models import CrossMaskedAutoencoder, MaskedAutoencoder

RNG = np.random.default_rng(0)
SMALL = {"width": 16, "depth": 2, "heads": 4, "decoder_width": 12, "decoder_depth": 2, "decoder_heads": 3}


def build(shape=(8, 8, 3), patch=2, options=(), **model):
    pair = networks.vit(shape, patch, decoder="cross", name="row", **{**SMALL, **dict(options)})
    model = CrossMaskedAutoencoder(*pair, **model)
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def inputs_of(model, count=3):
    x = RNG.uniform(size=(count, *model.example_shape)).astype("float32")
    return x, RNG.uniform(size=(count, model.patches_shape[0])).astype("float32")


def expected(model, image, noise, ratio, predicted):
    """Places, prediction and loss of the patches with the greatest noise, in double precision."""
    weights = mae_reference.Weights(model.encoder, model.decoder)
    patches = mae_reference.patches_of(image.astype("float64"), 2, 2)
    order = np.argsort(noise)
    visible = order[: int(len(order) * (1 - ratio))]
    tokens = mae_reference.encode(patches, visible, weights, 2, 4)
    places = order[-predicted:]
    prediction = mae_reference.read_out(tokens, places, weights, 2, 3)
    target = patches[places]
    deviation = np.sqrt(target.var(axis=1, ddof=1, keepdims=True) + 1e-6)
    loss = np.mean((prediction - (target - target.mean(axis=1, keepdims=True)) / deviation) ** 2)
    return {"ids": places, "prediction": prediction, "loss": loss}


@pytest.mark.parametrize("options", [{}, {"class_token": False, "learned_positions": True}], ids=["fixed", "learned"])
def test_training_pass_is_the_papers(options):
    model = build(options=options, mask_ratio=0.6, prediction_ratio=0.3)
    x, noise = inputs_of(model)
    out = model.forward(x, noise, training=True)
    assert out["prediction"].shape == (3, 5, 12)
    for i in range(3):
        theirs = expected(model, x[i], noise[i], 0.6, 5)
        hidden = np.argsort(noise[i])[6:]
        np.testing.assert_array_equal(np.flatnonzero(out["mask"][i]), np.sort(hidden))
        for name, value in theirs.items():
            np.testing.assert_allclose(out[name][i], value, rtol=1e-4, atol=1e-4, err_msg=name)


def test_outside_training_all_hidden_patches_are_predicted():
    model = build(mask_ratio=0.6, normalize_targets=False)
    x, noise = inputs_of(model)
    out = model.forward(x, noise)
    some = model.forward(x, noise, training=True)
    chosen = np.take_along_axis(np.asarray(out["prediction"]), np.asarray(some["ids"])[..., None], axis=1)
    np.testing.assert_allclose(chosen, some["prediction"], atol=1e-5)
    error = np.mean((np.asarray(out["prediction"]) - np.asarray(out["patches"])) ** 2, axis=-1)
    mask = np.asarray(out["mask"])
    np.testing.assert_allclose(out["loss"], (error * mask).sum(axis=1) / mask.sum(axis=1), rtol=1e-4)
    picture = np.asarray(ops.patchify(model.reconstruct(x, noise), 2))
    hidden = mask[..., None] > 0
    shown = np.where(hidden, np.clip(out["prediction"], 0, 1), ops.patchify(x, 2))
    np.testing.assert_allclose(picture, shown, atol=1e-5)


def test_a_prediction_depends_on_the_visible_patches_and_on_no_other_query():
    model = build(mask_ratio=0.5, prediction_ratio=0.5)
    x, noise = inputs_of(model)
    fewer = CrossMaskedAutoencoder(model.encoder, model.decoder, 0.5, prediction_ratio=1 / 16)
    alone = fewer.forward(x, noise, training=True)
    np.testing.assert_allclose(alone["prediction"][:, 0], model.forward(x, noise, True)["prediction"][:, -1], atol=1e-5)
    hidden = np.asarray(alone["mask"])[..., None] > 0
    other = ops.unpatchify(np.where(hidden, 0.5, ops.patchify(x, 2)).astype("float32"), 2, (4, 4))
    np.testing.assert_allclose(fewer.forward(other, noise, True)["prediction"], alone["prediction"], atol=1e-5)
    changed = ops.unpatchify(np.where(hidden, ops.patchify(x, 2), 0.5).astype("float32"), 2, (4, 4))
    assert np.all(np.abs(fewer.forward(changed, noise, True)["prediction"] - alone["prediction"]) > 1e-6)


def test_what_a_step_predicts_is_a_random_part_of_the_hidden():
    model = build(mask_ratio=0.75, mask_group=2, prediction_ratio=0.25)
    found = []
    plain = model._error
    model._error = lambda out: found.append((np.asarray(out["ids"]), np.asarray(out["mask"]))) or plain(out)
    x, _ = inputs_of(model, 40)
    for _ in range(10):
        model.objective(model.prepare(x), training=True)
    ids, masks = (np.concatenate(part) for part in zip(*found, strict=True))
    assert ids.shape == (400, 4) and np.all(np.take_along_axis(masks, ids, axis=1) == 1)
    assert all(len(set(row)) == 4 for row in ids)
    share = np.bincount(ids.ravel(), minlength=16) / 400  # 0.25 each, standard deviation 0.022
    assert np.all(np.abs(share - 0.25) < 0.11)


def test_the_gradient_reaches_every_trainable_weight():
    model = build()
    x, _ = inputs_of(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.objective(model.prepare(x), training=True)["reconstruction"])
    gradients = tape.gradient(loss, model.trainable_weights)
    assert [w.path for w, g in zip(model.trainable_weights, gradients, strict=True) if g is None or not np.any(g)] == []


@pytest.mark.parametrize("ratio", [0.0, -0.1, 0.01, 0.8, 1.5, float("nan")])
def test_a_wrong_prediction_ratio(ratio):
    with pytest.raises(InputError, match=f"at most the 12.*Received: prediction_ratio={ratio}"):
        build(prediction_ratio=ratio)
    assert build(prediction_ratio=0.75).predicted == 12


def test_decoders_that_do_not_fit():
    pair = networks.vit((8, 8, 3), 2, **SMALL)
    with pytest.raises(InputError, match="CrossMaskedAutoencoder.*decoder='cross'.*'deep'"):
        CrossMaskedAutoencoder(*pair)
    with pytest.raises(InputError, match="decoder='deep' or 'shallow'.*'cross'"):
        MaskedAutoencoder(*networks.vit((8, 8, 3), 2, decoder="cross", **SMALL))
