"""Share small trained runs, read-only, between tests; each is trained once for all workers of a session."""

import fcntl
import os
import shutil
from pathlib import Path

RUNS = {
    "plain": "train plain --epochs 1 --widths 8 --code 2 --holdout 0",
    "classifier": "finetune {plain} --labels 20 --finetune-epochs 1 --no-scratch",
    "probed": "probe {plain} --labels 20",
}
"""Name → command on digits; a name in braces stands for the directory of that run."""


class Shelf:
    """Shared runs.

    Args:
        folder: folder that is common to all workers.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def run(self, name):
        """Get the directory of a run, which is trained first if need be; read-only."""
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
        """Copy a run to a folder that the test may change."""
        return shutil.copytree(self.run(name), place)
