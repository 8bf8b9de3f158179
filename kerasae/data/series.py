"""Windows of long recordings as examples: series:FILE."""

from pathlib import Path

import numpy as np

from kerasae.data.any_numbers import as_float32, refuse_non_finite
from kerasae.data.checks import number, whole
from kerasae.data.fingerprints import fingerprint_data
from kerasae.data.info import Source, make_source, standardizing
from kerasae.data.label_columns import number as number_of
from kerasae.data.npz_file import read_arrays
from kerasae.data.splits import Split
from kerasae.data.table_file import read_table
from kerasae.data.windows import WindowStore
from kerasae.errors import InputError

TEST_SHARE = 0.2
"""Share of each recording, at its end, that is the test part where none is given."""


def load_series(
    file: str,
    window: int | None = None,
    step: int | None = None,
    test_share: float | None = None,
    channels: tuple[int, ...] | None = None,
) -> Source:
    """Cut long recordings into windows float32 [window, C], for a model to standardise channel by channel.

    The end of each recording is the test part. A window lies in one part as a whole, so that no sample is in windows of
    both; the samples that are left at the end of a part are in none.

    Args:
        file: .npz, each array of which is a recording [T] or [T, C]; or CSV or Parquet with a header, a column for each
            channel.
        window: samples in a window.
        step: samples from the start of a window to that of the next; the window when None.
        test_share: share of each recording, at its end, that is held out; 0.2 when None, 0 for none.
        channels: numbers of the channels to keep, in this order, the first is 1.

    Raises:
        InputError: the file cannot be read, an argument is missing or out of range, or a part is shorter than a window.
    """
    if window is None:
        raise InputError(f"window: needed for series:{file}; give the number of samples in a window.")
    window = whole("window", window, 1)
    step = window if step is None else whole("step", step, 1)
    share = TEST_SHARE if test_share is None else number("test_share", test_share, 0.0, 0.9)
    recordings = {name: _chosen(x, channels, file) for name, x in _recordings(file).items()}
    samples = as_float32(np.concatenate([*recordings.values()]), f"series:{file}")
    cuts = _cuts(recordings, share, window, file)
    starts = {part: _starts(cuts[part], window, step) for part in cuts}
    store = WindowStore(samples, np.concatenate([*starts.values()]), window)
    first = len(starts["train"])
    rows = {"train": np.arange(first), "test": np.arange(first, len(store))}
    splits = {part: Split(store, rows=rows[part]) for part in cuts}
    trained = np.concatenate([samples[start:end] for start, end in cuts["train"]])
    facts = {"kind": "series", "notes": (_note(recordings, splits, window, step),)} | standardizing(trained)
    facts["fingerprint"] = fingerprint_data([samples, store.starts, str(window)])
    return make_source(f"series:{file}", splits, 1, **facts)


def _recordings(file: str) -> dict[str, np.ndarray]:
    """Recordings [T, C] of one number of channels, by name."""
    found = _from_npz(file) if Path(file).suffix.lower() == ".npz" else {"the table": _from_table(file)}
    sizes = {x.shape[1] for x in found.values()}
    if len(sizes) > 1:
        raise InputError(f"data: series:{file}: expected one number of channels; received {sorted(sizes)}.")
    return found


def _from_npz(file: str) -> dict[str, np.ndarray]:
    arrays = read_arrays(file, "series", list, "cut it into several files")
    if not arrays:
        raise InputError(f"data: series:{file} holds no array; expected recordings [T] or [T, C].")
    for name, x in arrays.items():
        if x.ndim not in (1, 2) or 0 in x.shape or x.dtype.kind not in "fiub":
            raise InputError(
                f"data: series:{file}: {name}: expected numbers [T] or [T, C]; received {x.dtype} {x.shape}."
            )
        refuse_non_finite(x, f"series:{file}: {name}")
    return {name: x.reshape(len(x), -1) for name, x in arrays.items()}


def _from_table(file: str) -> np.ndarray:
    header, rows = read_table(file, "data: series")
    for place, row in enumerate(rows, 1):
        for name, text in zip(header, row, strict=True):
            if number_of(text) is None:
                raise InputError(f"data: series:{file}: row {place}: expected a number in {name!r}; received {text!r}.")
    return np.array(rows, np.float64)


def _chosen(x: np.ndarray, channels: tuple[int, ...] | None, file: str) -> np.ndarray:
    if channels is None:
        return x
    if max(channels) > x.shape[1]:
        raise InputError(f"bands: series:{file} has {x.shape[1]} channels; received {max(channels)}; leave it out.")
    return x[:, [channel - 1 for channel in channels]]


def _cuts(recordings: dict, share: float, window: int, file: str) -> dict[str, list[tuple[int, int]]]:
    """First and last sample of each part of each recording, counted over all of them."""
    found, begin = {"train": [], "test": []}, 0
    for name, x in recordings.items():
        cut = len(x) - round(share * len(x))
        parts = {"train": (begin, begin + cut), "test": (begin + cut, begin + len(x))}
        for part, (start, end) in parts.items():
            if end - start < window and (share or part == "train"):
                raise InputError(
                    f"data: series:{file}: the {part} part of {name} has {end - start} samples, fewer than a window of "
                    f"{window}; give a smaller window, another test_share, or a longer recording."
                )
            found[part].append((start, end))
        begin += len(x)
    return found if share else {"train": found["train"]}


def _starts(parts: list[tuple[int, int]], window: int, step: int) -> np.ndarray:
    """First samples of all windows that lie within the parts."""
    return np.concatenate([np.arange(start, end - window + 1, step) for start, end in parts])


def _note(recordings: dict, splits: dict[str, Split], window: int, step: int) -> str:
    samples, several = sum(map(len, recordings.values())), "s"[: len(recordings) > 1]
    counts = " and ".join(f"{len(split):,} {part}" for part, split in splits.items())
    held = f"{counts} windows of {window} samples, one every {step}"
    return f"{samples:,} samples of {len(recordings)} recording{several}: {held}"
