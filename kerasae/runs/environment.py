"""Describe the environment of a run: versions, devices, commit of the code, and memory used."""

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kerasae

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `getrusage`


def describe():
    """Collect versions, devices and commit as plain values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "kerasae": kerasae.__version__,
        "devices": devices(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "as TensorFlow chooses"),
        "commit": commit(),
    }


def devices():
    """List the devices that TensorFlow may use, each by name and kind."""
    found = []
    for device in tf.config.list_physical_devices():
        kind = tf.config.experimental.get_device_details(device).get("device_name") or platform.processor()
        found.append(" ".join(filter(None, [device.name.removeprefix("/physical_device:"), kind])))
    return found


def commit():
    """Read the commit of the code, with "+" if files were changed since; None outside a checkout."""
    root = Path(kerasae.__file__).resolve().parents[1]
    found = git(root, "rev-parse", "--show-toplevel", "HEAD")
    # An installed package may lie inside the checkout of something else.
    if found is None or Path(found[0]) != root:
        return None
    return found[1] + "+" * bool(git(root, "status", "--porcelain", "--untracked-files=no"))


def git(folder, *arguments):
    """Run a git command and return the lines it prints; None if it fails or git is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def recipe_hash(content):
    """Compute the SHA-256 of a command and its recipe, independent of the order of the fields."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def memory_mib():
    """Measure the peak memory so far in MiB: of the fullest GPU, or of the process without a GPU."""
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if gpus:
        return max(tf.config.experimental.get_memory_info(gpu.removeprefix("/device:"))["peak"] for gpu in gpus) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 2**20
