"""Lines of text as bags of words, or as sequences of token ids: text:FILE_OR_DIR."""

import io
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasae.data.checks import fits_in_memory, whole
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import TEST_FRACTION, Source, make_source
from kerasae.data.splits import ArrayStore, Split
from kerasae.data.subsets import holdout_by_name
from kerasae.data.table_columns import Column
from kerasae.data.token_ids import (
    MOST_STEPS,
    MOST_WORDS,
    RESERVED,
    STEPS,
    encode_ids,
    is_vocabulary,
    note_ids,
    vocabulary_of,
)
from kerasae.errors import InputError

logger = logging.getLogger(__name__)

WORDS = 2000
"""Words of a vocabulary when no number is given."""

UNKNOWN = "<unknown>"
"""Name of the last place: whether a line has a word that is not in the vocabulary."""

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
"""Letters and digits of any script, with apostrophes inside."""


def load_text(
    path: str,
    words: int | None = None,
    columns: tuple[Column, ...] | None = None,
    text_as: str | None = None,
    steps: int | None = None,
) -> Source:
    """Read lines as bags of words, uint8 [N, V + 1]: 1 where a line has the word, last 1 if it has an unknown one.

    With `text_as`, read them as sequences of ids instead, uint16 [N, T]: 0 after the end of a line, 1 for a token that
    is not in the vocabulary, 2 for one that a corruption hides, 3 and up for those of the vocabulary.

    Of a folder each .txt file is a class, or each folder in it, with all .txt files below; a file alone has no classes.
    Words are lower-cased runs of letters and digits. The vocabulary holds the words that most training lines have,
    equally frequent ones in alphabetical order. A tenth of the lines is held out by a hash of their words: lines that
    are added later move none, and equal lines stay together. Lines without a word are left out, and counted.

    Args:
        path: .txt file in UTF-8, or folder of them.
        words: size V of the vocabulary at most; 2,000 when None.
        columns: the vocabulary of a model, `info.columns`, in place of that of the training lines.
        text_as: "words" or "characters": what a token is; bags of words when None.
        steps: most tokens T of a line; longer ones are cut, and counted. 64 when None.

    Raises:
        InputError: a file that is no text in UTF-8, fewer than two lines with words, a folder whose classes are not
            clear, a vocabulary of fewer than two tokens, or that of a model of another kind.
    """
    most = 1_000_000 if text_as is None else MOST_WORDS
    words, steps = whole("words", WORDS if words is None else words, 1, most), _steps(steps, text_as)
    if columns is not None:
        _refuse_other_kind(columns, text_as, f"text:{path}")
    classes = _classes(Path(path))
    files = [(file, label) for label, found in enumerate(classes.values()) for file in found]
    read = [(line, _words(line), label) for file, label in files for line in lines(file)]
    kept = [(line, bag, label) for line, bag, label in read if bag]
    if len(kept) < 2:
        raise InputError(f"data: text:{path} has {len(kept)} lines with words; expected two or more.")
    bags, labels = [bag for _, bag, _ in kept], np.array([label for *_, label in kept])
    train, test, _ = holdout_by_name([" ".join(bag) for bag in bags], TEST_FRACTION)
    tokens = [SPLIT_AS[text_as](line) for line, *_ in kept] if text_as else bags
    columns = columns or _vocabulary([tokens[row] for row in train], words, text_as, path)
    x = encode_ids(tokens, columns, steps) if text_as else encode(bags, columns)
    everything = Split(ArrayStore(x), labels if len(classes) > 1 else None)
    note = note_ids(x, columns, [*map(len, tokens)]) if text_as else _note(x)
    facts = {"kind": "tokens" if text_as else "text", "columns": columns, "notes": (note + _left(read, kept),)}
    facts["fingerprint"] = fingerprint_data([*map(str, columns), x, labels])
    splits = {"train": everything.subset(train), "test": everything.subset(test)}
    most = len(columns) - 1 if text_as else 1
    return make_source(f"text:{path}", splits, most, list(classes) if len(classes) > 1 else None, **facts)


def read_lines(file: str, columns: Sequence[Column], text_as: str | None = None, steps: int = STEPS) -> np.ndarray:
    """Encode the lines of a file, those without words too, by the vocabulary of a model: [N, V + 1], or ids [N, T]."""
    _refuse_other_kind(columns, text_as, file)
    read = lines(Path(file))
    if text_as is None:
        return encode([_words(line) for line in read], columns)
    if cut := sum(len(SPLIT_AS[text_as](line)) > steps for line in read):
        logger.warning("%s: %s line%s longer than %s tokens cut", file, cut, "s"[: cut > 1], steps)
    return encode_lines(read, columns, text_as, steps)


def encode_lines(texts: Sequence[str], columns: Sequence[Column], text_as: str, steps: int) -> np.ndarray:
    """Encode sentences by the vocabulary of a model: ids [N, T], as `load_text` with `text_as` encodes lines."""
    return encode_ids([SPLIT_AS[text_as](text) for text in texts], columns, steps)


def _steps(steps: int | None, text_as: str | None) -> int:
    if text_as is not None and text_as not in SPLIT_AS:
        raise InputError(f"text_as: expected {' or '.join(SPLIT_AS)}; received {text_as!r}.")
    if steps is not None and text_as is None:
        raise InputError("steps: only used with text_as, not with bags of words; leave it out, or give text_as.")
    return whole("steps", STEPS if steps is None else steps, 1, MOST_STEPS)


def _refuse_other_kind(columns: Sequence[Column], text_as: str | None, name: str) -> None:
    """Raise InputError for a model of bags where ids are asked for, and the like."""
    tokens = [column.name for column in columns[len(RESERVED) :]]
    if not is_vocabulary(columns):
        found = None
    else:
        found = "words" if all(map(WORD.fullmatch, tokens)) and text_as != "characters" else "characters"
        found = "words" if found == "characters" and any(len(token) > 1 for token in tokens) else found
    if found != text_as:
        there, here = (f"{kind} in order" if kind else "bags of words" for kind in (found, text_as))
        raise InputError(f"text_as: the model has learned from {there}, but {name} is read as {here}; leave it out.")


def lines(file: Path) -> list[str]:
    """Read the lines, ended by LF, CR LF or CR, of a UTF-8 file; raises InputError with the place of what is none."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]
    except OSError as error:
        raise InputError(f"data: text: {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"data: text: {file} is not UTF-8 at byte {error.start:,}; save it as UTF-8.") from None


def encode(bags: Sequence[Sequence[str]], columns: Sequence[Column]) -> np.ndarray:
    """Mark the words of each bag: uint8 [N, V + 1]."""
    fits_in_memory(len(bags) * len(columns), f"{len(bags):,} lines of {len(columns):,} words", "choose fewer words")
    x = np.zeros((len(bags), len(columns)), np.uint8)
    places = {column.name: place for place, column in enumerate(columns[:-1])}
    for row, bag in enumerate(bags):
        x[row, [places.get(word, len(columns) - 1) for word in bag]] = 1
    return x


def _words(line: str) -> list[str]:
    return WORD.findall(line.lower())


SPLIT_AS = {"words": _words, "characters": lambda line: list(line.strip())}
"""Kind of token → function of a line."""


def _vocabulary(bags: Sequence[Sequence[str]], words: int, text_as: str | None, path: str) -> tuple[Column, ...]:
    """The words that most bags have, and the place for all others; with `text_as`, the names of ids."""
    counts = Counter(word for bag in bags for word in set(bag))
    chosen = sorted(counts, key=lambda word: (-counts[word], word))[:words]
    return vocabulary_of(chosen, path) if text_as else (*map(Column, chosen), Column(UNKNOWN))


def _classes(path: Path) -> dict[str, list[Path]]:
    """Find the files of each class: name → files; one name for a file, or a folder of one."""
    if path.is_file():
        return {path.stem: [path]}
    if not path.is_dir():
        raise InputError(f"data: text:{path} does not exist; expected a .txt file, or a folder of them.")
    files = {file.stem: [file] for file in sorted(path.glob("*.txt"))}
    folders = {part.name: sorted(part.rglob("*.txt")) for part in sorted(path.iterdir()) if part.is_dir()}
    folders = {name: found for name, found in folders.items() if found}
    if files and folders:
        raise InputError(
            f"data: text:{path} has .txt files beside folders of them, {next(iter(folders))!r}; either are classes: "
            "move one of the two."
        )
    if not files and not folders:
        raise InputError(f"data: text:{path} has no .txt file; expected some, each a class, or in a folder per class.")
    return files or folders


def _note(x: np.ndarray) -> str:
    """Say what was read."""
    return f"{len(x):,} lines, {x.shape[1] - 1:,} words, {x[:, -1].mean():.0%} of the lines have others"


def _left(read: Sequence, kept: Sequence) -> str:
    """Say how many lines were left out."""
    empty = len(read) - len(kept)
    return f", {empty:,} lines without words left out" if empty else ""
