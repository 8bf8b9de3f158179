"""Estimate the log-likelihood of models with an approximate posterior by importance sampling."""

import math
from collections.abc import Callable, Iterator

import keras
import numpy as np
from scipy.special import logsumexp

from kerasae.errors import InputError
from kerasae.evaluate.probe import example_batches, public_method


def importance_nll(
    model, x, samples: int = 200, *, batch_size: int = 100, chunk: int = 50, seed: int = 0
) -> np.ndarray:
    """Estimate the negative log-likelihood −log (1/S) Σₛ p(x, zₛ)/q(zₛ|x), zₛ ~ q(z|x); [N], nats per example.

    Positive sign: lower is better. Its expectation is an upper bound on −log p(x) that tightens as S grows
    (Burda et al. 2015, arXiv 1509.00519, eq. 8). Each of the S draws counts, also in a last, smaller chunk.

    Args:
        model: a model with `log_weight(x, samples, seed) -> [S, B]` in nats.
        x: examples [N, ...] or a split, in the form the model was trained on (binarised data: 0 and 1); of a
            conditional model a split of labelled examples, whose likelihood given the class it then is.
        samples: S, the draws per example.
        batch_size, chunk: examples and draws held in memory at once; they change only the random numbers.
        seed: of all draws; the same call gives the same numbers.

    Raises:
        InputError: no `log_weight`, a wrong shape or NaN from it, or fewer than one sample.

    Example:
        >>> import types
        >>> certain = types.SimpleNamespace(log_weight=lambda x, s, seed: np.full((s, len(x)), -3.0))
        >>> importance_nll(certain, np.zeros((2, 5)), samples=1).tolist()
        [3.0, 3.0]
    """

    def fold(total, weights):
        return np.logaddexp(total, logsumexp(weights, axis=0))

    total = _accumulate(model, x, samples, batch_size, chunk, seed, start=-np.inf, fold=fold)
    return math.log(samples) - total


def evidence_lower_bound(
    model, x, samples: int = 1, *, batch_size: int = 100, chunk: int = 50, seed: int = 0
) -> np.ndarray:
    """Estimate the evidence lower bound (1/S) Σₛ log p(x, zₛ)/q(zₛ|x) ≤ log p(x); [N], nats per example.

    The bound holds in expectation. The sign is that of a log-likelihood: higher is better. Arguments and errors as in
    `importance_nll`.

    Example:
        >>> import types
        >>> certain = types.SimpleNamespace(log_weight=lambda x, s, seed: np.full((s, len(x)), -3.0))
        >>> evidence_lower_bound(certain, np.zeros((2, 5)), samples=4).tolist()
        [-3.0, -3.0]
    """

    def fold(total, weights):
        return total + weights.sum(axis=0)

    return _accumulate(model, x, samples, batch_size, chunk, seed, start=0.0, fold=fold) / samples


def nll_summary(nll: np.ndarray) -> dict[str, float]:
    """Summarise negative log-likelihoods [N]: mean, standard error s/√N (s with N−1; NaN for one example), and N.

    The standard error covers the choice of examples only, not the bias of a finite number of samples.

    Example:
        >>> nll_summary(np.array([1.0, 3.0]))
        {'mean': 2.0, 'standard_error': 1.0, 'examples': 2}
    """
    nll = np.asarray(nll, np.float64)
    if nll.ndim != 1 or len(nll) == 0:
        raise InputError(f"nll: expected one number per example, [N] with N > 0, received shape {nll.shape}.")
    error = nll.std(ddof=1) / math.sqrt(len(nll)) if len(nll) > 1 else math.nan
    return {"mean": float(nll.mean()), "standard_error": float(error), "examples": len(nll)}


def _accumulate(model, x, samples, batch_size, chunk, seed, *, start: float, fold: Callable) -> np.ndarray:
    """Fold the importance weights of all chunks of draws into one number per example; [N]."""
    log_weight = public_method(model, "log_weight")
    if samples < 1 or chunk < 1:
        raise InputError(f"samples, chunk: expected at least 1, received {samples} and {chunk}; raise them.")
    totals = []
    told = getattr(model, "needs_condition", False)
    for number, (batch, labels) in enumerate(example_batches(x, batch_size)):
        given, total = {"y": labels} if told else {}, np.full(len(batch), start)
        for draws, chunk_seed in _chunks(samples, chunk, [seed, number]):
            total = fold(total, _weights(log_weight, batch, draws, chunk_seed, given))
        totals.append(total)
    return np.concatenate(totals)


def _chunks(samples: int, chunk: int, seed: list[int]) -> Iterator[tuple[int, int]]:
    """Yield (draws, seed) until all samples are drawn; every chunk of every batch has its own seed."""
    starts = range(0, samples, chunk)
    seeds = np.random.SeedSequence(seed).generate_state(len(starts)) >> 1  # fits a signed 32-bit integer
    for start, chunk_seed in zip(starts, seeds, strict=True):
        yield min(chunk, samples - start), int(chunk_seed)


def _weights(log_weight: Callable, batch: np.ndarray, draws: int, seed: int, given: dict) -> np.ndarray:
    """Compute and check the log importance weights log p(x, z)/q(z|x) of some draws; float64 [draws, B]."""
    weights = np.asarray(keras.ops.convert_to_numpy(log_weight(batch, draws, seed, **given)), np.float64)
    if weights.shape != (draws, len(batch)):
        raise InputError(
            f"model: expected log_weight of shape {(draws, len(batch))} (samples, batch), "
            f"received {weights.shape}; return one weight per draw and example."
        )
    if np.isnan(weights).any():
        raise InputError("model: expected log_weight without NaN, received NaN; check the inputs and the training.")
    return weights
