"""Every training pipeline, killed twice and repeated, ends as the run that nothing disturbed."""

import kills
import pytest


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with an unbroken run of every command."""
    folder = tmp_path_factory.mktemp("runs")
    for name, words in kills.commands(folder, "digits").items():
        assert kills.run(words(folder / name))[0] == 0
    return folder


@pytest.mark.parametrize("name", kills.COMMANDS)
def test_ends_to_the_bit_as_if_it_had_not_been_killed(name, whole, tmp_path):
    words = kills.commands(whole, "digits")[name](tmp_path / "run")
    status, began = kills.run(words, "training", 4)
    assert status == -9 and began[0] == 0
    status, began = kills.run(words, "writing", 2)
    assert status == -9 and began[0] > 0, "it went on from a checkpoint"
    status, began = kills.run(words)
    assert status == 0 and began[0] > 0
    assert kills.left(tmp_path / "run") == kills.left(whole / name)
