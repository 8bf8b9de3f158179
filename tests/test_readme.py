"""README's lines of Python, as they stand."""

import os
import re
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasae.training import Interrupted

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
LIBRARY, OWN, SEARCH = re.findall(r"```python\n(.*?)```", TEXT, re.S)[:3]


def run(code, folder, monkeypatch, **given):
    """The names that some lines of Python leave, run in a folder of their own."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    names = dict(given)
    keras.utils.set_random_seed(1)
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_lines_of_the_library_do_what_their_comments_say(tmp_path, monkeypatch):
    found = run(LIBRARY.replace("epochs=20", "epochs=1, verbose=0"), tmp_path, monkeypatch)
    shapes = [tuple(found[name].shape) for name in ("images", "codes", "fakes", "odd")]
    assert shapes == [(1437, 8, 8, 1), (1437, 8), (16, 8, 8, 1), (1437,)]
    np.testing.assert_array_equal(found["same"].encode(found["images"]), found["codes"])


def test_a_trainable_of_ones_own_finds_the_mean_and_resumes_to_the_bit(tmp_path, monkeypatch):
    import kerasae

    whole = run(OWN, tmp_path / "whole", monkeypatch, kerasae=kerasae)["model"]
    mean = np.mean(kerasae.data.load("digits").train.arrays()[0] / 16, axis=0)
    assert np.abs(np.asarray(whole.center) - mean).mean() < mean.mean() / 2

    def stop(progress, wait):
        if progress.step >= 100:
            os.kill(os.getpid(), signal.SIGTERM)

    cut = OWN.replace('Checkpoints("checkpoints"))', 'Checkpoints("checkpoints"), on_chunk=stop)')
    with pytest.raises(Interrupted):
        run(cut, tmp_path / "cut", monkeypatch, kerasae=kerasae, stop=stop)
    resumed = run(OWN, tmp_path / "cut", monkeypatch, kerasae=kerasae)["model"]
    np.testing.assert_array_equal(resumed.center, whole.center)


def test_the_search_from_scikit_learn_finds_codes_that_tell_digits(tmp_path, monkeypatch):
    code = SEARCH.replace("epochs=50", "epochs=1").replace("[16, 64]", "[16]").replace("cv=3", "cv=2")
    found = run(code.replace("fit(X, y)", "fit(X[:300], y[:300])"), tmp_path, monkeypatch)
    assert found["search"].best_score_ > 0.5
