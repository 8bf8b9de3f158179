"""Measure the folder for runs, and how fast images are read and decoded."""

import os
import tempfile
import time
from pathlib import Path

from kerasae.errors import InputError
from pipelines.doctor.finding import Finding

SIZE = 64 << 20  # bytes written and read
SIDE, IMAGES = 224, 48  # pixels and files of the test images
BATCH, STEPS = 24, 8
SCALE = 8  # a test image has this many times fewer random values along a side than pixels


def checked_folder(folder):
    """Return the folder for runs as a path, or raise InputError if it is none."""
    if not Path(folder).is_dir():
        raise InputError(f"folder: expected a folder that exists. Received: {folder!r}. Make it, or name another")
    return Path(folder)


def check_folder(folder):
    """Write and read a file in the folder for runs, and give the rates in MiB/s."""
    try:
        with tempfile.TemporaryDirectory(prefix=".kerasae-doctor-", dir=folder) as place:
            write, read = transfer(Path(place) / "file", os.urandom(SIZE))
    except OSError as error:
        mend = f"free {SIZE >> 20} MiB and the right to write there, or name the folder for runs: --folder DIR"
        return Finding("folder", False, f"{folder}: {error.strerror or error}", mend)
    return Finding("folder", True, f"{folder}: {write:,.0f} MiB/s written to the disk, {read:,.0f} MiB/s read")


def transfer(file, content):
    """Write a file to the disk, drop it from the cache where the system allows, and read it; MiB/s of both."""
    began = time.perf_counter()
    with open(file, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
        written = time.perf_counter()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    opened = time.perf_counter()
    if file.read_bytes() != content:
        raise OSError(f"{file} holds other bytes than were written")
    size = len(content) / 2**20
    return size / (written - began), size / (time.perf_counter() - opened)


def check_decoding():
    """Decode images of a temporary folder as training does, and give the images/s of JPEG and PNG."""
    rates = {kind: decode_rate(kind) for kind in ("jpeg", "png")}
    says = ", ".join(f"{kind.upper()} {rate:,.0f}" for kind, rate in rates.items())
    return Finding("decoding", True, f"images/s of {SIDE} × {SIDE} pixels, read from files: {says}")


def decode_rate(kind):
    """Return the images/s that `kerasae.data` reads from a temporary folder of such files."""
    from kerasae import data

    with tempfile.TemporaryDirectory() as place:
        write_images(Path(place), kind)
        batches = iter(data.batches(data.load(f"folder:{place}").train, BATCH, seed=0, labels=False))
        next(batches)
        began = time.perf_counter()
        for _ in range(STEPS):
            next(batches)
        return BATCH * STEPS / (time.perf_counter() - began)


def write_images(place, kind):
    """Write smooth random images [SIDE, SIDE, 3]."""
    import tensorflow as tf

    encode = {"jpeg": tf.io.encode_jpeg, "png": tf.io.encode_png}[kind]
    with tf.device("CPU:0"):
        for i in range(IMAGES):
            noise = tf.random.stateless_uniform((SIDE // SCALE, SIDE // SCALE, 3), (0, i), 0.0, 255.0)
            image = tf.cast(tf.image.resize(noise, (SIDE, SIDE)), tf.uint8)
            (place / f"{i}.{kind}").write_bytes(encode(image).numpy())
