"""The masked autoencoder against its transcription in NumPy, and what it promises beyond the contract."""

import keras
import mae_reference
import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import PCA

from kerasae import layers, networks, ops
from kerasae.errors import InputError
from kerasae.models import MaskedAutoencoder

RNG = np.random.default_rng(0)
SMALL = {"width": 16, "depth": 2, "heads": 4, "decoder_width": 12, "decoder_depth": 2, "decoder_heads": 3}


def build(shape=(8, 8, 3), patch=2, ratio=0.75, normalize=True, **options):
    """A small model whose weights, biases and scales included, are all random."""
    pair = networks.vit(shape, patch, **{**SMALL, **options}, name="row")
    model = MaskedAutoencoder(*pair, mask_ratio=ratio, normalize_targets=normalize)
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def images(*shape, count=3):
    return RNG.uniform(size=(count, *shape)).astype("float32")


def noise_for(model, count=3):
    return RNG.uniform(size=(count, model.patches_shape[0])).astype("float32")


# ---- the forward pass

CASES = {
    "square": {},
    "rectangular": {"shape": (6, 12, 2), "patch": (3, 2), "ratio": 0.5, "mlp_ratio": 1.5},
    "raw targets": {"shape": (4, 8, 1), "normalize": False, "mean": 0.5, "std": 0.25},
    "no class token": {"shape": (9, 6, 3), "patch": 3, "ratio": 0.5, "class_token": False, "std": (0.2, 0.3, 0.4)},
    "learned": {"learned_positions": True, "layer_scale": 0.7, "pooling": None, "ratio": 0.6},
    "shallow": {"decoder_depth": 1, "depth": 3, "heads": 1, "decoder_heads": 1, "pooling": "class"},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_forward_pass_is_the_papers(options):
    model = build(**options)
    x = images(*model.example_shape)
    noise = noise_for(model)
    ours = model.forward(x, noise)
    given = {**SMALL, "mean": 0.0, "std": 1.0, **options}
    for i in range(len(x)):
        theirs = mae_reference.forward(
            x[i].astype("float64"),
            noise[i],
            mae_reference.Weights(model.encoder, model.decoder),
            patch=ops.patches.sides_of(given.get("patch", 2), 2),
            ratio=given.get("ratio", 0.75),
            normalize=given.get("normalize", True),
            mean=given["mean"],
            std=given["std"],
            depths=(given["depth"], given["decoder_depth"]),
            heads=(given["heads"], given["decoder_heads"]),
        )
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name][i], value, rtol=1e-4, atol=1e-4, err_msg=name)


def gradients_of(model, x, noise, training):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.forward(x, noise, training)["loss"])
    return tape.gradient(loss, model.trainable_weights)


MORE = {"raw targets", "no class token", "learned"}
"""Cases that differ from the others in what both ways of predicting share."""


@pytest.mark.parametrize(
    "options",
    [
        *(pytest.param(case, marks=[pytest.mark.slow] * (name in MORE), id=name) for name, case in CASES.items()),
        pytest.param({"mask_group": 2}, id="groups"),
    ],
)
def test_training_predicts_what_the_loss_looks_at_and_learns_as_if_all_were_predicted(options):
    options = dict(options)
    group = options.pop("mask_group", 1)
    model = build(**options)
    numbers = model.mask_ratio, model.normalize_targets
    model = MaskedAutoencoder(model.encoder, model.decoder, *numbers, mask_group=group)
    x, noise = images(*model.example_shape), noise_for(model)
    whole, some = model.forward(x, noise), model.forward(x, noise, training=True)
    np.testing.assert_array_equal(np.sort(some["ids"]), [np.flatnonzero(mask) for mask in whole["mask"]])
    there = np.take_along_axis(np.asarray(whole["prediction"]), np.asarray(some["ids"])[..., None], axis=1)
    np.testing.assert_allclose(some["prediction"], there, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(some["loss"], whole["loss"], rtol=1e-5)
    expected, found = (gradients_of(model, x, noise, training) for training in (False, True))
    for weight, one, other in zip(model.trainable_weights, expected, found, strict=True):
        least = 1e-4 * np.max(np.abs(one)) + 1e-6
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=least, err_msg=weight.path)


@pytest.mark.parametrize("class_token", [True, False])
def test_encode_is_the_same_encoder_on_all_patches(class_token):
    model = build(class_token=class_token, pooling=None)
    x = images(*model.example_shape)
    weights = mae_reference.Weights(model.encoder)
    everything = np.arange(model.patches_shape[0])
    for image, code in zip(x, np.asarray(model.encode(x)), strict=True):
        patches = mae_reference.patches_of(image, 2, 2)
        tokens = mae_reference.encode(patches, everything, weights, SMALL["depth"], SMALL["heads"])
        np.testing.assert_allclose(code, tokens, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["mean", "class"])
def test_pooled_codes_are_pooled_tokens(kind):
    model, tokens = build(pooling=kind), build(pooling=None)
    for a, b in zip(tokens.weights, model.weights, strict=True):
        a.assign(b)
    x = images(*model.example_shape)
    every = np.asarray(tokens.encode(x))
    expected = every[:, 0] if kind == "class" else every[:, 1:].mean(axis=1)
    np.testing.assert_allclose(model.encode(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "class", None])
def test_tokens_are_all_tokens_and_hold_the_code(pooling):
    model, every = build(pooling=pooling), build(pooling=None)
    for a, b in zip(every.weights, model.weights, strict=True):
        a.assign(b)
    x = images(*model.example_shape)
    tokens = model.tokens(x)
    np.testing.assert_allclose(tokens, every.encode(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.pool(tokens), model.encode(x), rtol=1e-5, atol=1e-6)
    stored = (255 * x).astype("uint8")
    np.testing.assert_allclose(model.tokens(stored), model.tokens(stored / np.float32(255)), rtol=1e-5, atol=1e-6)


def test_decode_of_all_tokens_is_the_decoder_without_mask_tokens():
    model = build(pooling=None, normalize=False)
    z = RNG.normal(size=(2, *model.code_shape)).astype("float32")
    weights, places = mae_reference.Weights(model.decoder), np.arange(16)
    for code, image in zip(z, np.asarray(model.decode(z)), strict=True):
        patches = mae_reference.decode(code, places, 16, weights, SMALL["decoder_depth"], SMALL["decoder_heads"])
        assert np.any(patches < 0) and np.any((patches > 0) & (patches < 1))
        np.testing.assert_allclose(mae_reference.patches_of(image, 2, 2), np.clip(patches, 0, 1), atol=1e-4)


# ---- the loss


def test_what_is_visible_or_unmasked_does_not_count():
    """The loss sees hidden patches only, and the prediction the visible ones only."""
    model = build(normalize=False)
    x, noise = images(*model.example_shape), noise_for(model)
    first = model.forward(x, noise)
    hidden = np.asarray(first["mask"])[..., None]
    other = np.where(hidden > 0, 1 - first["patches"], first["patches"]).astype("float32")
    changed = model.forward(ops.unpatchify(other, 2, (4, 4)), noise)
    np.testing.assert_allclose(changed["prediction"], first["prediction"], atol=1e-6)
    assert np.all(np.abs(changed["loss"] - first["loss"]) > 1e-3)
    error = np.mean((np.asarray(first["prediction"]) - first["patches"]) ** 2, axis=-1)
    expected = [e[m > 0].mean() for e, m in zip(error, hidden[..., 0], strict=True)]
    np.testing.assert_allclose(first["loss"], expected, rtol=1e-4)


@pytest.mark.parametrize("ratio", [0.75, 0.5, 0.3, 0.9])
def test_score_hides_every_patch_at_least_once(ratio):
    model = build(ratio=ratio)
    masks = []
    plain = model._error
    model._error = lambda out: masks.append(np.asarray(out["mask"])) or plain(out)
    score = model.score(images(*model.example_shape))
    total = np.sum(masks, axis=0)
    assert total.min() >= 1 and len(masks) == -(-16 // (16 - model.visible)) and score.shape == (3,)
    assert all(np.array_equal(total[0], row) for row in total)


def test_training_draws_new_masks_and_evaluation_none():
    model = build()
    x = images(*model.example_shape)
    state = np.asarray(model.seed_generator.state).copy()
    first, second = (np.asarray(model.objective(model.prepare(x))["reconstruction"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, model.score(x))
    model.encode(x), model.reconstruct(x)
    np.testing.assert_array_equal(model.seed_generator.state, state)
    first, second = (np.asarray(model.objective(model.prepare(x), training=True)["reconstruction"]) for _ in range(2))
    assert np.all(first != second) and np.any(np.asarray(model.seed_generator.state) != state)


def test_masks_of_training_hide_every_patch_equally_often():
    model = build(ratio=0.5)
    masks = []
    plain = model._error
    model._error = lambda out: masks.append(np.asarray(out["mask"])) or plain(out)
    for _ in range(10):
        model.objective(model.prepare(images(*model.example_shape, count=40)), training=True)
    share = np.concatenate(masks).mean(axis=0)  # 400 masks: standard deviation 0.025
    assert np.all(np.abs(share - 0.5) < 0.125)
    assert len({tuple(mask) for mask in np.concatenate(masks)}) > 360  # of 12,870: each example draws its own


@pytest.mark.parametrize("options", [{}, {"class_token": False, "learned_positions": True, "layer_scale": 0.1}])
def test_the_gradient_reaches_every_trainable_weight(options):
    model = build(**options)
    x = images(*model.example_shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.objective(model.prepare(x), training=True)["reconstruction"])
    gradients = tape.gradient(loss, model.trainable_weights)
    unreached = [w.path for w, g in zip(model.trainable_weights, gradients, strict=True) if g is None or not np.any(g)]
    assert unreached == []
    fixed = [w.path for w in model.non_trainable_weights if "positions" in w.path]
    assert len(fixed) == (0 if options else 2)


def test_the_gradient_is_that_of_finite_differences():
    model = build(depth=1, decoder_depth=1)
    x, noise = images(*model.example_shape), noise_for(model)
    rng = np.random.default_rng(2)
    losses = tf.function(lambda: model.forward(x, noise)["loss"])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses())
    weights = model.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, [w.value for w in weights]), strict=True):
        direction = rng.normal(size=weight.shape).astype("float32")
        direction /= np.linalg.norm(direction)
        start, ends = np.asarray(weight).copy(), []
        for step in (0.01, -0.01):
            weight.assign(start + step * direction)
            ends.append(np.asarray(losses(), "float64").mean())
        weight.assign(start)
        slope = np.sum(direction * np.asarray(gradient))
        assert slope == pytest.approx((ends[0] - ends[1]) / 0.02, rel=0.03, abs=2e-3), weight.path


GOLDEN_LOSS = [2.953437, 3.317435]
GOLDEN_CODE = [[1.684101, 1.972740, 0.158435], [1.692178, 1.973120, 0.157181]]


def test_golden():
    """Weights and input filled by a rule, so that the value needs no random numbers; values of the transcription."""
    model = build((4, 6, 1), (2, 3), ratio=0.5)
    for weight in model.weights:
        values = np.sin(np.arange(1, np.prod(weight.shape) + 1)).reshape(weight.shape)
        weight.assign(values / np.sqrt(weight.shape[0]) if weight.path.endswith("kernel") else values)
    x = np.cos(np.arange(48.0, dtype="float32")).reshape(2, 4, 6, 1)
    noise = np.array([[0.2, 0.9, 0.1, 0.5], [0.8, 0.3, 0.6, 0.4]], "float32")
    out = model.forward(x, noise)
    np.testing.assert_allclose(out["loss"], GOLDEN_LOSS, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(model.encode(x))[:, :3], GOLDEN_CODE, rtol=1e-3, atol=1e-4)


def test_it_learns_to_fill_in_what_it_can_know():
    """Images of one brightness each: the hidden patches follow from the visible ones."""
    keras.utils.set_random_seed(0)
    x = np.tile(RNG.uniform(size=(256, 1, 1, 1)), (1, 4, 4, 1)).astype("float32")
    small = {"depth": 1, "decoder_depth": 1, "mean": 0.5, "std": 0.29}
    model = MaskedAutoencoder(*networks.vit((4, 4, 1), 2, **{**SMALL, **small}), normalize_targets=False)
    model.compile(keras.optimizers.Adam(5e-3), jit_compile=False)
    model.fit(x, batch_size=64, epochs=20, verbose=0)
    assert np.mean(model.score(x)) < 0.1  # 1 is what a model that ignores what it sees can reach
    hidden = np.asarray(model.reconstruct(x)) != x
    assert 0.7 < hidden.mean() <= 0.75 and np.abs(model.reconstruct(x) - x)[hidden].mean() < 0.1


# ---- the picture


def test_the_picture_keeps_what_is_visible_and_predicts_what_is_hidden():
    model = build(normalize=False, mean=0.4, std=0.5)
    x, noise = images(*model.example_shape), noise_for(model)
    out = model.forward(x, noise)
    predicted = np.clip(0.5 * np.asarray(out["prediction"]) + 0.4, 0, 1)
    hidden = np.asarray(out["mask"])[..., None] > 0
    expected = np.where(hidden, predicted, ops.patchify(x, 2))
    np.testing.assert_allclose(ops.patchify(model.reconstruct(x, noise), 2), expected, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_picture_does_not_look_at_what_is_hidden(normalize):
    model = build(normalize=normalize)
    x, noise = images(*model.example_shape), noise_for(model)
    hidden = np.asarray(model.forward(x, noise)["mask"])[..., None] > 0
    patches = np.asarray(ops.patchify(x, 2))
    other = ops.unpatchify(np.where(hidden, patches[::-1] * 0.1, patches).astype("float32"), 2, (4, 4))
    np.testing.assert_allclose(model.reconstruct(other, noise), model.reconstruct(x, noise), atol=1e-5)


def test_normalised_predictions_are_shown_at_the_level_of_the_visible_patches():
    model = build(ratio=0.5)
    x, noise = 0.4 + 0.2 * images(*model.example_shape), noise_for(model)
    out = model.forward(x, noise)
    picture = np.asarray(ops.patchify(model.reconstruct(x, noise), 2))
    patches, mask = np.asarray(ops.patchify(x, 2)), np.asarray(out["mask"]) > 0
    for i in range(len(x)):
        seen = patches[i][~mask[i]]
        expected = seen.mean() + seen.std() * np.asarray(out["prediction"])[i][mask[i]]
        np.testing.assert_allclose(picture[i][mask[i]], np.clip(expected, 0, 1), atol=1e-4)


def test_the_picture_of_a_noise_differs_from_that_of_another():
    model = build()
    x = images(*model.example_shape)
    assert np.any(np.asarray(model.reconstruct(x, noise_for(model))) != model.reconstruct(x, noise_for(model)))
    np.testing.assert_array_equal(model.reconstruct(x), model(x))


# ---- groups of patches and targets of low variance


@pytest.mark.parametrize("normalize", [True, False])
def test_groups_are_masked_and_the_loss_is_that_of_the_hidden(normalize):
    pair = networks.vit((12, 8, 2), 2, **SMALL)
    model = MaskedAutoencoder(*pair, 0.6, normalize, mask_group=2)
    x, noise = images(12, 8, 2), noise_for(model)
    out = model.forward(x, noise)
    masks = [mae_reference.group_mask(row, 0.6, (6, 4), 2) for row in noise]
    np.testing.assert_array_equal(out["mask"], masks)
    assert model.visible == 8 and out["tokens"].shape == (3, 9, 16)  # int(6 · 0.4) groups of 4, and the class token
    target = np.asarray(ops.patchify(x, 2))
    target = np.asarray(ops.normalize_patches(target)) if normalize else target
    error = np.mean((np.asarray(out["prediction"]) - target) ** 2, axis=-1)
    np.testing.assert_allclose(out["loss"], [e[m > 0].mean() for e, m in zip(error, masks, strict=True)], rtol=1e-4)


def test_score_hides_every_group_at_least_once():
    model = MaskedAutoencoder(*networks.vit((8, 8, 3), 2, **SMALL), 0.5, mask_group=2)
    masks = []
    plain = model._error
    model._error = lambda out: masks.append(np.asarray(out["mask"])) or plain(out)
    model.score(images(8, 8, 3))
    assert len(masks) == 2 and np.all(np.sum(masks, axis=0) == 1)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_the_target_is_what_the_leading_components_leave(normalize, whole):
    target = layers.LowVariance(0.5, whole)
    pair = networks.vit((4, 6, 2), 2, **SMALL, mean=0.4, std=0.5)
    model = MaskedAutoencoder(*pair, 0.5, normalize, target=target)
    x, noise = images(4, 6, 2, count=60), noise_for(model, 60)
    model.adapt_target(x, batch_size=25)
    pixels = np.asarray(ops.patchify((x - np.float32(0.4)) / np.float32(0.5), 2))
    pixels = np.asarray(ops.normalize_patches(pixels)) if normalize else pixels
    rows = pixels.reshape(-1, 48 if whole else 8).astype("float64")
    pca = PCA().fit(rows)
    leading = pca.components_[: np.searchsorted(np.cumsum(pca.explained_variance_ratio_), 0.5) + 1]
    centred = rows - pca.mean_
    wanted = (centred - centred @ leading.T @ leading).reshape(pixels.shape)
    out = model.forward(x, noise)
    np.testing.assert_allclose(out["target"], wanted, atol=1e-4)
    error = np.mean((np.asarray(out["prediction"]) - wanted) ** 2, axis=-1)
    mask = np.asarray(out["mask"])
    loss = (error * mask).sum(axis=1) / mask.sum(axis=1)
    np.testing.assert_allclose(out["loss"], loss, rtol=1e-3)
    np.testing.assert_allclose(model.forward(x, noise, training=True)["loss"], loss, rtol=1e-3)


def test_pictures_of_low_variance_predictions_lie_around_the_mean():
    target = layers.LowVariance(0.5)
    pair = networks.vit((4, 6, 2), 2, **SMALL)
    model = MaskedAutoencoder(*pair, 0.5, normalize_targets=False, target=target)
    x = 0.6 + 0.1 * images(4, 6, 2, count=60)
    model.adapt_target(x)
    for weight in pair[1].layers[-2].weights:  # predict nothing
        weight.assign(0 * weight)
    mean = np.tile(np.asarray(ops.patchify(x, 2)).mean(axis=(0, 1)), (6, 1))
    out = np.asarray(ops.patchify(model.reconstruct(x), 2))
    hidden = np.asarray(ops.patchify(x, 2)) != out
    assert hidden.mean() == pytest.approx(0.5)
    np.testing.assert_allclose(out[hidden], np.broadcast_to(mean, out.shape)[hidden], atol=1e-5)
    np.testing.assert_allclose(ops.patchify(model.decode(model.encode(x)), 2)[0], mean, atol=1e-5)


# ---- mistakes


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "mask_ratio=0.0"), (1.0, "between 0 and 1"), (1.2, "1.2"), (0.95, "no visible patch of 16")],
)
def test_a_wrong_ratio(ratio, text):
    pair = networks.vit((8, 8, 3), 2, **SMALL)
    with pytest.raises(InputError, match=text):
        MaskedAutoencoder(*pair, mask_ratio=ratio)


def test_images_of_another_shape():
    model = build()
    for shape in ((8, 8, 1), (8, 10, 3)):
        for method in (model.encode, model.reconstruct, model.score):
            with pytest.raises(InputError, match=r"\(8, 8, 3\).*Received: \(8, "):
                method(images(*shape))
    model.compile("adam")
    with pytest.raises(InputError, match=r"\(8, 8, 3\).*Received: \(8, 8, 1\)"):
        model.fit(images(8, 8, 1), verbose=0)


def test_networks_that_are_no_transformers_or_do_not_fit():
    with pytest.raises(InputError, match="networks.vit"):
        MaskedAutoencoder(*networks.dense((8, 8, 3), 4))
    with pytest.raises(InputError, match="decoder"):
        MaskedAutoencoder(networks.vit((8, 8, 3), 2, **SMALL)[0], networks.vit((8, 12, 3), 2, **SMALL)[1])


def test_a_patch_of_one_value_cannot_be_normalised():
    pair = networks.vit((4, 4, 1), 1, **SMALL)
    with pytest.raises(InputError, match="normalize_targets=False"):
        MaskedAutoencoder(*pair)
    assert MaskedAutoencoder(*pair, normalize_targets=False).visible == 4


def test_wrong_groups_and_targets():
    pair = networks.vit((8, 12, 3), 2, **SMALL)
    with pytest.raises(InputError, match="grid of 4×6 patches. Received: mask_group=4"):
        MaskedAutoencoder(*pair, mask_group=4)
    with pytest.raises(InputError, match="no visible group of 6"):
        MaskedAutoencoder(*pair, mask_ratio=0.9, mask_group=2)
    with pytest.raises(InputError, match="kerasae.layers.LowVariance. Received: 'pca'"):
        MaskedAutoencoder(*pair, target="pca")
    with pytest.raises(InputError, match="no target to adapt"):
        MaskedAutoencoder(*pair).adapt_target(images(8, 12, 3))
