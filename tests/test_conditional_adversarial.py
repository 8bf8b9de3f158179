"""The conditional adversarial autoencoder: its losses by NumPy, who moves which weights, its commands, and refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasae
from kerasae.errors import InputError
from kerasae.models import ConditionalAdversarialAutoencoder
from kerasae.models.adversarial import build_discriminator
from kerasae.models.conditional_adversarial import build_image_discriminator
from kerasae.models.contract.terms import logged
from kerasae.ops import total_variation
from pipelines import latent, sample, train

X = np.random.default_rng(0).random((6, 4, 3, 1)).astype("float32")
Y = np.array([0, 1, 2, 2, 1, 0])


def networks(shape=(4, 3, 1), code_activation="tanh", condition=3):
    encoder, _ = kerasae.networks.dense(shape, 2, (5,), code_activation=code_activation)
    return encoder, kerasae.networks.dense(shape, 2, (5,), condition=condition)[1]


def small(**options):
    parts = {
        "image_discriminator": build_image_discriminator((4, 3, 1), 3, (2, 3), 4),
        "code_discriminator": build_discriminator((2,), (4,)),
    }
    return ConditionalAdversarialAutoencoder(*networks(), **parts, **options)


def dense(network, x):
    """NumPy's forward pass through two dense layers, the first with a rectifier."""
    first, first_bias, last, last_bias = network.get_weights()
    return np.maximum(x @ first + first_bias, 0) @ last + last_bias


def minus_log(chance):
    return -np.log(chance)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_all_losses_are_numpys():
    model = small(image_weight=0.3, code_weight=0.2, variation_weight=0.1)
    drawn = 2 * model.random(False).uniform((6, 2)).numpy() - 1
    z = np.tanh(dense(model.encoder, X.reshape(6, -1)))
    made = sigmoid(dense(model.decoder, np.concatenate([z, np.eye(3)[Y]], 1))).reshape(X.shape)
    of_real, of_made = (sigmoid(model.image_discriminator([x, np.eye(3)[Y]]).numpy()[:, 0]) for x in (X, made))
    of_drawn, of_code = (sigmoid(dense(model.code_discriminator, code)[:, 0]) for code in (drawn, z))
    expected = {
        "absolute": np.abs(X - made).mean((1, 2, 3)),
        "image_adversarial": minus_log(of_made),
        "code_adversarial": minus_log(of_code),
        "total_variation": tf.image.total_variation(tf.constant(made)).numpy() / 12,
        "image_discriminator": minus_log(of_real) + minus_log(1 - of_made),
        "code_discriminator": minus_log(of_drawn) + minus_log(1 - of_code),
    }
    found = model(model.prepare(X, Y)).terms
    for name, value in expected.items():
        np.testing.assert_allclose(logged(found[name]), value, rtol=1e-4, atol=1e-5, err_msg=name)
    losses = {name: float(player.loss(found, None, False)) for name, player in model.players().items()}
    own = sum(w * expected[n].mean() for w, n in zip((1, 0.3, 0.2, 0.1), model.terms, strict=False))
    rivals = {name: expected[name].mean() for name in model.terms[4:]}
    assert losses == pytest.approx({"model": own, **rivals}, rel=1e-4)
    np.testing.assert_allclose(model.encode(X), z, rtol=1e-4)
    np.testing.assert_allclose(model.score(X, Y), expected["absolute"], rtol=1e-4)


def test_total_variation_is_tensorflows():
    images = np.random.default_rng(1).random((3, 5, 4, 2)).astype("float32")
    np.testing.assert_allclose(total_variation(images), tf.image.total_variation(tf.constant(images)) / 40, rtol=1e-5)


@pytest.mark.parametrize("still", ["image_discriminator", "code_discriminator"])
def test_every_player_moves_its_own_weights(still):
    model = small()
    model.compile(keras.optimizers.SGD(0.1), players={still: 0.0}, run_eagerly=True)
    before = [w.numpy() for w in model.trainable_weights]
    model.train_on_batch(X, Y)
    kept = {id(w) for w, old in zip(model.trainable_weights, before, strict=True) if np.all(w.numpy() == old)}
    assert kept == {id(w) for w in getattr(model, still).trainable_weights}


def test_the_discriminator_of_images_sees_a_constant_map_of_every_class():
    network = build_image_discriminator((4, 3, 1), 3, (2, 3), 4)
    (joined,) = (layer for layer in network.layers if isinstance(layer, keras.layers.Concatenate))
    inside = keras.Model(network.inputs, joined.output)([X, np.eye(3, dtype="float32")[Y]]).numpy()
    assert inside.shape == (6, 2, 2, 2 + 3)
    np.testing.assert_array_equal(inside[..., 2:], np.broadcast_to(np.eye(3)[Y][:, None, None], (6, 2, 2, 3)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="must end in tanh"):
        ConditionalAdversarialAutoencoder(*networks(code_activation=None))
    with pytest.raises(InputError, match=r"expected images \[H, W, C\]"):
        ConditionalAdversarialAutoencoder(*networks((6,)))
    with pytest.raises(InputError, match="the decoder must take the class"):
        ConditionalAdversarialAutoencoder(*networks(condition=None))
    with pytest.raises(InputError, match=r"image_discriminator must take images \(4, 3, 1\)"):
        ConditionalAdversarialAutoencoder(*networks(), image_discriminator=build_image_discriminator((4, 4, 1), 3))
    with pytest.raises(InputError, match="give one logit"):
        ConditionalAdversarialAutoencoder(*networks(), image_discriminator=kerasae.networks.dense((4, 3, 1), 1)[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("caae") / "run")
    settings = {
        "variant": "conditional-adversarial",
        "code": 3,
        "network": "conv",
        "filters": (4,),
        "epochs": 2,
        "batch_size": 300,
    }
    return train.run(train.Recipe(**settings, anneal={"image_weight": 0.0}, out=out))


def test_the_command_trains_saves_draws_a_class_and_varies_it(run, tmp_path):
    model = kerasae.runs.load_model(run.path)
    assert model.condition_width == 10 and float(model.image_weight) == pytest.approx(0.01)
    z = np.asarray(model.encode(kerasae.data.load("digits").test.arrays()[0]))
    assert 0 < np.abs(z).max() <= 1
    model.decode(z, np.full(len(z), 7))  # the class of every image changed, though nobody said which it was
    found = sample.run(sample.Recipe(run=str(run.path), to=str(tmp_path / "threes"), n=2, label="3"))
    assert len(list(found.glob("*.png"))) == 3
    pictures = latent.run(latent.Recipe(run=str(run.path), examples=2, stops=3, side=4)).figures["pictures"]
    assert pictures == "classes.png"


def test_classes_are_always_told_and_need_no_flag(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.random.default_rng(0).random((30, 8, 8), "float32"))
    unlabelled = kerasae.data.load(f"npz:{tmp_path / 'x.npz'}")
    with pytest.raises(InputError, match="conditional-adversarial: .* has no classes"):
        train.check(train.Recipe(variant="conditional-adversarial"), unlabelled)
    with pytest.raises(InputError, match="conditional: has no effect on conditional-adversarial"):
        train.check(train.Recipe(variant="conditional-adversarial", conditional=True), kerasae.data.load("digits"))
