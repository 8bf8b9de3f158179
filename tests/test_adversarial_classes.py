"""Adversarial autoencoders that know classes: the losses of all players by NumPy, and learning from few labels."""

import keras
import numpy as np
import pytest

import kerasae
from kerasae.errors import InputError
from kerasae.models import AdversarialAutoencoder, SemiSupervisedAdversarialAutoencoder

RNG = np.random.default_rng(0)
X = RNG.random((8, 6)).astype("float32")
Y = np.array([0, 1, 2, -1, 1, -1, 0, -1])
ONE_HOT = np.eye(4)[Y][:, :3]  # rows of zeros where −1


def small(classes=3, **options):
    encoder, _ = kerasae.networks.dense((6,), classes + 2, (5,))
    _, decoder = kerasae.networks.dense((6,), 2, (5,), condition=classes)
    return SemiSupervisedAdversarialAutoencoder(encoder, decoder, "bernoulli", **options)


def dense(network, x):
    """NumPy's forward pass through dense layers with rectifiers between them."""
    pairs = list(zip(*[iter(network.get_weights())] * 2, strict=True))
    for kernel, bias in pairs[:-1]:
        x = np.maximum(x @ kernel + bias, 0)
    return x @ pairs[-1][0] + pairs[-1][1]


def cost(logits):
    """−log σ(logits), of logits [B, 1]."""
    return np.logaddexp(0, -logits)[:, 0]


def test_all_terms_are_numpys():
    model = small(prior_scale=3.0)
    encoded = dense(model.encoder, X)
    log_y = encoded[:, :3] - np.log(np.exp(encoded[:, :3]).sum(1, keepdims=True))
    y, z = np.exp(log_y), encoded[:, 3:]
    random = model.random(False)
    classes = np.asarray(kerasae.distributions.UniformOneHot(3).draw((8, 3), random))
    styles = 3 * random.normal((8, 2)).numpy()
    logits = dense(model.decoder, np.concatenate([z, y], 1))
    of_y, of_z = model.class_discriminator, model.style_discriminator
    expected = {
        "reconstruction": -np.sum(X * logits - np.logaddexp(0, logits), 1),
        "class_adversarial": cost(dense(of_y, y)),
        "style_adversarial": cost(dense(of_z, z)),
        "classification": -np.sum(ONE_HOT * log_y, 1),
        "class_discriminator": cost(dense(of_y, classes)) + cost(-dense(of_y, y)),
        "style_discriminator": cost(dense(of_z, styles)) + cost(-dense(of_z, z)),
    }
    found = model(model.prepare(X, Y)).terms
    assert list(found) == list(model.terms) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_every_player_learns_its_own_loss():
    """With a rate of zero for both discriminators, only encoder and decoder move."""
    model = small()
    model.compile(keras.optimizers.SGD(0.1), players={"class_discriminator": 0.0, "style_discriminator": 0.0})
    before = [w.numpy() for w in model.trainable_weights]
    model.train_on_batch(X, Y)
    own = {id(w) for part in (model.encoder, model.decoder) for w in part.weights}
    moved = {id(w) for w, old in zip(model.trainable_weights, before, strict=True) if np.any(w.numpy() != old)}
    assert moved == own


def test_samples_have_the_scale_of_the_prior():
    model = small(prior_scale=3.0)
    drawn = np.asarray(model.prior.draw((4000, 2), kerasae.layers.draws.Draws(1)))
    assert np.std(drawn) == pytest.approx(3, rel=0.05)
    np.testing.assert_array_equal(model.sample(4, y=1, seed=2), model.sample(4, y=[1] * 4, seed=2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small(prior_scale=0.0), "prior_scale must be > 0"),
        (
            lambda: small(class_discriminator=kerasae.models.adversarial.build_discriminator((2,))),
            "class_discriminator",
        ),
        (
            lambda: SemiSupervisedAdversarialAutoencoder(*kerasae.networks.dense((6,), 5)),
            "condition=K",
        ),
        (
            lambda: SemiSupervisedAdversarialAutoencoder(*kerasae.networks.dense((6,), 2, condition=3)),
            r"the encoder gives \(2,\).*needs \(5,\)",
        ),
    ],
)
def test_mistakes_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_few_labels_name_two_clouds(tmp_path):
    keras.utils.set_random_seed(0)
    y = np.arange(400) % 2
    x = np.where(y[:, None], [0.9, 0.1, 0.9, 0.1], [0.1, 0.9, 0.1, 0.9]) + RNG.normal(0, 0.1, (400, 4))
    x, known = np.clip(x, 0, 1).astype("float32"), np.where(np.arange(400) < 4, y, -1)
    encoder, _ = kerasae.networks.dense((4,), 2 + 1, (16,))
    _, decoder = kerasae.networks.dense((4,), 1, (16,), condition=2)
    model = SemiSupervisedAdversarialAutoencoder(encoder, decoder, alpha=20.0)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(x, known, batch_size=50, epochs=10, verbose=0)
    assert np.mean(np.asarray(model.probabilities(x)).argmax(1) == y) > 0.97
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.sample(6, seed=1), model.sample(6, seed=1))


def test_the_supervised_one_reconstructs_from_style_and_class():
    encoder, _ = kerasae.networks.dense((6,), 2, (5,))
    _, decoder = kerasae.networks.dense((6,), 2, (5,), condition=3)
    model, y = AdversarialAutoencoder(encoder, decoder), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    z = dense(encoder, X)
    logits = dense(decoder, np.concatenate([z, np.eye(3)[y]], 1))
    np.testing.assert_allclose(model.encode(X, y), z, rtol=1e-4, atol=1e-5)
    expected = -np.sum(X * logits - np.logaddexp(0, logits), 1)
    np.testing.assert_allclose(model(model.prepare(X, y)).terms["reconstruction"], expected, rtol=1e-4)
    assert model.sample(4, y=2, seed=1).shape == (4, 6)
