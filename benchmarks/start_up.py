"""Measure the start-up of quick commands: `kerasae --help` may take 0.5 CPU seconds, `kerasae plan` 1.

    python benchmarks/start_up.py [--repeats 5]

Prints the fastest of several starts of each command, and exits with 1 if one exceeds its limit.
"""

import argparse
import os
import subprocess
import sys

COMMANDS = {"--help": 0.5, "list": 0.5, "train --help": 0.5, "plan mae-imagenet-base --gpus 8": 1.0}
"""Command → limit in CPU seconds."""


def seconds(words):
    """Measure the CPU seconds of one start, user and system."""
    before = os.times()
    command = [sys.executable, "-m", "pipelines.command_line.main", *words.split()]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats, late = parser.parse_args().repeats, 0
    for words, allowed in COMMANDS.items():
        found = min(seconds(words) for _ in range(repeats))
        late += found > allowed
        print(f"{found:5.2f} s of {allowed} s  kerasae {words}")
    sys.exit(late > 0)


if __name__ == "__main__":
    main()
