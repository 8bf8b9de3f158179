"""Kill training commands at random moments, resume them, and compare the files with those of an unbroken run.

    python tests/kills.py FOLDER [--kills 30] [--seed 0]

Runs every command of `commands` to its end, then again with SIGKILL at random moments of its whole duration, start
included. Prints whether the files are those of the unbroken run.
"""

import argparse
import contextlib
import csv
import hashlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import processes

TIMES = {"seconds", "data_wait", "steps_per_second", "examples_per_second", "memory_mib"}
"""Columns of metrics.csv that differ between equal runs."""

LAYERS = "--no-baselines --widths 8 4 --pretrain-epochs 3 --joint-epochs 2 --finetune-epochs 2"
MAE = "--patch 4 --width 12 --depth 1 --heads 2 --decoder-width 12 --decoder-depth 1 --decoder-heads 2"
COMMANDS = {
    "stacked": f"stacked {LAYERS} --pretrain-batch 60 --finetune-batch 60 --holdout 0.2",
    "mae": f"mae {MAE} --epochs 4 --warmup-epochs 1 --batch-size 60 --pictures-every 4",
    "train": "train variational --widths 16 --code 4 --epochs 8 --batch-size 60 --holdout 0.2",
    "finetune": "finetune {mae} --no-baselines --labels 40 --finetune-epochs 4 --finetune-batch 20 --mixup 0.8"
    " --ema 0.9",
}
"""Name → a command that trains for a few seconds; fine-tuning starts from the masked autoencoder."""


def commands(folder, data, longer=1):
    """Build the commands, with `longer` times the epochs: name → function from run directory to words."""

    def words(text, out):
        data_words = [] if text.startswith("finetune") else ["--data", data]
        text = re.sub(r"epochs (\d+)", lambda found: f"epochs {longer * int(found[1])}", text)
        return [*text.format(mae=folder / "mae").split(), *data_words, "--out", str(out)]

    return {name: lambda out, text=text: words(text, out) for name, text in COMMANDS.items()}


# ---- in a separate process


def attempt(tokens, begun, death=None, count=0):
    """Run a command that writes a checkpoint after every few steps; optionally kill this process on the way.

    Args:
        tokens: words of the command.
        begun: file to which the first step of every stage that is trained is appended, a line each.
        death: None, "writing" or "training": where this process sends itself SIGKILL, at the `count`-th time;
            "writing" is between a checkpoint's last byte and its renaming.
    """
    from kerasae.training import checkpoint, loop
    from pipelines.command_line import main as cli

    loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE, loop.CHUNK_SECONDS = 0.0, float("inf"), 0.005
    if death == "writing":
        die_at(checkpoint.os, "replace", count, lambda _, path: path.name.startswith("step-"))
    if death == "training":
        die_at(loop._Loop, "_run_chunk", count)
    note_starts(loop._Loop, begun)
    with open(os.devnull, "w") as silence, contextlib.redirect_stdout(silence):
        sys.exit(cli.main(tokens))


def note_starts(loop, begun):
    """Append the first step of every stage to the file `begun`."""
    function = loop._start

    def noted(self):
        progress = function(self)
        if not progress.done:
            with open(begun, "a") as lines:
                print(progress.step, file=lines)
        return progress

    loop._start = noted


def die_at(owner, name, count, counted=lambda *arguments: True):
    """Kill this process when a function is called for the `count`-th time, of the calls that are counted."""
    function, calls = getattr(owner, name), [0]

    def deadly(*args, **options):
        calls[0] += counted(*args)
        if calls[0] == count and counted(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)

    setattr(owner, name, deadly)


# ---- in the test's process


def run(tokens, *death, after=None):
    """Run a command, which kills itself (`death`, see `attempt`) or is killed after some seconds.

    Returns its exit status, and the first steps of the stages that it trained.
    """
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder) / "begun"
        begun.touch()
        process = processes.context().Process(target=attempt, args=(tokens, begun, *death))
        process.start()
        process.join(after)
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode, [int(line) for line in begun.read_text().split()]


def left(folder):
    """Read the results of a run without times: path → hash of weights, or figures."""
    found = {}
    for file in sorted(Path(folder).rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".keras":
            found[name] = digest(file)
        elif file.name == "metrics.csv":
            with file.open() as lines:
                found[name] = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(lines)]
        elif file.name == "summary.json":
            found[name] = {k: v for k, v in json.loads(file.read_text()).items() if "seconds" not in k}
    return found


def digest(file):
    """Hash the weights in a Keras file by SHA-256."""
    import h5py
    import numpy as np

    found = hashlib.sha256()
    with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as weights, h5py.File(weights) as content:
        content.visititems(lambda name, item: found.update(name.encode() + np.asarray(item).tobytes()))
    return found.hexdigest()


# ---- many kills

LONGER = 10
"""Factor on the epochs, so that most kills fall into training and not into the start of a process."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, made = random.Random(arguments.seed), commands(arguments.folder, "digits", LONGER)
    bad = 0
    for place, (name, words) in enumerate(made.items()):
        share = len(range(place, arguments.kills, len(made)))
        bad += not soak(name, words, arguments.folder, share, chance)
    sys.exit(bad)


def soak(name, words, folder, kills, chance):
    """Kill one command `kills` times; return whether its files equal those of an unbroken run."""
    began = time.monotonic()
    assert run(words(folder / name))[0] == 0
    whole, statuses, resumed = time.monotonic() - began, [], 0
    while len(statuses) < kills:
        status, steps = run(words(folder / f"{name}-killed"), after=chance.uniform(0, whole))
        resumed += any(steps)
        if status == 0:  # it ended before the kill; begin another run
            os.rename(folder / f"{name}-killed", folder / f"{name}-ended-{time.monotonic_ns()}")
            continue
        statuses.append(status)
    last, steps = run(words(folder / f"{name}-killed"))
    resumed += any(steps)
    fine = last == 0 and set(statuses) == {-signal.SIGKILL}
    same = fine and all(left(run) == left(folder / name) for run in folder.glob(f"{name}-[ek]*"))
    starts = f"{resumed} starts went on inside a stage"
    print(f"{name}: {whole:.1f} s, killed {statuses}, then {last}; {starts}; {'same' if same else 'DIFFERENT'}")
    return same


if __name__ == "__main__":
    main()
