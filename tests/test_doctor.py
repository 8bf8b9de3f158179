"""`kerasae doctor`: the reason for missing GPUs, what counts as in order, and the page and status that come of it."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kerasae.errors import InputError
from pipelines.doctor import checkup, disk, finding, gpus, rates, trial, versions
from pipelines.doctor.finding import Finding
from pipelines.doctor.gpus import Facts

ROOT = Path(__file__).parents[1]
BAD = Finding("losses", False, "they differ", "look at the devices")

# ---- GPUs: reason and remedy, from facts that are made up

NONE = [
    (Facts(card=True), "there is no driver", "install NVIDIA's driver"),
    (Facts(card=True, driver=True, hidden=""), "CUDA_VISIBLE_DEVICES is ''", "unset CUDA_VISIBLE_DEVICES"),
    (Facts(driver=True, hidden="-1"), "CUDA_VISIBLE_DEVICES is '-1'", "unset CUDA_VISIBLE_DEVICES"),
    (Facts(driver=True, cuda=False), "built without CUDA", "pip install 'tensorflow[and-cuda]'"),
    (Facts(driver=True, complaint="Failed to initialize NVML"), "Failed to initialize NVML", "start the machine again"),
    (Facts(driver=True, missing=("libcudnn.so.9",)), "not found: libcudnn.so.9", "pip install 'tensorflow[and-cuda]'"),
    (Facts(driver=True, hidden="7"), "CUDA_VISIBLE_DEVICES is '7'", "TF_CPP_MIN_LOG_LEVEL=0"),
    (Facts(driver=True), "driver and CUDA libraries are there", "TF_CPP_MIN_LOG_LEVEL=0"),
]


@pytest.mark.parametrize(("facts", "says", "mend"), NONE)
def test_each_reason_for_missing_gpus_has_its_remedy(facts, says, mend):
    found = gpus.judge(facts)
    assert not found.ok and says in found.says and mend in found.mend


@pytest.mark.parametrize("facts", [Facts(), Facts(cuda=False), Facts(hidden=""), Facts(missing=("libcudnn.so.9",))])
def test_a_machine_without_a_gpu_needs_nothing(facts):
    found = gpus.judge(facts)
    assert found.ok and "the CPU" in found.says and not found.mend


def test_gpus_are_counted_by_name():
    assert gpus.judge(Facts(seen=("A", "B", "A"), hidden="0,1,2")) == Finding("GPUs", True, "2 × A, 1 × B")


@pytest.mark.parametrize(
    ("vendor", "kind", "is_card"),
    [("0x10de", "0x030200", True), ("0x10de", "0x040300", False), ("0x8086", "0x030000", False)],
)
def test_a_card_is_a_display_controller_of_nvidia(vendor, kind, is_card, tmp_path):
    (tmp_path / "empty").mkdir()
    device = tmp_path / "0000:01:00.0"
    device.mkdir()
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{kind}\n")
    assert gpus.card(tmp_path) is is_card


def test_libraries_are_found_where_pip_puts_them_or_the_system_has_them(tmp_path):
    assert not gpus.found("libcudnn.so.9999", [tmp_path])
    (tmp_path / "nvidia/cudnn/lib").mkdir(parents=True)
    (tmp_path / "nvidia/cudnn/lib/libcudnn.so.9999").touch()
    assert gpus.found("libcudnn.so.9999", [tmp_path])
    if sys.platform == "linux":
        assert gpus.found("libc.so.6", [tmp_path])


@pytest.mark.parametrize(
    ("script", "says"), [("echo GPU 0", ""), ("echo no devices; exit 6", "no devices"), ("exit 9", "ends with 9")]
)
def test_the_driver_is_asked(script, says, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert gpus.complaint().endswith(says) and bool(gpus.complaint()) is bool(says)


# ---- versions

RANGES = {"python": ">=3.11,<3.14", "tensorflow": ">=2.21,<2.22", "keras": ">=3.15,<3.16", "numpy": ">=2"}
VERSIONS = {"python": "3.12.1", "tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.4.6"}


@pytest.mark.parametrize(
    ("changed", "mend"),
    [
        ({}, ""),
        ({"tensorflow": "2.20.0"}, "pip install 'tensorflow>=2.21,<2.22'"),
        ({"keras": "3.16.0", "numpy": "1.26.4"}, "pip install 'keras>=3.15,<3.16' 'numpy>=2'"),
        ({"python": "3.10.2"}, "make a virtual environment with Python >=3.11,<3.14"),
    ],
)
def test_versions_outside_the_tested_range_are_named(changed, mend):
    found = versions.judge("0.1.0", VERSIONS | changed, RANGES)
    assert (found.ok, found.mend) == (not changed, mend)


def test_ranges_are_those_of_the_project():
    text = (ROOT / "pyproject.toml").read_text()
    assert set(versions.tested()) == set(versions.NAMES)
    for name, found in versions.tested().items():
        before = "requires-python = " if name == "python" else ""
        written = re.search(rf'{before}"{"" if before else name}(>[^"]*)"', text)
        assert set(found.split(",")) == set(written[1].split(",")), name


# ---- trials


def test_losses_that_differ_are_not_ok():
    same, other = trial.Result([4.0, 2.0], [4.0, 2.00001], 0.0), trial.Result([4.0, 2.0], [4.0, 2.1], 0.0)
    assert trial.judge_losses({"cpu:2": same}).ok
    assert not trial.judge_losses({"cpu:2": other}).ok
    assert not trial.judge_losses({"cpu:2": trial.Result([4.0, math.nan], [4.0, math.nan], 0.0)}).ok
    found = trial.judge_losses({"cpu:2": same, "gpu": other}, gpus=2)
    assert not found.ok and "2 GPUs and one disagree" in found.mend
    assert trial.judge_losses({"cpu:2": same, "gpu": other}, gpus=1).ok  # a GPU is not compared with itself
    far = trial.Result([4.0, 3.0], [4.0, 3.0], 0.0)
    assert "GPU and CPU disagree" in trial.judge_losses({"cpu:2": same, "gpu": far}, gpus=1).mend


def test_a_checkpoint_must_come_back_to_the_bit():
    assert trial.judge_checkpoint(0.0, "runs").ok
    assert not trial.judge_checkpoint(1e-9, "runs").ok
    assert not trial.judge_checkpoint(math.inf, "runs").ok


def test_a_trial_that_fails_is_a_finding(monkeypatch):
    monkeypatch.setattr(trial.sys, "executable", "/bin/false")
    (found,) = trial.check(".")
    assert (found.name, found.ok) == ("devices", False) and "cpu:2" in found.says


# ---- rates and disk


@pytest.mark.parametrize(
    ("auto", "float32", "bfloat16", "advice"),
    [("bfloat16", 1e9, 2e9, ""), ("bfloat16", 4e9, 2e9, "float32"), ("float32", 1e9, 2e9, "bfloat16")],
)
def test_the_faster_precision_is_recommended(auto, float32, bfloat16, advice):
    measured = {"CPU": {"float32": 0, "bfloat16": 0}, "GPU": {"float32": float32, "bfloat16": bfloat16}}
    found = rates.judge(measured, auto)
    assert found.ok and f"`--precision auto` is {auto}" in found.says
    assert found.mend == (f"`--precision {advice}` multiplies faster here; try it" if advice else "")


def test_a_product_is_timed_with_all_its_operations(monkeypatch):
    monkeypatch.setattr(rates, "product_seconds", lambda size, precision, repeats: size**3 / 1e9)
    assert rates.measure("CPU", "float32") == pytest.approx(2e9)


def test_a_folder_that_cannot_be_written_is_a_finding(tmp_path, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "transfer", full)
    found = disk.check_folder(tmp_path)
    assert not found.ok and "No space left" in found.says and "--folder" in found.mend
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(InputError, match="folder: expected a folder that exists"):
        checkup.run(checkup.Recipe(folder=str(tmp_path / "nowhere")))


# ---- the page


def test_a_failing_check_is_a_line_and_gives_status_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkup, "findings", lambda folder: [Finding("versions", True, "all"), BAD])
    with pytest.raises(SystemExit) as ended:
        checkup.run(checkup.Recipe(folder=str(tmp_path)))
    page = capsys.readouterr().out.splitlines()
    assert ended.value.code == 1 and page[-1] == "mend first: losses"
    assert page[1].split() == "MEND losses they differ".split() and page[2].strip() == "→ look at the devices"


def test_a_check_that_raises_is_a_finding():
    found = finding.attempted("losses", lambda: [][0])
    assert (found.name, found.ok) == ("losses", False) and "IndexError" in found.says and found.mend


def test_an_installation_without_tensorflow_gets_findings(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(SystemExit):
        checkup.run(checkup.Recipe(folder=str(tmp_path)))
    page = capsys.readouterr().out
    assert "mend first: versions, GPUs, devices, products, decoding" in page and len(page.splitlines()) <= 30


def test_lines_are_short_and_steer_no_terminal():
    found = list(finding.lines(Finding("checkpoint", True, "word " * 60 + "\x1b[2J", "more " * 30)))
    assert len(found) > 4 and max(map(len, found)) <= 100 and "\x1b" not in "".join(found)


def test_this_installation_passes(tmp_path):
    command = [sys.executable, "-m", "pipelines.command_line.main", "doctor", "--folder", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    page = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[1] for line in page if line.startswith("  ok")] == [
        "versions",
        "GPUs",
        "folder",
        "devices",
        "checkpoint",
        "products",
        "decoding",
    ]
    assert len(page) <= 30 and max(map(len, page)) <= 100 and page[-1] == "this installation can train"
    assert not list(tmp_path.iterdir())
