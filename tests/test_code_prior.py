"""The learned prior of codebook indices: exact probabilities, causality, draws, bits, and its command."""

import io
import itertools

import keras
import numpy as np
import pytest
import scipy.stats
from PIL import Image

import kerasae
from kerasae import models, networks, runs
from kerasae.errors import InputError
from pipelines import evaluate, prior, sample, train
from pipelines.judging import bits, samples

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(12, 4, 4, 1)).astype("float32")
MAPS = np.array(list(itertools.product(range(3), repeat=4)))


def model(condition=None, **options):
    """A 2×2 map of 3 entries: 81 maps."""
    keras.utils.set_random_seed(3)
    first = models.VectorQuantizedAutoencoder(*networks.conv_map((4, 4, 1), 2, (4,)), "bernoulli", entries=3)
    first.adapt(X)
    network = networks.index_transformer(4, 3, 8, 2, 2, condition=condition, **options)
    noise = np.random.default_rng(4)
    for weight in network.weights:  # larger than at first, so that nothing is about uniform
        weight.assign_add(noise.normal(scale=0.3, size=weight.shape).astype("float32"))
    return models.CodePriorAutoencoder(first, network)


@pytest.mark.parametrize("condition", [None, 2])
def test_the_probabilities_of_all_maps_sum_to_one(condition):
    one = model(condition)
    for y in (None,) if condition is None else (0, 1):
        logs = np.asarray(one.log_prob(MAPS, None if y is None else np.full(81, y)), float)
        assert np.exp(logs).sum() == pytest.approx(1.0, abs=1e-5) and np.ptp(logs) > 1.0


def test_a_later_index_changes_no_earlier_logit():
    one, base = model(), MAPS[:1]
    for place in range(4):
        changed = base.copy()
        changed[0, place] = 2
        apart = np.abs(np.asarray(one.logits(changed) - one.logits(base))[0]).max(-1)
        assert np.all(apart[: place + 1] == 0) and np.all(apart[place + 1 :] > 1e-4)


@pytest.mark.parametrize("condition", [None, 2])
def test_drawn_maps_are_as_frequent_as_they_are_likely(condition):
    one, count = model(condition), 4000
    y = None if condition is None else 1
    found = np.asarray(one.sample_indices(count, y, seed=5, batch_size=1500))
    p = np.exp(np.asarray(one.log_prob(MAPS, None if y is None else np.full(81, y)), float))
    observed = np.bincount(found @ [27, 9, 3, 1], minlength=81)
    often = p * count > 5  # the others are taken together
    seen, expected = (np.append(v[often], v[~often].sum()) for v in (observed, p / p.sum() * count))
    assert often.sum() > 40 and scipy.stats.chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 0.01
    assert scipy.stats.chisquare(observed).pvalue < 1e-6  # they are not uniform


def test_draws_depend_on_the_seed_alone():
    one = model()
    first = np.asarray(one.sample_indices(9, seed=1))
    np.testing.assert_array_equal(one.sample_indices(9, seed=1, batch_size=4), first)
    assert np.any(np.asarray(one.sample_indices(9, seed=2)) != first)
    expected = one.decode(one.lookup(first.reshape(-1, 2, 2)))
    np.testing.assert_allclose(one.sample(9, seed=1), expected, rtol=1e-6)


def test_the_score_is_the_code_length_of_both_stages():
    one = model()
    indices = np.asarray(one.indices(X)).reshape(12, 4)
    logits = np.asarray(one.logits(indices), float)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(logs, indices[..., None], -1).sum((1, 2))
    parts = np.asarray(one.code_length(X))
    np.testing.assert_allclose(parts[:, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(parts[:, 0], one.autoencoder.score(X), rtol=1e-5)
    np.testing.assert_allclose(one.score(X), parts.sum(1), rtol=1e-6)


def test_training_changes_the_prior_alone():
    one = model()
    before = [np.array(weight) for weight in one.autoencoder.weights]
    one.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    losses = [float(one.train_on_batch(X, return_dict=True)["indices"]) for _ in range(24)]
    assert losses[-1] < 0.8 * losses[0]
    for old, new in zip(before, one.autoencoder.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_parts_that_do_not_fit_are_refused():
    first = model().autoencoder
    pair = networks.conv_map((4, 4, 1), 2, (4,))
    cases = {
        "must be a VectorQuantizedAutoencoder": (models.Autoencoder(*pair), networks.index_transformer(4, 3, 8)),
        "4 places of 3 entries need": (first, networks.index_transformer(4, 5, 8)),
    }
    for words, parts in cases.items():
        with pytest.raises(InputError, match=words):
            models.CodePriorAutoencoder(*parts)
    with pytest.raises(InputError, match="heads must divide the width"):
        networks.index_transformer(4, 3, 9, heads=2)
    with pytest.raises(InputError, match="sample takes y"):
        model(2).sample(3)


def test_independent_places_are_their_shares():
    indices = RNG.integers(0, 3, (50, 4)) * [1, 0, 1, 1]
    shares = kerasae.evaluate.independent_shares(indices, 3)
    np.testing.assert_allclose(shares[1], [50.5 / 51.5, 0.5 / 51.5, 0.5 / 51.5])
    drawn = kerasae.evaluate.draw_independent(shares, 20_000, seed=1)
    found = np.stack([(drawn == k).mean(0) for k in range(3)], 1)
    np.testing.assert_allclose(found, shares, atol=0.015)


def test_bits_per_dimension_are_those_of_loops():
    one = model()
    found = kerasae.evaluate.bits_per_dimension(one, X[:8], X[8:])
    parts = np.asarray(one.code_length(X[8:]), float).mean(0) / np.log(2)
    assert found["bits_per_dimension"] == pytest.approx(parts.sum() / 16, rel=1e-5)
    assert found["bits_per_dimension_uniform"] == pytest.approx((parts[0] + 4 * np.log2(3)) / 16, rel=1e-5)
    counted, chosen = (np.asarray(one.indices(x)).reshape(-1, 4) for x in (X[:8], X[8:]))
    alone = [-np.log2((np.sum(counted[:, t] == k) + 0.5) / 9.5) for row in chosen for t, k in enumerate(row)]
    assert found["index_bits_independent"] == pytest.approx(np.sum(alone) / 4, rel=1e-6)


@pytest.mark.parametrize("channels, levels", [(1, 256), (3, 256), (1, 2)])
def test_png_is_lossless_and_counted_by_its_files(channels, levels, monkeypatch):
    images = RNG.integers(0, levels, (5, 6, 7, channels)).astype("uint8")
    written, save = [], Image.Image.save
    monkeypatch.setattr(
        Image.Image, "save", lambda self, file, *a, **k: (save(self, file, *a, **k), written.append(file))
    )
    found = kerasae.evaluate.png_bits(images, levels)
    *each, sheet = [file.getvalue() for file in written]
    back = [np.asarray(Image.open(io.BytesIO(content)), "uint8").reshape(6, 7, channels) for content in each]
    np.testing.assert_array_equal(back, images)
    assert found["png_bits_per_dimension"] == 8 * sum(map(len, each)) / images.size
    assert found["png_sheet_bits_per_dimension"] == 8 * len(sheet) / images.size < found["png_bits_per_dimension"]
    with pytest.raises(InputError, match="expected bytes"):
        kerasae.evaluate.png_bits(images.astype("float32"), levels)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run of the first stage on digits."""
    options = {"variant": "vector-quantized", "network": "conv", "pooling": "none", "code": 4, "filters": (8, 8)}
    options |= {"blocks": 1, "epochs": 5, "learning_rate": 1e-2, "options": {"entries": 8}, "likelihood": "categorical"}
    return train.run(train.Recipe(**options, out=str(tmp_path_factory.mktemp("first") / "run")))


SMALL = {"width": 16, "depth": 1, "heads": 2, "epochs": 4, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def second(first):
    """The run of the prior of these indices."""
    return prior.run(prior.Recipe(run=str(first.path), **SMALL))


def test_the_command_makes_a_run_that_samples_and_evaluates(first, second, tmp_path, capsys):
    assert second.path == first.path / "prior"
    assert second.figures["index_bits"] < second.figures["index_bits_uniform"] == 12
    one = runs.load_model(second.path)
    assert type(one) is models.CodePriorAutoencoder and one.autoencoder.codebook.size == 8
    x = kerasae.data.load("digits").test.arrays()[0]
    np.testing.assert_array_equal(one.indices(x), runs.load_model(first.path).indices(x))
    drawn = sample.run(sample.Recipe(run=str(second.path), n=3, to=str(tmp_path / "drawn")))
    assert len(list(drawn.glob("?.png"))) == 3
    figures = evaluate.run(evaluate.Recipe(run=str(second.path), generated=0)).figures
    expected = (figures["pixel_bits"] + figures["index_bits"]) / 64
    assert figures["bits_per_dimension"] == pytest.approx(expected)
    assert expected < figures["bits_per_dimension_uniform"] and figures["verdict"]
    assert figures["index_bits"] == pytest.approx(second.figures["index_bits"])
    assert "per pixel and channel" in capsys.readouterr().out


def test_rival_samples_are_of_other_indices_and_of_reconstructions(second):
    one, source = runs.load_model(second.path), kerasae.data.load("digits")
    found = samples.rival_samples(one, source, source.test, seed=1)
    assert set(found) == {"independent_indices", "uniform_indices", "reconstructions"}
    expected = np.rint(16 * np.asarray(one.reconstruct(source.test.arrays()[0])))
    assert np.abs(found["reconstructions"] - expected).max() <= 1  # rounding
    assert np.abs(found["uniform_indices"] - expected).mean() > np.abs(found["reconstructions"] - expected).mean()


@pytest.mark.parametrize(
    "likelihood, levels, discrete",
    [("bernoulli", 2, True), ("bernoulli", 17, False), ("gaussian", 17, False), ("categorical", 256, True)],
)
def test_bits_are_of_discrete_values_alone(likelihood, levels, discrete):
    assert bits.is_discrete(kerasae.distributions.likelihoods.get(likelihood), levels) == discrete


def test_a_conditional_prior_draws_a_class(first, tmp_path):
    told = {**SMALL, "conditional": True, "epochs": 1}
    run = prior.run(prior.Recipe(run=str(first.path), out=str(tmp_path / "told"), **told))
    one = runs.load_model(run.path)
    assert one.conditional and one.condition_width == 10
    drawn = sample.run(sample.Recipe(run=str(run.path), n=2, label="3", to=str(tmp_path / "drawn")))
    assert len(list(drawn.glob("?.png"))) == 2
    apart = np.abs(np.asarray(one.log_prob(np.zeros((1, 4)), [3]) - one.log_prob(np.zeros((1, 4)), [5])))
    assert apart > 1e-3


def test_runs_that_cannot_be_are_refused(tmp_path, first, second):
    with pytest.raises(InputError, match="run: expected one of `kerasae train vector-quantized`"):
        prior.run(prior.Recipe(run=str(second.path)))
    with pytest.raises(InputError, match="heads: expected a number that divides width"):
        prior.run(prior.Recipe(run=str(first.path), width=9, heads=2, out=str(tmp_path / "odd")))
