"""Sequences of values and of ids in every network: padding, the loss against NumPy, saving, refusals."""

import keras
import numpy as np
import pytest

import kerasae
from kerasae import distributions, layers, models, networks
from kerasae.errors import InputError

IDS = 9
LENGTHS = np.array([5, 3, 6, 0, 1])
RNG = np.random.default_rng(0)
WORDS = np.where(np.arange(6) < LENGTHS[:, None], RNG.integers(1, IDS, (5, 6)), 0).astype("uint16")
VALUES = np.where(np.arange(6)[:, None] < LENGTHS[:, None, None], RNG.normal(size=(5, 6, 2)), np.nan).astype("float32")


def lstm(shape, **options):
    return networks.lstm(shape, 3, (4, 3), **options)


def gru(shape, **options):
    return networks.gru(shape, 3, (4, 3), **options)


def transformer(shape, **options):
    return networks.transformer(shape, 3, 8, 2, 2, **options)


def by_step(shape, **options):
    return networks.transformer(shape, 3, 8, 2, 2, pooling=None, **options)


NETWORKS = [pytest.param(lstm, marks=pytest.mark.slow), gru, transformer, by_step]


def of_ids(network, steps=6, cls=models.Autoencoder, **options):
    return cls(*network((steps,), vocabulary=IDS), distributions.Tokens(IDS), **options)


def of_values(network, steps=6, cls=models.Autoencoder, **options):
    return cls(*network((steps, 2)), "gaussian", **options)


KINDS = {of_ids: WORDS, of_values: VALUES}


def longer(x):
    """x with three more steps of padding."""
    return np.concatenate([x, np.full_like(x[:, :3], 0 if x.dtype == "uint16" else np.nan)], axis=1)


def copy_weights(model, other):
    """Give `other`, of longer sequences, the weights of `model`; positions that are new get the number 7."""
    for old, new in zip(model.weights, other.weights, strict=True):
        old = old.numpy()
        new.assign(old if old.shape == new.shape else np.pad(old, ((0, 0), (0, 3), (0, 0)), constant_values=7))


def loss_and_gradients(model, x):
    model.compile("sgd")
    proposal = model.propose(x)
    return proposal.logs["loss"].numpy(), [g.numpy() for g in proposal.updates[0].gradients]


@pytest.mark.parametrize("build", KINDS)
@pytest.mark.parametrize("network", NETWORKS)
def test_padding_changes_nothing(network, build):
    model, other, x = build(network), build(network, 9), KINDS[build]
    copy_weights(model, other)
    codes, more = np.asarray(model.encode(x)), np.asarray(other.encode(longer(x)))
    seen = np.arange(6) < LENGTHS[:, None] if codes.ndim == 3 else slice(None)
    np.testing.assert_allclose(codes[seen], (more[:, :6] if codes.ndim == 3 else more)[seen], rtol=1e-5, atol=1e-6)
    kept = np.asarray(other.reconstruct(longer(x)))[:, :6]
    known = np.arange(6) < LENGTHS[:, None]
    np.testing.assert_allclose(np.asarray(model.reconstruct(x))[known], kept[known], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.score(x), other.score(longer(x)), rtol=1e-5, atol=1e-5)
    (loss, gradients), (same, others) = loss_and_gradients(model, x), loss_and_gradients(other, longer(x))
    assert loss == pytest.approx(same, rel=1e-5) and np.isfinite(loss)
    for one, two in zip(gradients, others, strict=True):
        two = two if one.shape == two.shape else two[:, :6]
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_of_ids_are_those_of_numpy(network):
    model = of_ids(network)
    model.set_weights([RNG.normal(0, 0.5, w.shape) for w in model.get_weights()])
    codes = model.encode(WORDS)
    logits = np.asarray(model.decoder(codes), "float64")
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = [-sum(logs[i, t, WORDS[i, t]] for t in range(n)) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(model.score(WORDS), expected, rtol=1e-4, atol=1e-5)
    model.compile("sgd")
    assert model.evaluate(WORDS, verbose=0, return_dict=True)["loss"] == pytest.approx(np.mean(expected), rel=1e-4)
    np.testing.assert_array_equal(model.reconstruct(WORDS), 1 + logits[..., 1:].argmax(axis=-1))


def test_the_transformer_attends_as_keras_own_attention_does():
    """The block against `keras.layers.MultiHeadAttention` with its own masks."""
    x, mask = RNG.normal(size=(2, 5, 8)).astype("float32"), np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], "float32")
    for causal in (False, True):
        own = layers.StepAttention(2, causal)
        own((x, mask))
        theirs = keras.layers.MultiHeadAttention(2, 4)
        theirs.build(x.shape, x.shape)
        kernels = np.split(own.qkv.get_weights()[0], 3, axis=-1)
        inner = [w for kernel in kernels for w in (kernel.reshape(8, 2, 4), np.zeros((2, 4)))]
        theirs.set_weights([*inner, own.proj.get_weights()[0].reshape(2, 4, 8), np.zeros(8)])
        allowed = np.broadcast_to(mask[:, None, :] > 0, (2, 5, 5))
        expected = theirs(x, x, attention_mask=allowed, use_causal_mask=causal)
        np.testing.assert_allclose(own((x, mask)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "network", [*(pytest.param(net, marks=pytest.mark.slow) for net in (gru, by_step)), transformer]
)
def test_saves_loads_and_gives_features(network, tmp_path):
    model = of_ids(network)
    model.compile("adam")
    model.fit(WORDS, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kerasae.saving.load_model(tmp_path / "model.keras")
    for method in ("encode", "reconstruct", "score"):
        np.testing.assert_array_equal(getattr(again, method)(WORDS), getattr(model, method)(WORDS))
    features = model.feature_encoder()
    np.testing.assert_allclose(features(WORDS.astype("float32")), model.encode(WORDS), rtol=1e-6, atol=1e-6)


def test_ids_are_not_divided_and_go_through_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    pair = networks.lstm((2,), 3, (4,), vocabulary=1000)
    model = models.Autoencoder(*pair, distributions.Tokens(1000))
    x = np.array([[998, 999], [999, 998], [997, 999]], "uint16")  # which bfloat16 cannot tell apart
    codes = np.asarray(model.encode(x), "float32")
    assert np.abs(codes[0] - codes[2]).max() > 0 and np.abs(codes[0] - codes[1]).max() > 0
    np.testing.assert_array_equal(model.prepare(x).x, x)


VARIANTS = {
    models.Autoencoder: {},
    models.DenoisingAutoencoder: {"corrupted_weight": 1.0, "clean_weight": 0.5},
    models.SparseAutoencoder: {},
    models.KSparseAutoencoder: {"k": 2},
    models.WassersteinAutoencoder: {},
    models.AdversarialAutoencoder: {},
}


@pytest.mark.parametrize("build", [of_ids, pytest.param(of_values, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cls", VARIANTS)
def test_variants_leave_padding_out_too(cls, build):
    def network(shape, **options):
        sigmoid = "sigmoid" if cls is models.SparseAutoencoder else None
        return networks.gru(shape, 3, (4,), code_activation=sigmoid, **options)

    still = {"corruption": layers.MaskingCorruption(0.0)} if cls is models.DenoisingAutoencoder else {}
    if still and build is of_ids:
        still = {"corruption": layers.TokenCorruption(IDS, 0.0)}
    model, x = build(network, cls=cls, **VARIANTS[cls], **still), KINDS[build]
    other = build(network, 9, cls=cls, **VARIANTS[cls], **still)
    other.set_weights(model.get_weights())
    terms = [np.asarray(m.objective(m.prepare(v))["reconstruction"]) for m, v in ((model, x), (other, longer(x)))]
    np.testing.assert_allclose(*terms, rtol=1e-5, atol=1e-5)
    assert terms[0][3] == 0 and terms[0][0] != 0  # the fourth has no step


def test_masked_language_modelling_counts_the_chosen_tokens_alone():
    """Chosen shares of 15 %, 80 %, 10 %, 10 %; the loss is that of the chosen tokens, computed by NumPy."""
    corruption = layers.TokenCorruption(IDS, seed=1)
    x = np.tile(WORDS, (2000, 1)).astype("float32")
    hidden, chosen = (np.asarray(part) for part in corruption.corrupt_and_mark(x))
    real = x > 0
    assert chosen[real].mean() == pytest.approx(0.15, abs=0.01) and not chosen[~real].any()
    np.testing.assert_array_equal(hidden[chosen == 0], x[chosen == 0])
    fates = hidden[chosen == 1]
    told = x[chosen == 1]
    assert (fates[told != 2] == 2).mean() == pytest.approx(0.8, abs=0.02)
    # A random id of six is the old one now and then.
    assert ((fates != 2) & (fates != told))[told > 2].mean() == pytest.approx(0.1 * 5 / 6, abs=0.02)
    assert set(np.unique(fates[(fates != 2) & (fates != told)])) == set(range(3, IDS))

    model = of_ids(by_step, cls=models.DenoisingAutoencoder, clean_weight=0.0)
    batch = model.prepare(WORDS)
    hidden, chosen = model.corruption.corrupt_and_mark(batch.x, training=False)
    logits = np.asarray(model.decoder(model.encoder([hidden, batch.mask])), "float64")
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    picked = np.take_along_axis(logs, WORDS.astype(int)[..., None], axis=-1)[..., 0]
    expected = -(picked * np.asarray(chosen)).sum(axis=1)
    assert expected.max() > 0
    np.testing.assert_allclose(model.objective(batch)["reconstruction"], expected, rtol=1e-4, atol=1e-5)


def test_the_emphasis_of_denoising_leaves_padding_out():
    model = of_values(gru, cls=models.DenoisingAutoencoder, corruption=layers.GaussianCorruption(0.1))
    batch = model.prepare(VALUES)
    lost = model.objective(batch._replace(target=batch.target + 5.0 * (1 - batch.mask)[..., None]))["reconstruction"]
    np.testing.assert_array_equal(lost, model.objective(batch)["reconstruction"])


@pytest.mark.slow
def test_learns_to_repeat_short_sentences():
    """A code of 16 numbers says which of 5 × 5 × 5 sentences it was; the order too, which a mean of words loses."""
    keras.utils.set_random_seed(3)
    x = np.stack(np.meshgrid(*[np.arange(3, 8)] * 3), axis=-1).reshape(-1, 3).astype("uint16")
    model = models.Autoencoder(
        *networks.transformer((3,), 16, 32, 1, 2, decoder_depth=1, vocabulary=8), distributions.Tokens(8)
    )
    model.compile(keras.optimizers.Adam(0.003))
    model.fit(x, batch_size=25, epochs=75, verbose=0)
    assert np.mean(np.asarray(model.reconstruct(x)) == x) > 0.95


def test_draws_follow_the_softmax():
    likelihood, chances = distributions.Tokens(4), np.array([0.5, 0.2, 0.3])
    raw = np.log(np.tile(np.concatenate([[9.0], chances]), (3000, 1)))[:, None]
    found = np.asarray(likelihood.draw(raw.astype("float32"), layers.draws.Draws(1)))
    np.testing.assert_allclose(np.bincount(found[:, 0].astype(int), minlength=4)[1:] / 3000, chances, atol=0.03)


def test_mistakes_are_refused():
    ids = distributions.Tokens(IDS)
    with pytest.raises(InputError, match="Tokens: vocabulary must be at least 3"):
        distributions.Tokens(2)
    with pytest.raises(InputError, match=r"ids need .* a mask, such as kerasae.networks.lstm"):
        models.Autoencoder(networks.dense((6,), 3)[0], networks.lstm((6,), 3, (4,), vocabulary=IDS)[1], likelihood=ids)
    with pytest.raises(InputError, match="the decoder gives"):
        models.Autoencoder(*networks.lstm((6,), 3, (4,), vocabulary=8), ids)
    with pytest.raises(InputError, match="MaskingCorruption does not fit the likelihood; give TokenCorruption"):
        of_ids(lstm, cls=models.DenoisingAutoencoder, corruption=layers.MaskingCorruption())
    with pytest.raises(InputError, match="TokenCorruption does not fit the likelihood; give a corruption of values"):
        of_values(lstm, cls=models.DenoisingAutoencoder, corruption=layers.TokenCorruption(IDS))
    with pytest.raises(InputError, match=r"expected integers in 0…8.*give ids of the model's vocabulary"):
        of_ids(lstm).encode(np.full((1, 6), 9, "uint16"))
    with pytest.raises(InputError, match="expected ids, whole numbers"):
        of_ids(lstm).encode(np.full((1, 6), 1.5, "float32"))
    with pytest.raises(InputError, match="shares of at most 1 together"):
        layers.TokenCorruption(IDS, masked=0.8, random=0.3)
    with pytest.raises(InputError, match="vocabulary must be more than 3"):
        layers.TokenCorruption(3)
    with pytest.raises(InputError, match="pooling must be 'mean' or None"):
        networks.transformer((6, 2), 3, pooling="max")
    with pytest.raises(InputError, match="gru: shape must be"):
        networks.gru((6, 2), 3, vocabulary=IDS)
    with pytest.raises(InputError, match="expected 6 steps. Received: 7"):
        layers.StepPositions(6)(np.zeros((1, 7, 2)))
