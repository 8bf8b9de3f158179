"""Run commands on hostile input in a sandbox folder: capture their output and forbid writes outside it."""

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import requests
import tensorflow as tf

from kerasae.runs import directory, environment
from kerasae.training.loop import Interrupted
from pipelines.command_line import main as cli

DATA_SETS = "home/tensorflow_datasets"
"""Folder, in the sandbox, to which data sets would be downloaded."""

SECONDS = 120
"""Seconds after which a command counts as hanging; generous, since other work may share the machine."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir": [0], "os.rename": [0, 1], "os.remove": [0], "os.rmdir": [0], "os.link": [1], "os.symlink": [1]}
CHANGES |= {"os.truncate": [0], "os.chmod": [0], "os.chown": [0], "shutil.rmtree": [0], "shutil.move": [0, 1]}
FOLLOWING = {"open", "os.truncate", "os.chmod", "os.chown"}
"""Events that follow a symbolic link; the others change the link itself."""
EXECUTES = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class"}


NOTES = ("is damaged or of another model", "holds no decoder", "broken image")
"""Notes that a command may print on stderr before it continues."""


class Hang(BaseException):
    """The command did not end in time."""


class Violation(BaseException):
    """The command did something forbidden; a BaseException, so that no `except Exception` hides it."""


class Arena:
    """Sandbox folder with a home, a neighbouring folder and a working directory `cwd`, three levels deep.

    While a command runs, an audit hook stops Python's writes outside the sandbox, new processes, globals that pickles
    look up, and connections. Afterwards files outside of `allowed` must be unchanged, which also finds what native
    code wrote.
    """

    def __init__(self, root):
        self.root, self.cwd = Path(root).resolve(), Path(root).resolve() / "a" / "b" / "work"
        self.temporary, self.canary = self.root / "tmp", self.root / "executed"
        self.counts, self.armed = Counter(), False
        for folder in (self.root / "home", self.root / "a" / "b" / "neighbour", self.temporary, self.cwd):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.root / "home", self.root / "a" / "b" / "neighbour"):
            (folder / "precious").write_text("precious")
        sys.addaudithook(self.watch)

    def clean(self):
        """Empty the working directory; return it."""
        os.chdir(self.root)
        shutil.rmtree(self.cwd)
        self.cwd.mkdir()
        os.chdir(self.cwd)
        return self.cwd

    def run(self, kind, tokens, allowed=("runs", "saved_models")):
        """Run one command and assert what holds for every command; return its exit status and stderr."""
        before = self.others(allowed)
        status, out, err = self.caught([str(token) for token in tokens])
        lines = err.splitlines()
        shown = f"kerasae {' '.join(map(repr, map(str, tokens)))}\nexit {status}\n{err[-3000:]}"
        assert status in (0, 2, 130), shown
        assert "Traceback" not in out + err, shown
        assert len(lines) == (status != 0) or any(note in lines[0] for note in NOTES), shown
        assert all(line.startswith("kerasae: ") and line.isprintable() for line in lines), shown
        assert not self.canary.exists(), f"executed: {shown}"
        changed = set(self.others(allowed).items()) ^ set(before.items())
        assert not changed, f"changed {changed}: {shown}"
        self.counts[kind, status] += 1
        return status, err

    def caught(self, tokens):
        """Run a command with audit hook and time limit; return exit status, stdout and stderr."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", how) for how in ("strict", "backslashreplace"))
        before = signal.signal(signal.SIGALRM, self.hang)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.ticks, self.armed = 0, True
            signal.setitimer(signal.ITIMER_REAL, 1, 1)
            try:
                status = cli.main(tokens)
            except SystemExit as end:
                status = end.code
            finally:
                self.armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
        for stream in (out, err):
            stream.flush()
        return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()

    def hang(self, number, frame):
        """Raise Hang after SECONDS ticks of a one-second timer, which do not count while the machine is suspended."""
        self.ticks += 1
        if self.ticks > SECONDS:
            raise Hang(f"no answer after {SECONDS} s")

    def others(self, allowed):
        """Record mode, size and time of every file that the command may not change: path → state."""
        free = [Path(os.path.realpath(self.cwd / place)) for place in allowed if "\0" not in str(place)] + [
            self.temporary
        ]
        found = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in free]
            for path in {Path(folder, name) for name in (*folders, *files)} - set(free):
                state = path.lstat()
                # A folder's size and time change with its content, which the command may be allowed to change.
                found[path] = (state.st_mode, *(() if path.is_dir() else (state.st_size, state.st_mtime_ns)))
        return found

    def goal(self, place, follow):
        """Resolve a path; its last part only if links are followed."""
        folder, name = os.path.split(place)
        return Path(os.path.realpath(place) if follow else os.path.join(os.path.realpath(folder), name))

    def watch(self, event, arguments):
        """Audit hook of Python: raise Violation for a forbidden event."""
        if not self.armed:
            return
        if event in EXECUTES or event.startswith("os.exec"):
            raise Violation(f"{event} {arguments}")
        if event.startswith("socket.") and event != "socket.gethostname":
            raise ConnectionError("there is no network here")
        places = []
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, mode, flags = arguments
            places = [path] if (set(mode or "") & set("wax+") or (flags or 0) & WRITES) else []
        elif event in CHANGES:
            places = [arguments[i] for i in CHANGES[event] if isinstance(arguments[i], str | bytes | os.PathLike)]
        for place in map(os.fsdecode, places):
            if place != os.devnull and not self.goal(place, event in FOLLOWING).is_relative_to(self.root):
                self.armed = False
                raise Violation(f"{event} {place}")


def stop_training(*args, **options):
    """Replace `kerasae.training.train`, so that a command stops before its first training step."""
    raise Interrupted("stopped by the test")


@contextlib.contextmanager
def arena(root, monkeypatch):
    """Make a sandbox without network and with 1 GiB of memory; training and export stop at their first step."""
    import kerasae.data.checks
    import kerasae.export

    built = Arena(root)
    monkeypatch.setenv("HOME", str(built.root / "home"))
    monkeypatch.setenv("KERASAE_CACHE", str(built.temporary / "cache"))
    monkeypatch.setattr(environment, "commit", lambda: None)  # asks git about kerasae's code, not about input
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(built.root / DATA_SETS))
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", unreachable)  # else it retries for minutes
    monkeypatch.setattr(tempfile, "tempdir", str(built.temporary))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(directory, "train", stop_training)
    monkeypatch.setattr(kerasae.export, "save", stop_training)
    monkeypatch.setattr(kerasae.data.checks, "_physical_memory", lambda: 2**30)
    monkeypatch.chdir(built.cwd)
    yield built


def unreachable(adapter, request, **options):
    raise requests.ConnectionError(f"no network here for {request.url}")


def quiet():
    """Load what commands load on first use, such as fonts and names of data sets; turn off progress bars."""
    import joblib
    import matplotlib.figure  # noqa: F401
    import matplotlib.font_manager  # noqa: F401
    import tensorflow_datasets as tfds

    joblib.cpu_count(only_physical_cores=True)  # starts a process, once; nearest neighbours call it
    tfds.disable_progress_bar()
    tfds.list_builders(with_community_datasets=False)
    tf.constant(0)
