"""Run every training pipeline on a few digits; print hashes of weights, and figures without times, as JSON.

Run by `test_determinism.py` in separate processes.
"""

import csv
import hashlib
import json
import sys
from pathlib import Path

import keras
import numpy as np

import kerasae
from kerasae.training import compiled_steps
from pipelines import finetune, mae, stacked, train

UNREPEATABLE = ("seconds", "examples_per_second", "data_wait", "memory_mib")


def data(folder):
    """Write a hundred digits to a file; return the recipes' fields for it."""
    source = kerasae.data.load("digits")
    rows = kerasae.data.balanced_subset(source.train.labels, 100, 0)
    x, y = source.train.subset(rows).arrays()
    np.savez(folder / "digits.npz", x_train=x, y_train=y, x_test=x[:40], y_test=y[:40])
    return {"data": f"npz:{folder / 'digits.npz'}", "deterministic": True}


def pipelines(folder):
    """List the pipelines: name → function that trains a run."""
    common, pretrained = data(folder), folder / "mae"
    tiny = {"patch": (4,), "width": 12, "depth": 2, "heads": 2, "decoder_width": 12, "decoder_depth": 1}
    vae = train.Recipe(
        **common, out=str(folder / "vae"), variant="variational", code=3, widths=(12,), epochs=2, batch_size=20
    )
    stack = stacked.Recipe(
        baselines=False,
        **common,
        out=str(folder / "stack"),
        widths=(12,),
        pretrain_epochs=2,
        pretrain_batch=20,
        joint_epochs=1,
        supervised=False,
    )
    masked = mae.Recipe(
        **common, out=str(pretrained), **tiny, decoder_heads=2, epochs=2, warmup_epochs=1, batch_size=20,
        accumulate=2, pictures_every=0,
    )  # fmt: skip
    tuned = finetune.Recipe(
        baselines=False,
        run=str(pretrained), out=str(folder / "finetune"), deterministic=True, finetune_epochs=2, finetune_batch=20,
        finetune_min_steps=1, dropout=0.2, augment="elastic", mixup=0.5, drop_path=0.1, scratch=False,
    )  # fmt: skip
    return {
        "train": lambda: train.run(vae),
        "stacked": lambda: stacked.run(stack),
        "mae": lambda: mae.run(masked),
        "finetune": lambda: finetune.run(tuned),
    }


def digest(path):
    """Hash the weights of a run, and read its figures."""
    model = keras.saving.load_model(path / "model.keras", compile=False)
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
    with open(path / "metrics.csv", newline="") as file:
        rows = [{k: v for k, v in row.items() if k not in UNREPEATABLE} for row in csv.DictReader(file)]
    return {"weights": weights, "rows": rows}


def main(folder, *names):
    runs = pipelines(Path(folder))
    found = {name: digest(runs[name]().path) for name in names or runs}
    print(json.dumps({**found, "deterministic": not compiled_steps.has_clock()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
