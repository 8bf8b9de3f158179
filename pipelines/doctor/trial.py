"""Train a few guarded steps on one device and on all, in a process of its own, and read a checkpoint back.

TensorFlow splits the CPU and takes a GPU's memory for good: hence the process, which prints its `Result` as JSON.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from kerasae.training.devices import SLURM
from pipelines.doctor.finding import Finding, failed

STEPS = 4
SHARE = 16  # examples for a device
SECONDS = 300  # after which a trial counts as hanging
CLOSE, TF32, ROUGHLY = 1e-4, 1e-3, 2e-2
"""Largest relative difference of losses: of CPUs; of GPUs, whose products are TF32; of GPU and CPU."""


@dataclass(frozen=True)
class Result:
    """Losses of a trial, and how far a checkpoint that was read back differs from what was written."""

    one: list[float]
    """Losses of the steps on one device."""
    all: list[float]
    """Losses of the same steps on all devices."""
    checkpoint: float
    """Largest difference of a variable."""


@dataclass(frozen=True)
class Devices:
    """The devices of a trial, as a recipe names them."""

    devices: str
    data_workers: tuple[str, ...] = ()


def check(folder):
    """Try the devices, and say whether they agree and whether checkpoints in the folder can be read back."""
    try:
        import tensorflow as tf

        gpus = len(tf.config.list_physical_devices("GPU"))
        results = try_all(gpus, folder)
    except Exception as error:  # whatever an installation that is not in order raises
        return [failed("devices", error)]
    return [judge_losses(results, gpus), judge_checkpoint(max(r.checkpoint for r in results.values()), folder)]


def try_all(gpus, folder):
    """Try the CPU as two devices, and the GPUs if there are any, on the same batches; devices → `Result`."""
    batch = SHARE * math.lcm(2, max(gpus, 1))
    return {words: tried(words, batch, folder) for words in ("cpu:2", *(["gpu"] if gpus else []))}


def judge_losses(results, gpus=0):
    """Compare the losses of one and of all devices of a kind, and of GPU and CPU."""
    cpu, gpu = results["cpu:2"], results.get("gpu")
    pairs = [("the CPU as two devices and as one", cpu.one, cpu.all, CLOSE)]
    if gpu:
        pairs += [(f"{gpus} GPUs and one", gpu.one, gpu.all, TF32)] if gpus > 1 else []
        pairs += [("GPU and CPU", cpu.one, gpu.one, ROUGHLY)]
    found = [(name, apart(one, other), limit) for name, one, other, limit in pairs]
    says = f"relative difference of the losses of {STEPS} steps: " + ", ".join(f"{n} {d:.0e}" for n, d, _ in found)
    wrong = [name for name, difference, limit in found if not difference <= limit]
    mend = f"do not trust runs on several devices: {', '.join(wrong)} disagree; train with --devices cpu or gpu:0"
    return Finding("devices", not wrong, says, mend if wrong else "")


def judge_checkpoint(difference, folder):
    """Tell whether a checkpoint came back as it was written."""
    if difference == 0:
        return Finding("checkpoint", True, f"{folder}: written, read back, equal to the bit")
    mend = f"do not keep runs in {folder}: name another folder with --folder"
    return Finding("checkpoint", False, f"{folder}: came back with a difference of {difference:.1e}", mend)


def apart(one, other):
    """Return the largest relative difference of two lists of losses; infinity where one is not finite."""
    if not one or len(one) != len(other) or not all(map(math.isfinite, (*one, *other))):
        return math.inf
    return max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(one, other, strict=True))


# ---- the process


def tried(words, batch, folder):
    """Run a trial in a process of its own, apart from the other processes of a cluster; return its result."""
    environment = {name: value for name, value in os.environ.items() if name not in ("TF_CONFIG", *SLURM)}
    call = [sys.executable, "-m", __name__, words, str(batch), str(Path(folder).resolve())]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"--devices {words}: {said[-1]}")
    return Result(**json.loads(done.stdout.strip().splitlines()[-1]))


def trial(words, batch, folder):
    """Train on all devices that the words name, then on one, and read the checkpoint of the latter."""
    from pipelines.command_line.door import on_devices

    with on_devices(Devices(words)):
        together, _ = train(batch, None)
    with tempfile.TemporaryDirectory(prefix=".kerasae-doctor-", dir=folder) as place:
        alone, model = train(batch, place)
        return Result(alone, together, checkpoint_difference(model, place))


def train(batch, folder):
    """Train an autoencoder of digits for a few steps; return its losses and the model.

    Plain SGD, since Adam would hide a gradient that is as many times too large as there are devices.
    """
    import keras

    from kerasae import data
    from kerasae.training import Checkpoints, Plan
    from kerasae.training import train as run_steps

    keras.utils.set_random_seed(0)
    model = build(keras.optimizers.SGD(0.01, momentum=0.9))
    split, losses = data.load("digits").train, []

    def batches(step, **parts):
        return data.batches(split, batch, seed=0, start_step=step, labels=False, **parts)

    with tempfile.TemporaryDirectory() as aside:
        checkpoints = Checkpoints(Path(folder or aside))
        run_steps(model, batches, Plan(STEPS, 1), checkpoints, on_epoch=lambda row: losses.append(row["loss"]))
        checkpoints.save(model, {"step": STEPS})
    return losses, model


def build(optimizer):
    """Build and compile a small autoencoder of digits."""
    from kerasae import models, networks

    encoder, decoder = networks.dense((8, 8, 1), code=16, widths=(64,))
    model = models.Autoencoder(encoder, decoder, "bernoulli", pixel_max=16)
    model.compile(optimizer)
    return model


def checkpoint_difference(model, folder):
    """Overwrite the model's state, restore the checkpoint, and return the largest difference from before."""
    import keras
    import numpy as np

    from kerasae.training import Checkpoints
    from kerasae.training.checkpoint import state_variables

    variables = state_variables(model)
    before = list(map(keras.ops.convert_to_numpy, variables))
    for variable in variables:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    if Checkpoints(folder).restore(model) is None:
        return math.inf
    after = map(keras.ops.convert_to_numpy, variables)
    return max(float(np.max(np.abs(a.astype("float64") - b), initial=0.0)) for a, b in zip(before, after, strict=True))


def main(words, batch, folder):
    """Print the result of a trial as one line of JSON."""
    print(json.dumps(asdict(trial(words, int(batch), folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
