"""The trigram model: sums to one, equals the definition word by word, chooses its discount, draws what it says."""

from collections import Counter

import numpy as np
import pytest

from kerasae.distributions import Trigram
from kerasae.errors import InputError

RNG = np.random.default_rng(0)
X = np.where(np.arange(6) < RNG.integers(1, 7, (40, 1)), RNG.choice([1, 3, 4, 5, 6], (40, 6)), 0)


def by_definition(lines, before, last, word, d, ids):
    """p(word | before, last) from dictionaries of counts, with an end after each line of fewer than 6 words."""
    grams = [Counter(), Counter(), Counter()]
    for line in lines:
        words = [0, 0, *line[line > 0]] + ([0] if (line > 0).sum() < 6 else [])
        for t in range(2, len(words)):
            for n in (1, 2, 3):
                grams[n - 1][tuple(words[t - n + 1 : t + 1])] += 1
    p = 0.0 if word == 2 else 1 / (ids - 1)
    for n, context in enumerate(((), (last,), (before, last))):
        after = {gram: c for gram, c in grams[n].items() if gram[:-1] == context}
        if total := sum(after.values()):
            p = max(after.get((*context, word), 0) - d, 0) / total + d * len(after) / total * p
    return p


def test_probabilities_are_those_of_the_definition_and_sum_to_one():
    model = Trigram(X, ids=8, discount=0.6)
    for before, last in ((0, 0), (3, 4), (0, 5), (7, 7), (3, 7)):
        found = model.probability(np.full(8, before), np.full(8, last), np.arange(8))
        expected = [by_definition(X, before, last, word, 0.6, 8) for word in range(8)]
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        assert found.sum() == pytest.approx(1, abs=1e-12) and found[2] == 0
    logs = [[by_definition(X, 0, 0, 3, 0.6, 8), by_definition(X, 0, 3, 4, 0.6, 8), by_definition(X, 3, 4, 0, 0.6, 8)]]
    np.testing.assert_allclose(model.log_prob(np.array([[3, 4, 0, 0]])), np.log(logs).sum(axis=1), rtol=1e-10)
    assert model.perplexity(np.array([[3, 4, 0, 0]])) == pytest.approx(np.exp(-np.log(logs).mean()))


def test_a_line_that_fills_all_steps_has_no_end():
    model = Trigram(X, ids=8)
    whole, ended = model.log_prob(np.array([[3, 4]])), model.log_prob(np.array([[3, 4, 0]]))
    assert whole - ended == pytest.approx(-np.log(model.probability([3], [4], [0])))


def test_the_discount_is_that_under_which_held_out_lines_are_likeliest():
    train, held = X[:30], X[30:]
    model = Trigram.chosen(train, held, 8, discounts=(0.2, 0.5, 0.9))
    by_discount = {d: Trigram(train, 8, d).perplexity(held) for d in (0.2, 0.5, 0.9)}
    assert model.discount == min(by_discount, key=by_discount.get) and len(set(by_discount.values())) == 3


def test_draws_follow_the_probabilities_and_the_seed():
    model = Trigram(X, ids=8, discount=0.6)
    drawn = model.sample(4000, steps=3, seed=1)
    np.testing.assert_array_equal(drawn, model.sample(4000, steps=3, seed=1))
    assert np.any(drawn != model.sample(4000, steps=3, seed=2))
    first = np.bincount(drawn[:, 0], minlength=8) / 4000
    np.testing.assert_allclose(first, model.probability(np.zeros(8), np.zeros(8), np.arange(8)), atol=0.03)
    after = drawn[drawn[:, 0] == 3, 1]
    expected = model.probability(np.zeros(8), np.full(8, 3), np.arange(8))
    np.testing.assert_allclose(np.bincount(after, minlength=8) / len(after), expected, atol=0.06)
    ended = np.cumsum(drawn == 0, axis=1) > 0
    assert (drawn[ended] == 0).all() and 2 not in drawn


def test_mistakes_are_refused():
    with pytest.raises(InputError, match=r"discount must be in \(0, 1\)"):
        Trigram(X, 8, 1.0)
    with pytest.raises(InputError, match=r"expected ids \[N, T\] in 0…5"):
        Trigram(X, 6)
