"""The command `sentences` from text to text, and its baselines against their definitions."""

import re

import numpy as np
import pytest
from test_text import BAD, GOOD, write

import kerasae
from kerasae.errors import InputError
from kerasae.evaluate import fold_accuracies, mean_of_vectors, word_vectors
from pipelines import sentences, train

X = np.array([[3, 4, 5, 0], [4, 3, 0, 0], [5, 4, 3, 4]])


def test_word_vectors_factorise_the_mutual_information_of_neighbours():
    counts = np.zeros((6, 6))
    for line in X:
        words = line[line > 0]
        for i, a in enumerate(words):
            for j, b in enumerate(words):
                counts[a, b] += 0 < abs(i - j) <= 2
    own = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.nan_to_num(np.maximum(np.log(counts * counts.sum() / np.outer(own, own)), 0))
    vectors = word_vectors(X, 6, width=5, window=2)
    u, s, _ = np.linalg.svd(expected)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), np.sqrt(s[:5]), atol=1e-4)
    np.testing.assert_allclose(vectors @ vectors.T, (u * s) @ u.T, atol=1e-4)
    np.testing.assert_allclose(vectors[0], 0, atol=1e-9)
    means = mean_of_vectors(np.array([[3, 4, 0], [0, 0, 0]]), vectors)
    np.testing.assert_allclose(means, [(vectors[3] + vectors[4]) / 2, np.zeros(5)], rtol=1e-6)
    with pytest.raises(InputError, match="width must be from 1 to 5"):
        word_vectors(X, 6, width=6)


def test_folds_learn_from_the_training_rows_alone():
    """Features of which each is known of its own training rows only: noise is right half of the time."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    told = []

    def features(rows):
        told.append(rows)
        leak = np.zeros(200)
        leak[rows] = labels[rows]
        return np.stack([leak, rng.normal(size=200)], axis=1)

    accuracies = fold_accuracies(features, labels, strengths=(1.0,))
    assert accuracies.shape == (5,) and accuracies.mean() == 0.5  # the held-out rows look like class 0
    assert sorted(np.concatenate([np.setdiff1d(np.arange(200), rows) for rows in told])) == list(range(200))
    assert fold_accuracies(lambda rows: labels[:, None] + 0.0, labels, strengths=(1.0,)).mean() == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences")
    options = {"text_as": "words", "steps": 9, "network": "gru", "widths": (8,), "code": 4, "epochs": 1}
    return train.run(
        train.Recipe(data=write(folder / "films", bad=BAD, good=GOOD), out=str(folder / "run"), **options)
    ).path


def test_prints_trigrams_reconstructions_the_way_and_the_folds(run, capsys):
    recipe = sentences.Recipe(
        run=str(run), between=("a warm film", "A dull film, number 3!"), count=3, sentiment=True, vector_width=5
    )
    figures = sentences.run(recipe)
    said = capsys.readouterr().out
    source = kerasae.data.load(kerasae.runs.read_recipe(run)["recipe"]["data"], text_as="words", steps=9)
    model = kerasae.distributions.Trigram(
        source.train.arrays()[0], len(source.info.columns), figures["trigram_discount"]
    )
    assert figures["trigram_perplexity"] == pytest.approx(model.perplexity(source.test.arrays()[0]))
    assert "from  a warm film" in said and re.search(r"to    a dull film number 3\b", said)
    assert figures["bag_accuracy"] == 1 and "whole_bag wins" in said  # good against bad


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"between": ("a film",)}, "between: expected two sentences. Received: 1"),
        ({"between": ("a film", "...")}, r"expected sentences of two or more words. Received: '...'"),
    ],
)
def test_sentences_that_are_none_are_refused(run, options, says):
    with pytest.raises(InputError, match=says):
        sentences.run(sentences.Recipe(run=str(run), count=2, **options))


def test_a_run_of_images_is_refused(tmp_path):
    images = train.run(train.Recipe(epochs=1, widths=(), code=2, out=str(tmp_path / "digits"))).path
    with pytest.raises(InputError, match="holds no autoencoder of tokens; train one with --text-as words"):
        sentences.run(sentences.Recipe(run=str(images)))
