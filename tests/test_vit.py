"""Vision transformers: sizes of the presets, layers against NumPy, resizing, drop path, mistakes."""

import sys

import keras
import mae_reference
import numpy as np
import pytest
import tensorflow as tf

from kerasae import layers, ops
from kerasae.errors import InputError
from kerasae.networks import pool_vit, resize_vit, vit, vit_base, vit_huge, vit_large, vit_small, vit_tiny

RNG = np.random.default_rng(0)
SMALL = {
    "width": 16,
    "depth": 2,
    "heads": 4,
    "decoder_width": 12,
    "decoder_depth": 1,
    "decoder_heads": 3,
    "name": "row",
}


# ---- sizes


def block_weights(width):
    """4 D² + 4 D of attention, 8 D² + 5 D of the network, 4 D of two normalisations."""
    return 12 * width**2 + 13 * width


def encoder_weights(width, depth, patch_values, tokens):
    """Blocks, last normalisation, embedding, class token; positions are counted too, learned or not."""
    return depth * block_weights(width) + 2 * width + patch_values * width + width + width + tokens * width


def test_presets_have_the_published_sizes():
    """Counted without building the large ones: 86, 303 and 631 million weights in the paper's encoders."""
    presets = {vit_tiny: 192, vit_small: 384}
    for preset, width in presets.items():
        encoder, decoder = preset((32, 32, 3), 4)
        assert encoder.count_params() == encoder_weights(width, 12, 48, 65)
        assert encoder.output_shape == decoder.input_shape == (None, width)
    sizes = {(768, 12, 16): 86, (1024, 24, 16): 303, (1280, 32, 14): 631}
    for (width, depth, patch), millions in sizes.items():
        count = encoder_weights(width, depth, 3 * patch**2, (224 // patch) ** 2 + 1)
        assert count / 1e6 == pytest.approx(millions, abs=1)


@pytest.mark.parametrize(
    ("build", "sizes"),
    [
        (lambda: vit_tiny((16, 16, 1)), (192, 12, 3, 192, 4, 3)),
        (lambda: vit_small((16, 16, 1)), (384, 12, 6, 256, 4, 8)),
        (lambda: vit_base((16, 16, 1)), (768, 12, 12, 512, 8, 16)),
        (lambda: vit_large((16, 16, 1)), (1024, 24, 16, 512, 8, 16)),
        (lambda: vit_huge((14, 28, 1)), (1280, 32, 16, 512, 8, 16)),
    ],
)
def test_presets_are_vit_with_these_sizes(build, sizes, monkeypatch):
    given = {}
    monkeypatch.setattr(sys.modules["kerasae.networks.vit_pair"], "vit", lambda *args, **sizes: given.update(sizes))
    build()
    defaults = {"decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16}
    names = ("width", "depth", "heads", *defaults)
    assert tuple({**defaults, **given}[name] for name in names) == sizes


@pytest.mark.parametrize("preset", [vit_tiny, vit_small, vit_base, vit_large, vit_huge])
def test_presets_hand_options_on(preset):
    encoder, decoder = preset((4, 4, 1), 2, width=8, depth=1, heads=2, decoder_width=12, decoder_depth=1,
                              decoder_heads=3, pooling="class", name="row")  # fmt: skip
    assert encoder.output_shape == (None, 8) and encoder.get_layer("row_block_0").heads == 2
    assert decoder.get_layer("row_decoder_tokens").output.shape[-1] == 12


@pytest.mark.parametrize(
    ("pooling", "class_token", "code"),
    [
        (None, True, (7, 16)),
        (None, False, (6, 16)),
        ("mean", True, (16,)),
        ("mean", False, (16,)),
        ("class", True, (16,)),
    ],
)
def test_codes_are_tokens_or_pooled(pooling, class_token, code):
    encoder, decoder = vit((4, 9, 2), (2, 3), **SMALL, pooling=pooling, class_token=class_token)
    assert encoder.output_shape[1:] == decoder.input_shape[1:] == code
    x = RNG.uniform(size=(3, 4, 9, 2)).astype("float32")
    assert encoder(x).shape == (3, *code) and decoder(encoder(x)).shape == x.shape
    np.testing.assert_allclose(encoder(x)[2:3], encoder(x[2:3]), rtol=1e-4, atol=1e-5)


def test_every_layer_is_named_and_comes_back_from_a_file(tmp_path):
    x = RNG.uniform(size=(2, 4, 6, 1)).astype("float32")
    encoder, decoder = vit((4, 6, 1), 2, **SMALL, layer_scale=0.1, drop_path=0.2, learned_positions=True)
    for part, given in ((encoder, x), (decoder, encoder(x))):
        named = [layer.name for layer in part.layers if not isinstance(layer, keras.layers.InputLayer)]
        assert all(name.startswith("row_") for name in [part.name, *named])
        part.save(tmp_path / "part.keras")
        again = keras.saving.load_model(tmp_path / "part.keras", safe_mode=True)
        np.testing.assert_array_equal(again(given), part(given))
        assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in part.layers]


def test_weights_start_as_in_the_paper():
    """Xavier-uniform kernels, the three of attention as one; zero biases; tokens from N(0, 0.02²)."""
    encoder, decoder = vit((8, 8, 3), 2, **{**SMALL, "width": 64, "decoder_width": 48})
    for weight in (*encoder.weights, *decoder.weights):
        values = np.asarray(weight)
        if weight.path.endswith("kernel"):
            limit = np.sqrt(6 / sum(values.shape))
            assert 0.95 * limit < np.abs(values).max() <= limit, weight.path
        elif weight.path.endswith(("bias", "beta")):
            assert not values.any(), weight.path
        elif weight.path.endswith("token"):
            assert 0.01 < values.std() < 0.03, weight.path
    codes = ops.sincos_positions((4, 4), 64)
    positions = np.asarray(encoder.get_layer("row_tokens").positions)[0]
    np.testing.assert_array_equal(positions, np.concatenate([np.zeros((1, 64)), codes]))
    assert not encoder.get_layer("row_tokens").positions.trainable


def test_drop_path_rises_linearly_over_the_encoder_only():
    encoder, decoder = vit((4, 4, 1), 2, **{**SMALL, "depth": 4, "decoder_depth": 2}, drop_path=0.3)
    rates = [[layer.drop_path for layer in part.layers if isinstance(layer, layers.TransformerBlock)]
             for part in (encoder, decoder)]  # fmt: skip
    assert rates[0] == pytest.approx([0, 0.1, 0.2, 0.3]) and rates[1] == [0, 0]


# ---- decoders


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_a_shallow_decoder_is_a_deep_one_of_one_block(pooling):
    changes = {**SMALL, "decoder_depth": 3, "pooling": pooling}
    _, shallow = vit((4, 6, 1), 2, **changes, decoder="shallow")
    _, deep = vit((4, 6, 1), 2, **{**changes, "decoder_depth": 1})
    assert [w.path for w in shallow.weights] == [w.path for w in deep.weights]
    deep.set_weights(shallow.get_weights())
    z = RNG.normal(size=(2, *deep.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(shallow(z), deep(z), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("class_token", [True, False])
def test_cross_and_linear_decoders_are_those_of_numpy(class_token):
    z = RNG.normal(size=(2, 6 + class_token, 16)).astype("float32")
    for kind in ("cross", "linear"):
        _, decoder = vit(
            (4, 6, 1), 2, **{**SMALL, "decoder_depth": 2}, decoder=kind, pooling=None, class_token=class_token
        )
        weights = mae_reference.Weights(decoder)
        for tokens, image in zip(z.astype("float64"), np.asarray(decoder(z)), strict=True):
            if kind == "cross":
                wanted = mae_reference.read_out(tokens, np.arange(6), weights, 2, 3)
            else:
                wanted = mae_reference.linear(tokens, weights, "row_decoder_pred")[-6:]
            np.testing.assert_allclose(mae_reference.patches_of(image, 2, 2), wanted, rtol=1e-4, atol=1e-4)


# ---- layers


def randomised(layer, shape):
    layer.build((None, *shape))
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    return layer


@pytest.mark.parametrize(("heads", "layer_scale"), [(1, None), (4, 0.3)])
def test_block_is_attention_and_network_behind_normalisations(heads, layer_scale):
    block = randomised(layers.TransformerBlock(heads, 2.5, layer_scale=layer_scale, name="b"), (5, 8))
    x = RNG.normal(size=(3, 5, 8)).astype("float32")
    weights = mae_reference.Weights()
    weights.values = {f"b/{w.path.removeprefix('b/')}": np.asarray(w, "float64") for w in block.weights}
    expected = [mae_reference.block(tokens.astype("float64"), weights, "b", heads) for tokens in x]
    np.testing.assert_allclose(block(x), expected, rtol=1e-4, atol=1e-4)
    assert (layer_scale is None) == (len(block.weights) == 12)


@pytest.mark.parametrize("training", [True, False])
def test_the_last_tokens_of_a_block_alone(training):
    block = randomised(layers.TransformerBlock(2, layer_scale=0.5), (5, 8))
    x = tf.constant(RNG.normal(size=(3, 5, 8)), "float32")
    upstream = RNG.normal(size=(3, 2, 8)).astype("float32")

    def both(tokens):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tokens(x)
        return y, tape.gradient(y, [x, *block.trainable_weights], output_gradients=upstream)

    whole, expected = both(lambda x: block(x, training=training)[:, -2:])
    some, found = both(lambda x: block(x, training=training, last=2))
    np.testing.assert_allclose(some, whole, rtol=1e-5, atol=1e-5)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2**-6)])
def test_a_block_trains_as_it_predicts(policy, tolerance):
    """The gradient of every weight of a block is that of the plain layers, and of the same type."""
    block = layers.TransformerBlock(heads=2, dtype=policy)
    x = tf.constant(RNG.normal(size=(4, 7, 8)), tf.float32)
    block(x)
    for weight in block.weights:
        weight.assign(RNG.normal(0.0, 0.5, weight.shape))
    found, plain = (gradients(block, x, training) for training in (True, False))
    for ours, exact in zip(found, plain, strict=True):
        assert ours.dtype == exact.dtype == "float32"
        np.testing.assert_allclose(ours, exact, rtol=tolerance, atol=tolerance * float(tf.reduce_max(tf.abs(exact))))


def gradients(block, x, training):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(tf.cast(block(x, training=training), "float32")))
    return tape.gradient(loss, [weight.value for weight in block.trainable_weights])


@pytest.mark.parametrize("last", [None, 2])
def test_quantised_layers_still_run(last):
    block = layers.TransformerBlock(heads=2)
    x = tf.constant(RNG.normal(size=(4, 7, 8)), tf.float32)
    before = block(x).numpy()
    for layer in block._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dense):
            layer.quantize("int8")
    found = block(x, training=True, last=last)
    np.testing.assert_allclose(found, before[:, -(last or 7) :], atol=0.1 * np.abs(before).max())


def test_layer_scale_starts_where_it_was_told():
    block = layers.TransformerBlock(2, layer_scale=1e-5)
    block.build((None, 3, 4))
    np.testing.assert_array_equal([block.scale1, block.scale2], np.full((2, 4), 1e-5, "float32"))


def test_drop_path_drops_whole_branches_of_examples_in_training_only():
    rate = 0.4
    block = randomised(layers.TransformerBlock(2, drop_path=rate), (3, 4))
    plain = layers.TransformerBlock(2)
    plain.build((None, 3, 4))
    plain.set_weights(block.get_weights()[: len(plain.get_weights())])
    x = np.repeat(RNG.normal(size=(1, 3, 4)).astype("float32"), 600, axis=0)
    np.testing.assert_array_equal(block(x), plain(x))
    first = x[0] + np.asarray(plain.attention(plain.norm1(x[:1])))[0] / (1 - rate)
    kept = []
    for path in (x[0], first):  # the state after the first branch, dropped or kept, and then the second one likewise
        second = np.asarray(plain._mlp(plain.norm2(path[None]), False))[0] / (1 - rate)
        kept += [path, path + second]
    out = np.asarray(block(x, training=True))
    distance = np.stack([np.abs(out - end).max(axis=(1, 2)) for end in kept])
    assert distance.min(axis=0).max() < 1e-4  # each example is one of the four
    share = np.bincount(distance.argmin(axis=0), minlength=4) / 600
    np.testing.assert_allclose(share, [rate**2, rate * (1 - rate), rate * (1 - rate), (1 - rate) ** 2], atol=0.08)


def test_patches_are_standardised_and_back():
    layer = layers.Patches((1, 2), mean=(0.1, 0.5), std=(0.2, 2.0))
    x = RNG.uniform(size=(2, 3, 4, 2)).astype("float32")
    standardised = (x - np.array([0.1, 0.5])) / np.array([0.2, 2.0])
    np.testing.assert_allclose(ops.unpatchify(layer(x), (1, 2), (3, 2)), standardised, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.undo(standardised.astype("float32")), x, rtol=1e-5, atol=1e-6)


# ---- another code


@pytest.mark.parametrize("class_token", [True, False])
def test_other_codes_of_the_same_tokens(class_token):
    options = {**SMALL, "class_token": class_token}
    encoder, _ = vit((4, 6, 2), 2, **options, pooling="mean")
    x, first = RNG.uniform(size=(3, 4, 6, 2)).astype("float32"), int(class_token)
    norm = encoder.layers[-2]
    raw, tokens = (np.asarray(keras.Model(encoder.input, at)(x)) for at in (norm.input, norm.output))
    np.testing.assert_allclose(pool_vit(encoder, "mean")(x), tokens[:, first:].mean(axis=1), atol=1e-5)
    if class_token:
        np.testing.assert_allclose(pool_vit(encoder, "class")(x), tokens[:, 0], atol=1e-5)
    norm.gamma.assign(norm.gamma * 3.0)  # it stays behind: the new one starts from ones
    mean = raw[:, first:].mean(axis=1)
    expected = (mean - mean.mean(-1, keepdims=True)) / np.sqrt(mean.var(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(pool_vit(encoder, "mean_norm")(x), expected, atol=1e-4)


def test_codes_that_cannot_be_had():
    encoder, _ = vit((4, 6, 1), 2, **SMALL, class_token=False)
    with pytest.raises(InputError, match="class token"):
        pool_vit(encoder, "class")
    with pytest.raises(InputError, match="pool_vit: expected an encoder"):
        pool_vit(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "mean")


# ---- another image size


@pytest.mark.parametrize("decoder", ["deep", "cross", "linear"])
@pytest.mark.parametrize("pooling", [None, "mean"])
@pytest.mark.parametrize("class_token", [True, False])
def test_resizing_interpolates_positions_and_copies_the_rest(pooling, class_token, decoder):
    options = {**SMALL, "pooling": pooling, "class_token": class_token, "decoder": decoder}
    pair = vit((4, 9, 2), (2, 3), **options, learned_positions=True)
    encoder, decoder = (resize_vit(part, (8, 6, 2)) for part in pair)
    x = RNG.uniform(size=(2, 8, 6, 2)).astype("float32")
    assert decoder(encoder(x)).shape == x.shape and decoder.input_shape == encoder.output_shape
    for old, new in zip(pair, (encoder, decoder), strict=True):
        for a, b in zip(old.weights, new.weights, strict=True):
            if not a.path.endswith("positions"):
                np.testing.assert_array_equal(a, b, err_msg=a.path)
                continue
            a, b = np.asarray(a)[0], np.asarray(b)[0]
            first = len(a) - 6  # the class token's, which queries do without
            np.testing.assert_array_equal(a[:first], b[:first])
            np.testing.assert_allclose(b[first:], ops.resize_positions(a[first:], (2, 3), (4, 2)), atol=1e-6)


def test_resizing_to_the_same_size_changes_nothing():
    encoder, _ = vit((4, 6, 1), 2, **SMALL)
    x = RNG.uniform(size=(2, 4, 6, 1)).astype("float32")
    np.testing.assert_allclose(resize_vit(encoder, (4, 6, 1))(x), encoder(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [(1, 3), (3, 1), (3, 4)])
def test_grey_images_give_the_same_whatever_their_number_of_channels(channels):
    """Codes and predicted patches: the first kernel shares its sum out, the last repeats its mean."""
    old, new = channels
    pair = vit((4, 6, old), 2, **SMALL, decoder="linear", pooling=None)
    encoder, decoder = (resize_vit(part, (4, 6, new)) for part in pair)
    grey = RNG.uniform(size=(2, 4, 6, 1)).astype("float32")
    codes = pair[0](np.repeat(grey, old, axis=-1))
    np.testing.assert_allclose(encoder(np.repeat(grey, new, axis=-1)), codes, rtol=1e-4, atol=1e-5)
    mean = np.mean(pair[1](codes), axis=-1, keepdims=True)
    np.testing.assert_allclose(decoder(codes), np.repeat(mean, new, axis=-1), rtol=1e-4, atol=1e-5)


def test_resizing_takes_the_statistics_of_the_new_images():
    encoder = vit((4, 6, 1), 2, **SMALL, mean=0.5, std=2.0)[0]
    moved = resize_vit(encoder, (4, 6, 1), mean=0.1, std=0.3)
    x = RNG.uniform(size=(2, 4, 6, 1)).astype("float32")
    np.testing.assert_allclose(moved(x * 0.3 + 0.1), encoder(x * 2 + 0.5), rtol=1e-4, atol=1e-5)


def test_resizing_mistakes():
    encoder, _ = vit((4, 6, 1), 2, **SMALL)
    toned = vit((4, 6, 2), 2, **SMALL, mean=(0.1, 0.2))[0]
    with pytest.raises(InputError, match="mean has 2 values, but the images have 3 channels"):
        resize_vit(toned, (4, 6, 3))
    with pytest.raises(InputError, match="5×6.*nearest.*4×6 and 6×6"):
        resize_vit(encoder, (5, 6, 1))
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(InputError, match="networks.vit"):
        resize_vit(other, (4, 6, 1))


# ---- mistakes


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"patch": 3}, "8×12.*3×3.*6×12 and 9×12"),
        ({"heads": 3}, "heads=3.*16"),
        ({"mean": (0.1, 0.2)}, "mean has 2 values, but the images have 3 channels"),
        ({"std": (0.1, 0.2, 0.0)}, "std"),
        ({"width": 9}, "even width"),
        ({"pooling": "class", "class_token": False}, "class token"),
        ({"pooling": "max"}, "'mean'"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"depth": 0}, "depth=0"),
        ({"decoder": "cross", "decoder_heads": 5}, "heads=5.*12"),
        ({"decoder": "wide"}, "deep, shallow, cross, linear.*'wide'"),
        ({"shape": (12,)}, "H, W, C"),
    ],
)
def test_mistakes_are_named(changes, text):
    with pytest.raises(InputError, match=text):
        vit(**{"shape": (8, 12, 3), "patch": 4, **SMALL, **changes})
