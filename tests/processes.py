"""Processes of their own for tests, forked from one that has imported TensorFlow and started nothing.

A start of Python with TensorFlow costs five seconds of a processor, a fork of this kind next to none. Where the imports
or the interpreter's own start are what is tested, a test starts a real process instead.
"""

import json
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

PRELOADED = [
    "tensorflow",
    "keras",
    "kerasae.models",
    "pipelines.command_line.main",
    "kerasae.training.loop",
    *(f"pipelines.{name}" for name in ("train", "mae", "finetune", "stacked")),
]


def context():
    """Processes that are forked from one that has loaded everything but started nothing."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


class Started:
    """A function that runs in a process of its own; what it prints goes to a file.

    Args:
        function: what the process calls; a function of a module.
        arguments: for it.
        environment: variables that the process has beside those of this one.
    """

    def __init__(self, function, *arguments, environment=None):
        descriptor, name = tempfile.mkstemp(prefix="kerasae-test-")
        os.close(descriptor)
        self.output = Path(name)
        variables = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
        self._process = context().Process(target=_call, args=(name, variables, os.getcwd(), function, arguments))
        self._process.start()
        self.kill, self.terminate = self._process.kill, self._process.terminate

    def text(self):
        """What it has printed so far, on both streams."""
        return self.output.read_text(errors="replace")

    def running(self):
        return self._process.is_alive()

    def wait(self, seconds):
        """Its exit status, negative for a signal, and what it printed; it is killed after so many seconds."""
        self._process.join(seconds)
        late = self._process.is_alive()
        if late:
            self._process.kill()
            self._process.join()
        text = self.text()
        self.output.unlink()
        assert not late, f"still running after {seconds} s:\n{text[-3000:]}"
        return self._process.exitcode, text


def _call(output, variables, folder, function, arguments):
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout, sys.stderr = open(1, "w", buffering=1, closefd=False), open(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    function(*arguments)


def command(*tokens):
    """`kerasae TOKENS`, for `Started`."""
    from pipelines.command_line import main as cli

    sys.exit(cli.main([str(token) for token in tokens]))


def printed(function, *arguments):
    """The JSON object that a function prints in a process of its own."""
    status, text = Started(function, *arguments).wait(600)
    assert status == 0, text[-3000:]
    return json.loads(next(line for line in reversed(text.splitlines()) if line.startswith("{")))
