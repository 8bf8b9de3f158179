"""Hold the tokens of a frozen encoder in memory, or encode them on demand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasae.errors import InputError
from kerasae.evaluate.probe import example_batches, outputs, public_method, traced

LIMIT = 4 * 2**30
"""Bytes of tokens held in memory, by default."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of many examples, by index: `fetch(rows)` returns the tokens of some examples, [B, *shape].

    Example:
        >>> tokens = Tokens.of(np.arange(12.0).reshape(3, 2, 2))
        >>> len(tokens), tokens.shape, tokens.subset([2, 0]).gather([0]).ravel().tolist()
        (3, (2, 2), [8.0, 9.0, 10.0, 11.0])
    """

    fetch: Callable[[np.ndarray], np.ndarray]
    rows: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, values) -> "Tokens":
        """Wrap an array [N, ...] as `Tokens`; `Tokens` pass unchanged."""
        if isinstance(values, cls):
            return values
        values = np.asarray(values)
        return cls(values.__getitem__, np.arange(len(values)), values.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, indices) -> np.ndarray:
        """Fetch the tokens of some examples: [B, *shape]."""
        return self.fetch(self.rows[indices])

    def subset(self, indices) -> "Tokens":
        """Select some of the examples, without a copy of their tokens."""
        return Tokens(self.fetch, self.rows[indices], self.shape)


def tokens_and_features(model, data, batch_size: int = 256, *, limit: int = LIMIT) -> tuple[Tokens, np.ndarray]:
    """Compute all tokens of a trained model, and the codes pooled from them, in one pass over the data.

    Args:
        model: anything with `tokens(x)`, [B, ...] → [B, T, D], and `pool(tokens)`, [B, T, D] → the codes that
            `encode(x)` gives.
        data: an array [N, ...], a `(x, y)` pair, or a split of a `kerasae.data` source.
        batch_size: examples encoded at once.
        limit: bytes of float16 tokens to hold in memory; beyond it tokens are encoded again on demand, which costs
            a pass of the encoder per epoch of a probe.

    Returns:
        (`Tokens` [N, T, D] as float16, codes flattened to [N, F] as float32), in stored order.

    Raises:
        InputError: if the model has no tokens, the data are empty, or a token is not finite as float16.

    Example:
        >>> import types
        >>> model = types.SimpleNamespace(tokens=lambda x: x / 2, pool=lambda tokens: tokens[:, 0])
        >>> tokens, features = tokens_and_features(model, np.ones((3, 4, 2), "float32"))
        >>> len(tokens), tokens.shape, features.shape
        (3, (4, 2), (3, 2))
    """
    encode, pool = public_method(model, "tokens"), public_method(model, "pool")
    codes, cache, shape, start = [], None, None, 0

    def both(x):
        tokens = encode(x)
        return pool(tokens), tokens

    for _, _, (code, tokens) in outputs(both, data, batch_size):
        if shape is None:
            shape = tokens.shape[1:]
            cache = room_for(size_of(data), shape, limit)
        codes.append(code.reshape(len(code), -1))
        if cache is not None:
            cache[start : start + len(tokens)] = to_float16(tokens)
        start += len(tokens)
    held = Tokens.of(cache) if cache is not None else Tokens(on_demand(encode, data), np.arange(start), shape)
    return held, np.concatenate(codes)


def size_of(data) -> int:
    """Count the examples."""
    return len(data[0] if isinstance(data, tuple) else data)


def room_for(count: int, shape: tuple[int, ...], limit: int) -> np.ndarray | None:
    """Allocate an array for all tokens, or return None if they exceed the limit."""
    size = count * int(np.prod(shape)) * np.dtype(np.float16).itemsize
    return np.empty((count, *shape), np.float16) if size <= limit else None


def to_float16(tokens: np.ndarray) -> np.ndarray:
    """Convert tokens to float16, which is wide enough for normalised tokens; raises InputError if one overflows."""
    with np.errstate(over="ignore"):
        half = tokens.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(
            f"model: expected tokens within ±65504, received up to {np.abs(tokens).max():g}; "
            "check the training of the encoder."
        )
    return half


def on_demand(encode: Callable, data) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that encodes the examples of some rows."""
    x, _ = next(example_batches(data, 1))
    step = traced(encode, x)
    if hasattr(data, "gather"):
        return lambda rows: to_float16(step(data.gather(rows)[0]).numpy())
    x = np.asarray(data[0] if isinstance(data, tuple) else data)
    return lambda rows: to_float16(step(x[rows]).numpy())
