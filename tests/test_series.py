"""Windows of long recordings: cut and held out by time, standardised by the training part, and refused where short."""

import numpy as np
import pytest

import kerasae
from kerasae.data import holdout_in_time, load
from kerasae.data.windows import WindowStore
from kerasae.errors import InputError
from pipelines.command_line import main as cli

RNG = np.random.default_rng(0)
CLOCK = np.arange(1000)  # samples that tell the time


def npz(folder, **arrays):
    np.savez_compressed(folder / "series.npz", **arrays)
    return f"series:{folder / 'series.npz'}"


@pytest.mark.parametrize(("window", "step"), [(50, None), (50, 10), (64, 7), (1, 1)])
def test_windows_are_those_of_numpy_and_the_parts_share_no_sample(tmp_path, window, step):
    source = load(npz(tmp_path, ecg=CLOCK), window=window, step=step)
    for split, part in ((source.train, CLOCK[:800]), (source.test, CLOCK[800:])):
        wanted = np.lib.stride_tricks.sliding_window_view(part, window)[:: step or window]
        np.testing.assert_array_equal(split.arrays()[0][..., 0], wanted)
    train, test = (set(split.arrays()[0].ravel()) for split in (source.train, source.test))
    assert not train & test and max(train) < min(test)
    assert source.info.shape == (window, 1) and source.info.kind == "series"


def test_statistics_are_those_of_the_training_time(tmp_path):
    x = np.stack([RNG.normal(5, 2, 500), 1e5 * RNG.normal(size=500), np.full(500, 3.0)], axis=1)
    info = load(npz(tmp_path, x=x), window=20, test_share=0.4).info
    np.testing.assert_allclose(info.mean, x[:300].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(info.deviation[:2], x[:300].std(axis=0)[:2], rtol=1e-5)
    assert info.deviation[2] == 1.0 and info.counts == {"train": 15, "test": 10}


def test_several_recordings_are_each_held_out_at_their_end(tmp_path):
    source = load(npz(tmp_path, a=CLOCK[:100], b=CLOCK[500:700]), window=10)
    train, test = (split.arrays()[0][..., 0] for split in (source.train, source.test))
    np.testing.assert_array_equal(train, np.concatenate([CLOCK[:80], CLOCK[500:660]]).reshape(-1, 10))
    np.testing.assert_array_equal(test, np.concatenate([CLOCK[80:100], CLOCK[660:700]]).reshape(-1, 10))
    assert (
        "300 samples of 2 recordings: 24 train and 6 test windows of 10 samples, one every 10" in source.info.notes[0]
    )


def test_a_table_has_a_channel_in_each_column(tmp_path):
    rows = np.stack([CLOCK, CLOCK**2], axis=1)[:100]
    np.savetxt(tmp_path / "series.csv", rows, fmt="%d", delimiter=",", header="t,square", comments="")
    spec = f"series:{tmp_path / 'series.csv'}"
    np.testing.assert_array_equal(load(spec, window=8).train.arrays()[0], rows[:80].reshape(10, 8, 2))
    np.testing.assert_array_equal(load(spec, window=8, bands=(2,)).train.arrays()[0], rows[:80, 1:].reshape(10, 8, 1))


def test_windows_for_validation_share_no_sample_with_the_others(tmp_path):
    train = load(npz(tmp_path, ecg=CLOCK), window=50, step=5).train
    kept, held = holdout_in_time(train, 0.1)
    assert len(held) == 16 and not set(kept.arrays()[0].ravel()) & set(held.arrays()[0].ravel())
    assert kept.arrays()[0].max() == held.arrays()[0].min() - 1
    with pytest.raises(InputError, match="no window ends before"):
        holdout_in_time(train.subset(np.arange(5)), 0.5)
    with pytest.raises(InputError, match="expected windows"):
        holdout_in_time(load("digits").train, 0.1)


def test_overlapping_windows_cost_no_memory():
    store = WindowStore(np.zeros((5000, 1), np.float32), np.arange(4001), 1000)
    assert store.read(np.array([0, 4000])).shape == (2, 1000, 1) and store._samples.shape == (5000, 1)


HOLED = np.where(CLOCK == 7, np.nan, CLOCK)


@pytest.mark.parametrize(
    ("arrays", "options", "says"),
    [
        ({"a": CLOCK}, {}, "window: needed for series"),
        ({"a": CLOCK}, {"window": 900}, "train part of a has 800 samples, fewer than a window of 900"),
        ({"a": CLOCK}, {"window": 300}, "test part of a has 200 samples, fewer than a window of 300; .*test_share"),
        ({"a": CLOCK[:30]}, {"window": 64, "test_share": 0.0}, "train part of a has 30 samples"),
        ({"a": CLOCK}, {"window": 0}, "window: expected a whole number of at least 1"),
        ({"a": CLOCK}, {"window": 8, "step": 0}, "step: expected a whole number"),
        ({"a": CLOCK}, {"window": 8, "test_share": 1.0}, "test_share: expected a finite number from 0 to 0.9"),
        ({"a": CLOCK}, {"window": 8, "bands": (2,)}, "bands: .* has 1 channels; received 2"),
        ({"a": HOLED}, {"window": 8}, r"a: expected finite numbers; received 1 NaN or infinite, the first at \[7\]"),
        ({"a": CLOCK, "b": np.zeros((90, 2))}, {"window": 8}, r"one number of channels; received \[1, 2\]"),
        ({"a": np.zeros((9, 9, 9))}, {"window": 8}, r"numbers \[T\] or \[T, C\]"),
        ({"a": np.array(["x"] * 90)}, {"window": 8}, r"numbers \[T\] or \[T, C\]"),
        ({"a": np.array([object()] * 90)}, {"window": 8}, "cannot be read"),
        ({}, {"window": 8}, "holds no array"),
    ],
)
def test_refusals(tmp_path, arrays, options, says):
    with pytest.raises(InputError, match=says):
        load(npz(tmp_path, **arrays), **options)


def test_tables_with_holes_and_other_files_are_refused(tmp_path):
    (tmp_path / "series.csv").write_text("a,b\n1,2\n3,\n")
    with pytest.raises(InputError, match="row 2: expected a number in 'b'; received ''"):
        load(f"series:{tmp_path / 'series.csv'}", window=1)
    with pytest.raises(InputError, match="is not a file"):
        load(f"series:{tmp_path / 'none.npz'}", window=1)
    with pytest.raises(InputError, match="window: only used with series"):
        load("digits", window=8)


# ---- the commands


def beats(seconds, rate=50):
    """A pulse in each second of a slow wave, with noise, in counts around 1024 as a converter gives them."""
    t, rng = np.arange(seconds * rate) / rate, np.random.default_rng(1)
    wave = 300 * np.exp(-0.5 * ((t % 1 - 0.5) / 0.05) ** 2) + 40 * np.sin(2 * np.pi * t / 7)
    return np.round(1024 + wave + rng.normal(0, 5, len(t))).astype("uint16")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    npz(tmp_path, ecg=beats(120))
    return tmp_path


def test_a_run_on_windows_is_exported_and_used(here):
    data = ["--data", "series:series.npz", "--window", "50", "--step", "10"]
    sizes = ["--code", "6", "--widths", "64", "--epochs", "30", "--batch-size", "16"]
    assert cli.main(["train", "plain", *data, *sizes, "--out", "run"]) == 0
    assert kerasae.runs.read_summary("run")["test_mse"] < 0.5  # 1 is the mean
    assert cli.main(["export", "run", "saved"]) == 0
    assert cli.main(["embed", "run", "--to", "codes.npz"]) == 0
    found, source = np.load("codes.npz"), load("series:series.npz", window=50, step=10)
    assert found["splits"].tolist() == ["train"] * len(source.train) + ["test"] * len(source.test)
    model = kerasae.runs.load_model("run")
    np.testing.assert_allclose(found["codes"][-len(source.test) :], model.encode(source.test.arrays()[0]), atol=1e-4)


def test_a_recurrent_model_reads_windows(here):
    tokens = ["--data", "series:series.npz", "--window", "50", "--code", "4", "--widths", "8", "--epochs", "1"]
    assert cli.main(["train", "recurrent", "--network", "lstm", *tokens, "--out", "run"]) == 0
    model = kerasae.runs.load_model("run")
    made = np.asarray(model.reconstruct(load("series:series.npz", window=50).test.arrays()[0]))
    assert made.shape == (24, 50, 1) and 500 < made.mean() < 1500  # counts, not standardised


def test_a_short_recording_is_one_line_and_leaves_nothing(here, mistake):
    tokens = ["train", "plain", "--data", "series:series.npz", "--out", "out"]
    assert "fewer than a window of 5000" in mistake(*tokens, "--window", "5000")
    assert "window: needed" in mistake(*tokens) and not (here / "out").exists()
