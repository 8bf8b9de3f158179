"""Lines of text as sequences of token ids: words or characters in their order, padded to one length."""

from collections.abc import Sequence

import numpy as np

from kerasae.data.checks import fits_in_memory
from kerasae.data.table_columns import Column
from kerasae.errors import InputError

PADDING, UNKNOWN, MASK = 0, 1, 2
"""Ids that are no words: after the end of a line, a word that the vocabulary lacks, a word that a corruption hides."""

RESERVED = ("<padding>", "<unknown>", "<mask>")
"""Their names, in the order of the ids."""

STEPS = 64
"""Most tokens of a line when no number is given."""

MOST_STEPS = 10_000

MOST_WORDS = 2**16 - len(RESERVED)
"""Ids are stored as uint16."""


def is_vocabulary(columns: Sequence[Column]) -> bool:
    """Whether columns are names of token ids, not of places of a bag or a table."""
    return tuple(column.name for column in columns[: len(RESERVED)]) == RESERVED


def vocabulary_of(chosen: Sequence[str], path: str) -> tuple[Column, ...]:
    """Name the ids: the reserved ones, then the chosen tokens; raises InputError for fewer than two of them."""
    if len(chosen) < 2:
        raise InputError(
            f"data: text:{path}: expected two or more different tokens in the training lines; received {len(chosen)}; "
            "give more lines, or more words."
        )
    return (*map(Column, RESERVED), *map(Column, chosen))


def encode_ids(lines: Sequence[Sequence[str]], columns: Sequence[Column], steps: int) -> np.ndarray:
    """Encode tokens as ids: uint16 [N, T], 0 after the end of a line; tokens after the T-th are cut off.

    Args:
        lines: the tokens of each line.
        columns: the names of the ids, as `vocabulary_of` gives them.
        steps: T.

    Example:
        >>> encode_ids([["a", "b", "q"]], vocabulary_of(["a", "b"], ""), 4)
        array([[3, 4, 1, 0]], dtype=uint16)
    """
    fits_in_memory(2 * len(lines) * steps, f"{len(lines):,} lines of {steps:,} tokens", "choose fewer steps")
    x = np.full((len(lines), steps), PADDING, np.uint16)
    places = {column.name: place for place, column in enumerate(columns) if place >= len(RESERVED)}
    for row, line in enumerate(lines):
        ids = [places.get(token, UNKNOWN) for token in line[:steps]]
        x[row, : len(ids)] = ids
    return x


def spell(ids: np.ndarray, columns: Sequence[Column]) -> list[str]:
    """Write ids [N, T] as lines again: words with spaces between them, or characters; padding is left out.

    Example:
        >>> spell([[3, 4, 1, 0]], vocabulary_of(["fine", "film"], ""))
        ['fine film <unknown>']
    """
    names = [column.name for column in columns]
    between = "" if all(len(name) == 1 for name in names[len(RESERVED) :]) else " "
    return [between.join(names[int(place)] for place in row if place != PADDING) for row in ids]


def note_ids(x: np.ndarray, columns: Sequence[Column], lengths: Sequence[int]) -> str:
    """Say how lines were read as ids: how many tokens, how many unknown, how many lines were cut."""
    tokens, cut = np.count_nonzero(x), sum(length > x.shape[1] for length in lengths)
    unknown = np.count_nonzero(x == UNKNOWN) / max(tokens, 1)
    known = f"{len(x):,} lines of up to {x.shape[1]:,} tokens out of {len(columns) - len(RESERVED):,}"
    return f"{known}, {unknown:.1%} of the tokens are others; {cut:,} longer line{'s'[: cut != 1]} cut"
