"""CPU seconds of the commands that answer at once: `kerasae --help` has half a second, `kerasae plan` one second.

    python benchmarks/start_up.py [--repeats 5]

prints the least of some starts of each, and ends with 1 where one took longer than it may.
"""

import argparse
import os
import subprocess
import sys

COMMANDS = {"--help": 0.5, "list": 0.5, "train --help": 0.5, "plan mae-imagenet-base --gpus 8": 1.0}
"""Words of a command → CPU seconds that it may take."""


def seconds(words):
    """CPU seconds of one start, in user and system mode."""
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
