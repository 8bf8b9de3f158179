"""Where commands meet hostile input: a tree of their own, their output caught, and everything they do watched."""

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
"""Where data sets are downloaded to, or would be."""

SECONDS = 120
"""How long one command may take, on a machine that other work shares, before it counts as hanging."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir": [0], "os.rename": [0, 1], "os.remove": [0], "os.rmdir": [0], "os.link": [1], "os.symlink": [1]}
CHANGES |= {"os.truncate": [0], "os.chmod": [0], "os.chown": [0], "shutil.rmtree": [0], "shutil.move": [0, 1]}
FOLLOWING = {"open", "os.truncate", "os.chmod", "os.chown"}
"""What goes where a link leads; the others change the link itself."""
EXECUTES = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class"}


NOTES = ("is damaged or of another model", "holds no decoder", "broken image")
"""What a command may say on stderr before it goes on."""


class Hang(BaseException):
    """The command did not come back."""


class Violation(BaseException):
    """The command did what no input may make it do. No `except Exception` of the command can hide it."""


class Arena:
    """A folder with a home, a neighbour and a place to work, `cwd`, three levels deep.

    While a command runs, an audit hook stops every write of Python outside the folder, every process, every global
    that a pickle asks for and every connection; afterwards the files outside of `allowed` must be what they were,
    which also finds what native code wrote.
    """

    def __init__(self, root):
        self.root, self.cwd = Path(root).resolve(), Path(root).resolve() / "a" / "b" / "work"
        self.temporary, self.canary = self.root / "tmp", self.root / "executed"
        self.tally, self.armed = Counter(), False
        for folder in (self.root / "home", self.root / "a" / "b" / "neighbour", self.temporary, self.cwd):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.root / "home", self.root / "a" / "b" / "neighbour"):
            (folder / "precious").write_text("precious")
        sys.addaudithook(self.watch)

    def clean(self):
        """Empty the place to work; return it."""
        os.chdir(self.root)
        shutil.rmtree(self.cwd)
        self.cwd.mkdir()
        os.chdir(self.cwd)
        return self.cwd

    def run(self, kind, tokens, allowed=("runs", "saved_models")):
        """Run one command and hold it to what every command must do; return its exit status and its line."""
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
        self.tally[kind, status] += 1
        return status, err

    def caught(self, tokens):
        """Exit status, stdout and stderr, with the hook, the limit of time and this arena's home in place."""
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
        """Every second; by seconds rather than at once, so that a machine that slept has not made anything hang."""
        self.ticks += 1
        if self.ticks > SECONDS:
            raise Hang(f"no answer after {SECONDS} s")

    def others(self, allowed):
        """Path → what it is, of everything that the command may not touch."""
        free = [Path(os.path.realpath(self.cwd / place)) for place in allowed if "\0" not in str(place)] + [
            self.temporary
        ]
        found = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in free]
            for path in {Path(folder, name) for name in (*folders, *files)} - set(free):
                state = path.lstat()
                # A folder's own size and time change with what lies in it, which may be free.
                found[path] = (state.st_mode, *(() if path.is_dir() else (state.st_size, state.st_mtime_ns)))
        return found

    def goal(self, place, follow):
        """What a path stands for."""
        folder, name = os.path.split(place)
        return Path(os.path.realpath(place) if follow else os.path.join(os.path.realpath(folder), name))

    def watch(self, event, arguments):
        """The audit hook."""
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
    """Takes the place of `kerasae.training.train`: everything before the first step happened, and nothing after."""
    raise Interrupted("stopped by the test")


@contextlib.contextmanager
def arena(root, monkeypatch):
    """An arena without network, with training and exporting stopped at their first step and a machine of one GiB."""
    import kerasae.data.checks
    import kerasae.export

    built = Arena(root)
    monkeypatch.setenv("HOME", str(built.root / "home"))
    monkeypatch.setenv("KERASAE_CACHE", str(built.temporary / "cache"))
    monkeypatch.setattr(environment, "commit", lambda: None)  # git is asked about our own code, not about input
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(built.root / DATA_SETS))
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", unreachable)  # which would try again for minutes
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
    """Load what commands load on first use, fonts and data sets' names; downloads show no bars beside their errors."""
    import joblib
    import matplotlib.figure  # noqa: F401
    import matplotlib.font_manager  # noqa: F401
    import tensorflow_datasets as tfds

    joblib.cpu_count(only_physical_cores=True)  # asks another programme, once; nearest neighbours do
    tfds.disable_progress_bar()
    tfds.list_builders(with_community_datasets=False)
    tf.constant(0)
