"""Name the GPUs that TensorFlow sees, or the reason why it sees none."""

import ctypes
import os
import shutil
import subprocess
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.doctor.finding import Finding

NVIDIA, DISPLAY = "0x10de", "0x03"  # vendor of PCI, and the class of display controllers, as Linux writes them
INSTALL = "pip install 'tensorflow[and-cuda]'"
LIBRARIES = {12: ("cudart.so.12", "cublas.so.12", "cufft.so.11", "cusolver.so.11", "cusparse.so.12")}
"""Major version of CUDA → its libraries that TensorFlow loads."""
ASK = "TF_CPP_MIN_LOG_LEVEL=0 python -c \"import tensorflow as tf; tf.config.list_physical_devices('GPU')\""


@dataclass(frozen=True)
class Facts:
    """What a machine and its TensorFlow say about GPUs."""

    seen: tuple[str, ...] = ()
    """Names of the GPUs that TensorFlow sees."""
    cuda: bool = True
    """Whether TensorFlow is built with CUDA."""
    card: bool = False
    """Whether an NVIDIA GPU is plugged in."""
    driver: bool = False
    """Whether NVIDIA's driver has made its device files."""
    complaint: str = ""
    """What nvidia-smi says when it fails."""
    hidden: str | None = None
    """CUDA_VISIBLE_DEVICES, or None if it is not set."""
    missing: tuple[str, ...] = ()
    """CUDA libraries that are not found."""


def check():
    """Find out which GPUs TensorFlow sees, and why none."""
    return judge(facts())


def judge(facts):
    """Name the GPUs, or the first reason on the way from the machine to TensorFlow for which there are none."""
    if facts.seen:
        return Finding("GPUs", True, counted(facts.seen))
    if not (facts.card or facts.driver):
        return Finding("GPUs", True, "none: no NVIDIA GPU and no driver in this machine; training uses the CPU")
    says, mend = reason(facts)
    return Finding("GPUs", False, f"TensorFlow sees none: {says}", mend)


def reason(facts):
    """Say why a machine with a GPU or a driver shows TensorFlow none, and what to do."""
    if not facts.driver:
        mend = "install NVIDIA's driver; start a container with `--gpus all`; ask a batch system for GPUs"
        return "a GPU is plugged in, but there is no driver (/dev/nvidia0)", mend
    if facts.hidden is not None and facts.hidden.strip() in ("", "-1", "NoDevFiles"):
        mend = "unset CUDA_VISIBLE_DEVICES, or set it to numbers such as 0,1; a batch system sets it for a job's GPUs"
        return f"CUDA_VISIBLE_DEVICES is {facts.hidden!r}, which hides all", mend
    if not facts.cuda:
        return "this TensorFlow is built without CUDA", f"pip uninstall tensorflow-cpu, then {INSTALL} (on Linux)"
    if facts.complaint:
        return f"the driver does not answer: {facts.complaint}", "start the machine again, or install the driver anew"
    if facts.missing:
        return f"CUDA libraries are not found: {', '.join(facts.missing)}", INSTALL
    chosen = f" (CUDA_VISIBLE_DEVICES is {facts.hidden!r})" if facts.hidden else ""
    return f"driver and CUDA libraries are there{chosen}", f"read TensorFlow's own reason: {ASK}"


def counted(names):
    """Count equal names: ("H100", "H100") → "2 × H100"."""
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))


# ---- the facts of this machine


def facts():
    """Collect the facts of this machine."""
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    driver = any(path.exists() for path in (*Path("/dev").glob("nvidia[0-9]*"), Path("/dev/dxg")))
    return Facts(
        seen=tuple(map(title, tf.config.list_physical_devices("GPU"))),
        cuda=tf.test.is_built_with_cuda(),
        card=card(),
        driver=driver,
        complaint=complaint() if driver else "",
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES"),
        missing=missing(build.get("cuda_version", ""), build.get("cudnn_version", "")),
    )


def title(gpu):
    """Name a GPU as its driver does."""
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")


def card(devices=Path("/sys/bus/pci/devices")):
    """Tell whether Linux knows of a display controller of NVIDIA's."""
    for device in devices.glob("*"):
        with suppress(OSError):
            if (device / "vendor").read_text().startswith(NVIDIA):
                if (device / "class").read_text().startswith(DISPLAY):
                    return True
    return False


def complaint():
    """Return the first line that nvidia-smi prints when it fails; an empty text if it works or is not installed."""
    if not (program := shutil.which("nvidia-smi")):
        return ""
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:120]
    said = (done.stdout + done.stderr).strip().splitlines() or [f"nvidia-smi ends with {done.returncode}"]
    return said[0][:120] if done.returncode else ""


def missing(cuda, cudnn):
    """List the CUDA libraries of these versions that neither pip's packages nor the system have."""
    names = [*LIBRARIES.get(major(cuda), ()), *([f"cudnn.so.{major(cudnn)}"] if major(cudnn) else [])]
    return tuple(f"lib{name}" for name in names if not found(f"lib{name}"))


def major(version):
    """Read the first number of a version; 0 without one."""
    return int(number) if (number := version.split(".")[0]).isdecimal() else 0


def found(library, places=None):
    """Tell whether pip has installed a library, or the system's loader finds it."""
    places = [Path(sysconfig.get_path("platlib"))] if places is None else places
    if any(next(place.glob(f"nvidia/*/lib/{library}"), None) for place in places):
        return True
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
