"""Every training pipeline, killed twice and repeated, ends as the run that nothing disturbed."""

import functools

import kills
import pytest


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A function of a command's name: makes its unbroken run once; the folder with all of them."""
    folder = tmp_path_factory.mktemp("runs")

    @functools.cache
    def made(name):
        if name == "finetune":
            made("mae")
        assert kills.run(kills.commands(folder, "digits")[name](folder / name))[0] == 0
        return folder

    return made


SLOW = ("train", "stacked", "finetune")
"""The loop is the same; what these draw resumes in test_training, their stages in test_pipelines."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in kills.COMMANDS])
def test_ends_to_the_bit_as_if_it_had_not_been_killed(name, whole, tmp_path):
    folder = whole(name)
    words = kills.commands(folder, "digits")[name](tmp_path / "run")
    status, began = kills.run(words, "training", 4)
    assert status == -9 and began[0] == 0
    status, began = kills.run(words, "writing", 2)
    assert status == -9 and began[0] > 0, "it went on from a checkpoint"
    status, began = kills.run(words)
    assert status == 0 and began[0] > 0
    assert kills.left(tmp_path / "run") == kills.left(folder / name)
