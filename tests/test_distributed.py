"""One device, two of one process, two processes: the same losses and files, and one mind about when to stop."""

import csv
import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import kills
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from PIL import Image
from processes import Started, command

import kerasae
from kerasae.errors import InputError
from kerasae.training import devices, processes
from pipelines import data_worker, launch

ROOT = Path(__file__).parents[1]
KERASAE = [sys.executable, "-m", "pipelines.command_line.main"]


def environment(**extra):
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A function that makes runs of so many epochs once: folders of one device, two, and two processes."""

    @functools.cache
    def made(epochs):
        found, started = {}, []
        for way, words in {"one": "cpu", "two": "cpu:2", "workers": "cpu"}.items():
            names = NAMES[epochs]["two" if way == "one" else way]
            found[way] = tmp_path_factory.mktemp(way)
            for variables in both() if way == "workers" else [{}]:
                started.append(Started(small_runs.main, found[way], words, names, epochs, environment=variables))
        for process in started:
            status, text = process.wait(400)
            assert status == 0, text[-3000:]
        return found

    return made


QUICK, LONG = 3, 10
NAMES = {
    # Random numbers in a step, two players, updates of several passes; fine-tuning is left to the long runs.
    QUICK: {"two": ("adversarial", "mae"), "workers": ("adversarial", "mae")},
    LONG: {"two": small_runs.ALL, "workers": small_runs.ALL},
}
"""Epochs → the runs that are made in each way."""


def made(*ways):
    """Every run in these ways, those of ten epochs among the slow tests."""
    cells = [(way, name, epochs) for epochs in NAMES for way in ways for name in NAMES[epochs][way]]
    return [pytest.param(*cell, marks=[pytest.mark.slow] * (cell[-1] == LONG)) for cell in cells]


def both():
    """What tells each of two processes that it is one of two."""
    return [{"TF_CONFIG": environment["TF_CONFIG"]} for environment in launch.environments(2)]


def rows(folder):
    with open(folder / "metrics.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("others", "name", "epochs"), made("two", "workers"))
def test_losses_are_those_of_one_device(others, name, epochs, make):
    """Over five steps an epoch, to 1e-5: with every kind of noise, and with the gradients of two players."""
    folders = make(epochs)
    expected, found = (rows(folders[way] / name) for way in ("one", others))
    assert len(expected) == len(found) == epochs
    for a, b in zip(expected, found, strict=True):
        assert a["step"] == b["step"]
        names = [n for n in a if "loss" in n or n in ("reconstruction", "kl", "adversarial", "accuracy")]
        assert "loss" in names and "val_loss" in names or name == "mae"
        for n in names:
            assert float(b[n]) == pytest.approx(float(a[n]), rel=1e-5), (n, a["epoch"])


@pytest.mark.parametrize(("others", "name", "epochs"), made("workers"))
def test_one_process_writes_what_a_run_holds(others, name, epochs, make):
    folders = make(epochs)
    expected, found = (sorted(f.name for f in (folders[way] / name).iterdir()) for way in ("one", others))
    assert found == expected and "model.keras" in found
    (summary, other) = (json.loads((folders[way] / name / "summary.json").read_text()) for way in ("one", others))
    for key, value in summary.items():
        if "seconds" not in key:
            assert other[key] == pytest.approx(value, rel=1e-4), key


# ---- kerasae launch

TRAIN = ["train", "plain", "--network", "dense", "--widths", "8", "--batch-size", "100", "--devices", "cpu"]


def test_launch_trains_in_two_processes(tmp_path):
    words = [*KERASAE, "launch", "--workers", "2", "--", *TRAIN, "--epochs", "2", "--out", str(tmp_path / "run")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("test_mse") == 1 and (tmp_path / "run" / "summary.json").exists()


def test_a_mistake_ends_all_processes(tmp_path):
    words = [*KERASAE, "launch", "--", *TRAIN[:-4], "--batch-size", "101", "--devices", "cpu"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 2 and "101 cannot be shared evenly by 2 devices; give a multiple of 2" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["killed", "its disk fails"])
def test_where_one_process_ends_the_other_stops_and_both_go_on_later(harm, tmp_path):
    """Killed as a power cut would, or stopped by its disk: the other says so, and the repeated command ends like no
    harm done."""

    def pair(name):
        words = [*TRAIN, "--epochs", "600", "--out", tmp_path / name]
        return [Started(command, *words, environment=variables) for variables in both()]

    writer, other = pair("run")
    checkpoints = tmp_path / "run" / "checkpoints" / "train"
    until(lambda: list(checkpoints.glob("step-*")), 120)
    if harm == "killed":
        other.kill()
        other.wait(60)
        left = writer
    else:
        checkpoints.rename(tmp_path / "aside")
        checkpoints.write_bytes(b"")  # now no file can be made in it
        status, text = writer.wait(120)
        assert status == 2 and "train" in text and "Traceback" not in text, text[-2000:]
        left = other
    status, text = left.wait(240)
    assert status == 2 and "stopped answering" in text and "Traceback" not in text, text[-2000:]
    if harm == "its disk fails":
        checkpoints.unlink()
        (tmp_path / "aside").rename(checkpoints)
    for name in ("run", "whole"):
        for process in pair(name):
            status, text = process.wait(600)
            assert status == 0, text[-2000:]
    assert kills.left(tmp_path / "run") == kills.left(tmp_path / "whole")


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_process_matters_until_all_are_about_to_end(lost, monkeypatch):
    calls = []

    def mean(*values):
        calls.append(values)
        if len(calls) == lost:
            raise tf.errors.UnavailableError(None, None, "gone")

    monkeypatch.setattr(processes, "mean", mean)
    with pytest.raises(tf.errors.UnavailableError) if lost == 1 else nullcontext():
        processes.leave()
    assert len(calls) == lost


def test_an_error_is_told_by_the_line_that_says_what_happened():
    text = (
        "Graph execution error:\n\nDetected at node Reduce defined at (most recent call last):\n"
        'File "a.py", line 7\n\nCollective ops is aborted by: Connection reset by peer\n\t [[{{node Reduce}}]]'
    )
    with (
        pytest.raises(InputError, match=r"\(Collective ops is aborted by: Connection reset"),
        processes.reporting_lost_process(),
    ):
        raise tf.errors.InternalError(None, None, text)
    with pytest.raises(InputError, match=r"\(Socket closed\)"), processes.reporting_lost_process():
        raise tf.errors.UnavailableError(None, None, "Socket closed")


# ---- what is asked for


@pytest.mark.parametrize(
    ("words", "expected"),
    [("auto", ("auto", ())), ("cpu:4", ("cpu", (4,))), ("gpu:0,2", ("gpu", (0, 2))), ("tpu", ("tpu", ()))],
)
def test_words_for_devices(words, expected):
    assert devices.parse(words) == expected


@pytest.mark.parametrize("words", ["", "gpus", "cpu:0", "cpu:-1", "gpu:", "gpu:1,1", "gpu:a", "tpu:1", "cpu:2 "])
def test_other_words_are_refused(words):
    with pytest.raises(InputError, match="devices"):
        devices.parse(words)


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 3}}'])
def test_a_wrong_tf_config_is_shown_a_right_one(text):
    with pytest.raises(InputError, match="TF_CONFIG: expected something like"):
        devices.check_config(text)


# ---- workers that prepare the batches


@pytest.fixture
def feeders():
    """Address → process of two data workers."""
    ports = list(itertools.islice(filter(free_pair, range(21050, 22000, 2)), 2))
    started = {f"127.0.0.1:{port}": Started(command, *FEEDER, port) for port in ports}
    try:
        for process in started.values():
            until(lambda: "preparing batches" in process.text(), 120)  # noqa: B023
        yield started
    finally:
        for process in started.values():
            process.terminate()
    assert all(process.wait(60)[0] in (0, -signal.SIGKILL) for process in started.values())


FEEDER = ["data-worker", "--host", "127.0.0.1", "--port"]


def free_pair(port):
    try:
        for number in (port, port + 1):
            socket.create_server(("127.0.0.1", number)).close()
    except OSError:
        return False
    return True


def test_data_workers_give_the_batches_that_this_process_would(feeders, tmp_path):
    for i in range(40):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (12, 12, 3), "uint8")).save(tmp_path / f"{i:02}.png")
    split = kerasae.data.load(f"folder:{tmp_path}").train
    augment = kerasae.data.Chain(kerasae.data.RandomResizedCrop(), kerasae.data.RandomFlip())
    options = {"seed": 3, "start_step": 4, "augment": augment}
    served, own = (kerasae.data.batches(split, 8, **options, workers=list(w)) for w in (feeders, ()))
    for (x, y), (a, b) in zip(served.take(9), own.take(9), strict=True):
        assert np.array_equal(x, a) and np.array_equal(y, b)


def test_training_ends_where_a_data_worker_dies(feeders, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4), "uint8")
    np.savez(tmp_path / "data.npz", x_train=x, x_test=x[:12])
    words = ["--data", f"npz:{tmp_path / 'data.npz'}", "--out", str(tmp_path / "run"), "--epochs", "100000"]
    training = Started(command, *TRAIN, *words, "--data-workers", *feeders)
    until(lambda: (tmp_path / "run" / "metrics.csv").exists(), 120)
    feeders[list(feeders)[1]].kill()
    status, text = training.wait(240)
    assert status == 2 and "start it and this command again" in text, text[-2000:]


def test_a_port_that_is_taken_is_refused(feeders):
    port = list(feeders)[0].rpartition(":")[2]
    status, text = Started(command, *FEEDER, port).wait(120)
    assert status == 2 and f"port: {port} is not free" in text


@pytest.mark.parametrize("host", ["no-such-machine.invalid", "x" * 70 + ".invalid", "two words"])
def test_a_host_that_nobody_knows_is_refused(host):
    with pytest.raises(InputError, match="host: expected a name or address"):
        data_worker.check_known(host)
    data_worker.check_known("127.0.0.1")
