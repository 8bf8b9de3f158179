"""Small trained runs that tests share, each trained once for all workers of a session; nobody writes into them."""

import fcntl
import os
import shutil
from pathlib import Path

RUNS = {
    "plain": "train plain --epochs 1 --widths 8 --code 2 --holdout 0",
    "classifier": "finetune {plain} --labels 20 --finetune-epochs 1 --no-scratch",
    "probed": "probe {plain} --labels 20",
}
"""Name → a command for digits; a name in braces stands for the directory of that run."""


class Shelf:
    """The runs in a folder that all workers know.

    Args:
        folder: the folder.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def run(self, name):
        """The directory of a run that exists from now on; only for reading."""
        from pipelines.command_line import main as cli

        place = self.folder / name
        others = {other: self.run(other) for other in RUNS if f"{{{other}}}" in RUNS[name]}
        self.folder.mkdir(exist_ok=True)
        with open(self.folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                making = self.folder / f"{name}.making"
                shutil.rmtree(making, ignore_errors=True)
                tokens = [*RUNS[name].format(**others).split(), "--out", str(making)]
                assert cli.main(tokens) == 0, name
                os.rename(making, place)
        return place

    def copy(self, name, place):
        """Copy a run to a place of the test's own."""
        return shutil.copytree(self.run(name), place)
