"""A trigram model of sequences of ids: counts with interpolated absolute discounting."""

import math

import numpy as np

from kerasae.errors import InputError

END, MASK = 0, 2
"""Ids that a model of tokens has beside its vocabulary: padding, here the start and the end of a line; the mask."""

DISCOUNTS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


class Trigram:
    """Model a line by the two ids before each one: p(x) = Π_t p(x_t | x_{t−2}, x_{t−1}), its end included.

    Interpolated absolute discounting: Ney, Essen and Kneser, Computer Speech and Language 8 (1994), section 3. With
    counts c, h the context and h' the context without its first id,

        p(w | h) = max(c(h w) − d, 0) / c(h) + d n(h) / c(h) · p(w | h'),

    n(h) the number of different ids after h; p(w | h) = p(w | h') after a context that was never seen. Under the
    single ids lies the uniform distribution over all ids but the mask. It sums to 1 exactly.

    Args:
        x: ids [N, T], whole numbers, 0 after the end of each line; counted.
        ids: number V > 3 of ids.
        discount: d in (0, 1).

    A line that fills all T steps has no end, and none is counted. log p is in nats.

    Raises:
        InputError: for ids out of range, or a discount outside (0, 1).

    Example:
        >>> model = Trigram(np.array([[3, 4, 0], [3, 5, 0]]), ids=6, discount=0.5)
        >>> model.sample(1, steps=3, seed=0).shape
        (1, 3)
    """

    def __init__(self, x, ids, discount=0.75):
        if not 0 < discount < 1:
            raise InputError(f"Trigram: discount must be in (0, 1). Received: discount={discount}")
        self.ids, self.discount = int(ids), float(discount)
        grams = np.stack(self._grams(x)[:3])
        self._counts = [_counted(self._key(grams[2 - order :])) for order in range(3)]
        self._contexts = [_contexts(*counted, self.ids) for counted in self._counts]

    @classmethod
    def chosen(cls, x, held_out, ids, discounts=DISCOUNTS):
        """Fit to x with the discount under which the held-out lines [M, T] are the most probable."""
        return min((cls(x, ids, d) for d in discounts), key=lambda model: model.perplexity(held_out))

    def log_prob(self, x):
        """Compute log p of each line, with its end: float64 [N], nats."""
        *gram, rows = self._grams(x)
        return np.bincount(rows, np.log(self.probability(*gram)), minlength=len(x))

    def perplexity(self, x) -> float:
        """Compute exp(−mean log p) over all ids of the lines, their ends included."""
        *gram, _ = self._grams(x)
        return math.exp(-np.log(self.probability(*gram)).mean())

    def probability(self, before, last, word):
        """Compute p(word | before, last) of integers of one shape: float64."""
        gram = np.stack([np.asarray(part, np.int64) for part in (before, last, word)])
        p = np.where(gram[2] == MASK, 0.0, 1.0 / (self.ids - 1))
        for order in range(3):
            p = self._discounted(gram[2 - order :], order, p)
        return p

    def sample(self, n, steps, seed):
        """Draw n lines, 0 after their ends: int64 [n, steps]; the same for the same seed."""
        random, x = np.random.default_rng(seed), np.zeros((n, steps + 2), np.int64)
        words, going = np.arange(self.ids), np.ones(n, bool)
        for t in range(steps):
            chances = self.probability(x[:, t, None] + 0 * words, x[:, t + 1, None] + 0 * words, words + 0 * x[:, :1])
            drawn = (chances.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
            x[:, t + 2] = np.where(going, np.minimum(drawn, self.ids - 1), END)
            going &= x[:, t + 2] != END
        return x[:, 2:]

    def _discounted(self, gram, order, below):
        """One step of the interpolation, from p(w | h') to p(w | h) for contexts h of `order` ids."""
        count = _found(self._key(gram), *self._counts[order])
        contexts, totals, different = self._contexts[order]
        context = self._key(gram[:-1]) if order else np.zeros_like(gram[-1])
        total, kinds = _found(context, contexts, totals), _found(context, contexts, different)
        known = np.maximum(count - self.discount, 0) + self.discount * kinds * below
        return np.where(total > 0, known / np.maximum(total, 1), below)

    def _key(self, gram):
        """One number for the ids along the first axis."""
        key = np.zeros_like(gram[0])
        for part in gram:
            key = key * self.ids + part
        return key

    def _grams(self, x):
        """All ids of lines [N, T] with the two before them: before, last, word and row, int64 [M] each."""
        x = np.asarray(x).astype(np.int64)
        if x.ndim != 2 or not x.size or x.min() < 0 or x.max() >= self.ids:
            raise InputError(f"Trigram: expected ids [N, T] in 0…{self.ids - 1}. Received: an array {x.shape}")
        padded = np.pad(x, ((0, 0), (2, 0)))
        ended = np.cumsum(x == END, axis=1) <= 1  # the ids of the line, and its end
        rows, places = np.nonzero(ended)
        return padded[rows, places], padded[rows, places + 1], x[rows, places], rows


def _counted(keys):
    """Different keys in order, and how often each comes."""
    return np.unique(keys, return_counts=True)


def _contexts(keys, counts, ids):
    """Of keys of n-grams: the different contexts in order, their counts, and the numbers of ids that follow them."""
    contexts, places = np.unique(keys // ids, return_inverse=True)
    return contexts, np.bincount(places, counts), np.bincount(places)


def _found(keys, known, values):
    """Look the values of keys up; 0 for an unknown key."""
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, values[places], 0)
