"""Check whether this installation can train: versions, GPUs, devices that agree, checkpoints, and rates.

Takes about 20 seconds on two cores. The exit status is 0 if nothing needs mending, and 1 if something does.
"""

import tempfile
from dataclasses import dataclass, field

from pipelines.doctor.finding import attempted, lines


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where runs are to be kept."""

    folder: str = field(default=".")
    """Folder for runs, in which files of 64 MiB in all are written, read and removed."""


def run(recipe: Recipe):
    """Print the findings as they come, and a last line; exit with 1 if something must be mended."""
    from pipelines.doctor import disk

    folder, found = disk.checked_folder(recipe.folder), []
    for finding in findings(folder):
        print("\n".join(lines(finding)), flush=True)
        found.append(finding)
    print(verdict(found))
    if not all(finding.ok for finding in found):
        raise SystemExit(1)


def findings(folder):
    """Yield what each check finds.

    The trials come before the rates, for which this process takes the memory of the GPUs.
    """
    from pipelines.doctor import disk, gpus, rates, trial, versions

    yield attempted("versions", versions.check)
    yield attempted("GPUs", gpus.check)
    yield (place := attempted("folder", disk.check_folder, folder))
    yield from trial.check(folder if place.ok else tempfile.gettempdir())
    yield attempted("products", rates.check)
    yield attempted("decoding", disk.check_decoding)


def verdict(found):
    """Say in one line whether this installation can train."""
    wrong = [finding.name for finding in found if not finding.ok]
    return f"mend first: {', '.join(wrong)}" if wrong else "this installation can train"
