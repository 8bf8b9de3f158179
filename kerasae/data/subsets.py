"""Choosing examples: class-balanced labelled subsets and held-out parts, functions of a seed or of names alone."""

import hashlib
import math
import os
import unicodedata
from collections.abc import Sequence

import numpy as np

from kerasae.data.checks import number, seed_number, whole
from kerasae.errors import InputError


def balanced_subset(labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Sorted indices int64 [n] of a class-balanced subset that depends only on the labels, n and the seed.

    Every class gives n // K examples and the rest is dealt one each in an order drawn from the seed. A class
    that has fewer gives all it has and the others share what is missing. A smaller n gives a subset of a
    larger n wherever no class runs short, so that results at 100 and 1,000 labels are comparable.

    Args:
        labels: integers [N] from 0, as in `Split.labels`.
        n: how many examples; at least one per class, at most N.
        seed: 0 to 2**31 - 1.

    Raises:
        InputError: no labels, fewer than two classes, or an n that cannot be met.

    Example:
        >>> few = source.train.subset(kerasae.data.balanced_subset(source.train.labels, 100, seed=0))
    """
    labels = _label_vector(labels)
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InputError(f"labels: expected at least two classes; every label is {classes[0]}.")
    n = whole("n (number of labels)", n, len(classes), len(labels))
    rng = np.random.RandomState(seed_number(seed))  # its stream is frozen for ever, unlike default_rng's
    shares = _fair_shares(counts, n, rng.permutation(len(classes)))
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:share] for c, share in zip(classes, shares, strict=True)]
    return np.sort(np.concatenate(chosen))


def labelled_subset(labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Sorted indices int64 [n] of some examples to use the labels of: of one class balanced, of others at random.

    Args:
        labels: as in `Split.labels`, all known.
        n: how many; a smaller n gives a subset of a larger n, where no class runs short.
        seed: 0 to 2**31 - 1.

    Raises:
        InputError: as for `balanced_subset`.
    """
    if np.ndim(labels) != 2:
        return balanced_subset(labels, n, seed)
    n = whole("n (number of labels)", n, 2, len(labels))
    return np.sort(np.random.RandomState(seed_number(seed)).permutation(len(labels))[:n])


def oversampled(labels: np.ndarray, seed: int) -> np.ndarray:
    """Sorted indices in which every class stands as often as the largest one, its examples in turn.

    Args:
        labels: integers [N] from 0.
        seed: of which examples come once more than others of their class.

    Example:
        >>> oversampled(np.array([0, 0, 0, 1]), seed=0)
        array([0, 1, 2, 3, 3, 3])
    """
    labels, rng = _label_vector(labels), np.random.RandomState(seed_number(seed))
    groups = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    return np.sort(np.concatenate([np.resize(group, max(map(len, groups))) for group in groups]))


def holdout(labels_or_count, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices `(train, held out)` that part N examples; ceil(fraction x N) are held out, at least one.

    Given labels [N], each class is held out in proportion (within one example); given a count, or labels [N, D] that
    are not one class, at random.

    Raises:
        InputError: fewer than two examples, or a fraction that is not between 0 and 1.

    Example:
        >>> train, held = kerasae.data.holdout(source.train.labels, 0.1, seed=0)
    """
    fraction = number("fraction", fraction, 0.0, 1.0)
    if not 0.0 < fraction < 1.0:
        raise InputError(f"fraction: expected a number between 0 and 1; received {fraction:g}.")
    rng = np.random.RandomState(seed_number(seed))
    if np.ndim(labels_or_count) == 2:
        labels_or_count = len(labels_or_count)
    if np.ndim(labels_or_count) == 0 and labels_or_count is not None:
        groups = [np.arange(whole("labels_or_count", labels_or_count, 1))]
    else:
        labels = _label_vector(labels_or_count)
        groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    count = sum(len(group) for group in groups)
    if count < 2:
        raise InputError("holdout: expected at least 2 examples, to hold some out; received 1; give holdout 0.")
    held_count = min(math.ceil(count * fraction - 1e-9), count - 1)  # 1e-9: 0.1 x 30 may be 3 + a rounding error
    shares = _proportional_shares([len(group) for group in groups], held_count)
    held = np.concatenate([rng.permutation(g)[:share] for g, share in zip(groups, shares, strict=True)])
    return np.setdiff1d(np.arange(count), held), np.sort(held)


def holdout_by_name(names: Sequence[str], fraction: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Hold out files by a hash of their names, so that files added later never move those that are there.

    A file is held out if the first 8 bytes of SHA-256 of its name (UTF-8, in Unicode's form NFC), as a number in
    [0, 1), are below `fraction`. Where that holds out none of the files, the one with the smallest number is; where it
    holds out all, the one with the largest is not.

    Args:
        names: at least two, relative to the folder of the data, with "/" between folders.
        fraction: share to hold out, between 0 and 1.

    Returns:
        Sorted indices `(train, held out)`, and whether the rule alone gave both.

    Example:
        >>> train, held, _ = holdout_by_name(["cat/1.png", "cat/2.png"], 0.1)
    """
    places = np.array([_place(name) for name in names])
    held = places < fraction
    enough = bool(held.any() and not held.all())
    if not enough:
        held[np.argmax(places) if held.all() else np.argmin(places)] ^= True
    return np.flatnonzero(~held), np.flatnonzero(held), enough


def _place(name: str) -> float:
    """A number in [0, 1) that depends on a name only."""
    digest = hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", name))).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _label_vector(labels) -> np.ndarray:
    if labels is None:
        raise InputError("labels missing: expected an integer per example; this data set has none; use labelled data.")
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise InputError(f"labels: expected integers [N]; received shape {labels.shape}, type {labels.dtype}.")
    if labels.min() < 0:
        raise InputError("labels missing: some labels are negative, which means unknown; leave those examples out.")
    return labels


def _fair_shares(counts: np.ndarray, n: int, order: np.ndarray) -> np.ndarray:
    """Deal n one by one to the classes that still have some, in rounds of the given order."""
    shares = np.zeros_like(counts)
    while (left := n - shares.sum()) > 0:
        open_ = order[shares[order] < counts[order]]
        level = left // len(open_)
        if level == 0:
            shares[open_[:left]] += 1
        else:
            shares[open_] = np.minimum(shares[open_] + level, counts[open_])
    return shares


def _proportional_shares(counts: list[int], n: int) -> np.ndarray:
    """Largest remainders: floor(n x count / total) each, what is left to the largest fractions."""
    exact = np.asarray(counts) * n / sum(counts)
    shares = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: n - shares.sum()]] += 1
    return shares
