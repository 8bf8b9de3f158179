"""Start test processes by forking one that has imported TensorFlow but not used it.

Starting Python with TensorFlow takes five CPU seconds, such a fork almost none. A test of imports or of the
interpreter's start uses a new process instead.
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
    """Get a forkserver whose server process has imported PRELOADED."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


class Started:
    """Run a function in a separate process; its output goes to a file.

    Args:
        function: a module-level function.
        arguments: arguments of the function.
        environment: environment variables beside those of this process.
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
        """Read what the process has printed so far to stdout and stderr."""
        return self.output.read_text(errors="replace")

    def running(self):
        return self._process.is_alive()

    def wait(self, seconds):
        """Wait for the end, at most `seconds`; return the exit status (negative for a signal) and the output."""
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
    """Run `kerasae TOKENS`, as a function for `Started`."""
    from pipelines.command_line import main as cli

    sys.exit(cli.main([str(token) for token in tokens]))


def printed(function, *arguments):
    """Run a function in a separate process; return the JSON object that it prints."""
    status, text = Started(function, *arguments).wait(600)
    assert status == 0, text[-3000:]
    return json.loads(next(line for line in reversed(text.splitlines()) if line.startswith("{")))
