"""Optimisers and schedules, step by step against NumPy transcriptions of the papers' formulas."""

import math

import keras
import numpy as np
import pytest

from kerasae import networks
from kerasae.errors import InputError
from kerasae.optimizers import LARS, LayerwiseAdamW, decayed, layer_scales, schedules

RNG = np.random.default_rng(0)


def small_vit(**options):
    sizes = {"width": 8, "depth": 3, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
    return networks.vit((8, 8, 1), 4, **sizes, learned_positions=True, layer_scale=0.1, **options)[0]


def weights():
    """A matrix, a vector, a class token, a matrix of zeros and a vector of zeros."""
    starts = {
        "kernel": RNG.normal(size=(3, 4)),
        "bias": RNG.normal(size=4),
        "class_token": RNG.normal(size=(1, 1, 5)),
        "empty": np.zeros((2, 2)),
        "zeros": np.zeros(3),
    }
    return [keras.Variable(value.astype("float32"), name=name) for name, value in starts.items()]


def test_layer_scales_of_a_vision_transformer():
    encoder = small_vit()
    scales = layer_scales(encoder, 0.65)
    expected = {}
    for w in encoder.weights:
        layer = w.path.split("/")[0]
        if layer in ("vit_embed", "vit_tokens"):
            number = 0
        elif "_block_" in layer:
            number = int(layer.rsplit("_", 1)[1]) + 1
        else:
            number = 4
        expected[w.path] = 0.65 ** (4 - number)
    assert scales == pytest.approx(expected)
    assert len(scales) == len(encoder.weights)
    assert {round(math.log(s, 0.65)) for s in scales.values()} == {0, 1, 2, 3, 4}


def test_layer_scales_of_other_networks():
    encoder, _ = networks.dense((6,), 4, (5, 3))
    found = [layer_scales(encoder, 0.5)[w.path] for w in encoder.weights]
    assert found == [0.125, 0.125, 0.25, 0.25, 0.5, 0.5]
    x = inputs = keras.Input((8, 8, 1))
    for layer in (keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization(), keras.layers.Flatten()):
        x = layer(x)
    nested = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(3)])
    model = keras.Model(inputs, nested(x))
    assert [layer_scales(model, 0.5)[w.path] for w in model.weights] == [0.25] * 6 + [0.5] * 2


def test_scales_follow_clones_and_classifiers():
    """The weights that a classifier trains have the paths that its encoder's scales name."""
    from kerasae.models import Classifier

    encoder = keras.models.clone_model(small_vit())
    classifier = Classifier(encoder, 3, dropout=0.1)
    scales = layer_scales(classifier.encoder, 0.5)
    free = [w.path for w in classifier.trainable_weights if w.path not in scales]
    assert sorted(free) == ["logits/bias", "logits/kernel"]


def test_a_sequential_encoder_that_is_read_from_a_file_keeps_its_rates(tmp_path):
    """Keras leaves the name of a Sequential model out of the paths of its weights when it builds it anew."""
    from kerasae.models import Classifier

    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)], name="trunk")
    classifier = Classifier(encoder, 2)
    classifier.compile(
        LayerwiseAdamW(0.1, scales=layer_scales(classifier.encoder, 0.5)), "sparse_categorical_crossentropy"
    )
    classifier.optimizer.build(classifier.trainable_weights)
    classifier.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x, y = np.ones((2, 4), "float32"), np.array([0, 1])
    for model in (classifier, again):
        model.train_on_batch(x, y)
    for mine, read in zip(classifier.trainable_weights, again.trainable_weights, strict=True):
        np.testing.assert_array_equal(mine, read, err_msg=mine.path)


def test_what_is_decayed():
    encoder = small_vit()
    fixed = {w.path for w in encoder.weights if not decayed(w)}
    assert fixed == {w.path for w in encoder.weights if w.shape == tuple(w.shape[:1])}
    spared = {w.path for w in encoder.weights if not decayed(w, spare_tokens=True)} - fixed
    assert spared == {"vit_tokens/class_token", "vit_tokens/positions"}
    assert any("kernel" in w.path and decayed(w, True) for w in encoder.weights)


@pytest.mark.parametrize("spare_tokens", [False, True])
@pytest.mark.parametrize("jit", [False, True])
def test_layerwise_adamw_equals_its_formula(spare_tokens, jit):
    import tensorflow as tf

    variables = weights()
    scale = {"kernel": 0.25, "class_token": 0.5, "bias": 0.5}
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 6, 0.1, warmup_target=0.1, warmup_steps=3)
    optimizer = LayerwiseAdamW(
        schedule, 0.3, scales={v.path: scale[v.name] for v in variables if v.name in scale}, spare_tokens=spare_tokens
    )
    state = [(v.numpy().astype(float), 0.0, 0.0) for v in variables]
    step = tf.function(lambda *grads: optimizer.apply(grads, variables), jit_compile=jit)
    for t in range(1, 9):
        grads = [RNG.normal(size=v.shape).astype("float32") for v in variables]
        rate = float(schedule(t - 1))
        step(*map(tf.constant, grads))
        for i, (variable, g) in enumerate(zip(variables, grads, strict=True)):
            w, m, v = state[i]
            eta = rate * scale.get(variable.name, 1.0)
            spared = g.ndim == 1 or (spare_tokens and variable.name == "class_token")
            w = w - eta * (0.0 if spared else 0.3) * w
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            w = w - eta * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7 / np.sqrt(1 - 0.999**t))
            state[i] = w, m, v
            np.testing.assert_allclose(variable.numpy(), w, rtol=2e-4, atol=2e-6)


def test_without_scales_it_is_keras_adamw():
    """To rounding: the decay is multiplied by the rate in another order."""
    ours, theirs = weights(), weights()
    for a, b in zip(ours, theirs, strict=True):
        b.assign(a)
    mine, keras_own = LayerwiseAdamW(0.1, 0.3, beta_2=0.95), keras.optimizers.AdamW(0.1, 0.3, beta_2=0.95)
    keras_own.exclude_from_weight_decay(var_names=["bias", "zeros"])
    for _ in range(4):
        grads = [RNG.normal(size=v.shape).astype("float32") for v in ours]
        mine.apply([keras.ops.convert_to_tensor(g) for g in grads], ours)
        keras_own.apply([keras.ops.convert_to_tensor(g) for g in grads], theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("by_name", [False, True])
def test_what_a_user_excludes_is_not_decayed_either(by_name):
    variables = weights()
    optimizer = LayerwiseAdamW(0.1, 0.5)
    excluded = {"var_names": ["kern", "nothing"]} if by_name else {"var_list": variables[:1]}
    optimizer.exclude_from_weight_decay(**excluded)
    before = [v.numpy() for v in variables]
    optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    np.testing.assert_array_equal(variables[0].numpy(), before[0])
    np.testing.assert_allclose(variables[2].numpy(), before[2] * 0.95, rtol=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
def test_lars_equals_its_formula(weight_decay):
    variables = weights()
    optimizer = LARS(0.5, momentum=0.8, trust=0.01, weight_decay=weight_decay)
    state = [(v.numpy().astype(float), 0.0) for v in variables]
    for t in range(5):
        grads = [RNG.normal(size=v.shape) * (t > 0) for v in variables]  # a first step without any gradient
        optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in grads], variables)
        for i, (variable, g) in enumerate(zip(variables, grads, strict=True)):
            w, m = state[i]
            if g.ndim > 1:
                g = g + weight_decay * w
                norms = np.linalg.norm(w), np.linalg.norm(g)
                g = g * (0.01 * norms[0] / norms[1] if min(norms) > 0 else 1.0)
            m = 0.8 * m + g
            w = w - 0.5 * m
            state[i] = w, m
            np.testing.assert_allclose(variable.numpy(), w, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "optimizer",
    [
        LayerwiseAdamW(0.02, 0.3, scales={"a/kernel": 0.5}, spare_tokens=True, beta_2=0.95, use_ema=True),
        LARS(keras.optimizers.schedules.CosineDecay(0.1, 5), 0.7, 0.002, 0.1),
    ],
)
def test_optimisers_survive_serialisation(optimizer):
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(("warmup", "floor"), [({"warmup_steps": 5}, 1e-5), ({"warmup": 0.25}, 0.0), ({}, 0.0)])
def test_rate_at_every_step(warmup, floor):
    peak, steps = 2e-3, 40
    w = warmup.get("warmup_steps", int(warmup.get("warmup", 0) * steps))
    schedule = schedules.build(steps, peak, floor=floor, **warmup)._learning_rate
    for t in range(steps + 1):
        rise = peak * t / w if w else 0.0
        fall = floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * (t - w) / (steps - w)))
        assert float(schedule(t)) == pytest.approx(rise if t < w else fall, rel=1e-5, abs=1e-9)


def test_build_chooses_the_optimiser():
    assert type(schedules.build(10, 1e-3)) is keras.optimizers.Adam
    chosen = schedules.build(
        10, 1e-3, weight_decay=0.05, betas=(0.9, 0.95), scales={"x": 0.5}, spare_tokens=True, ema=0.99
    )
    assert (chosen.weight_decay, chosen.beta_2, chosen.scales, chosen.spare_tokens) == (0.05, 0.95, {"x": 0.5}, True)
    assert chosen.use_ema and chosen.ema_momentum == 0.99
    assert type(schedules.build(10, 1e-3, scales={"x": 0.5})) is LayerwiseAdamW
    plain = schedules.build(10, 1e-3, optimizer="sgd", clip=2.0)
    assert (type(plain), plain.momentum, plain.global_clipnorm) == (keras.optimizers.SGD, 0.0, 2.0)
    assert float(plain.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: layer_scales(small_vit(), 0.0), "decay"),
        (lambda: layer_scales(small_vit(), 1.5), "decay"),
        (lambda: LARS(momentum=1.0), "momentum"),
        (lambda: schedules.build(10, 1e-3, optimizer="sgd", weight_decay=0.1), "sgd has no weight_decay"),
        (lambda: LARS(trust=0.0), "trust"),
        (lambda: LARS(weight_decay=-1.0), "weight_decay"),
        (lambda: LayerwiseAdamW(scales={"kernel": 0.5}).build([*weights()[:1], *weights()[:1]]), "path of its own"),
    ],
)
def test_refusals(make, says):
    with pytest.raises(InputError, match=says):
        make()
