"""Run by `test_distributed.py` in processes of their own: OUT DEVICES. Five small runs, one after the other."""

import sys
from pathlib import Path

from kerasae.training import devices
from pipelines import finetune, mae, train

BATCH = 256  # five steps of the 1,437 digits make an epoch, also without a tenth for validation
EPOCHS = 10

VIT = {"width": 16, "depth": 2, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
LABELLED = {"labels": 100, "finetune_batch": 50, "finetune_epochs": 10, "finetune_min_steps": 5, "holdout": 0.2}


def recipes(out):
    """Name → the pipeline and its recipe."""
    # Not "dense": compiled by XLA, as one device does it with those, a step draws other random numbers.
    common = {"network": "conv", "filters": (6,), "epochs": EPOCHS, "batch_size": BATCH, "holdout": 0.1}
    for variant in ("denoising", "variational", "adversarial"):
        yield train, train.Recipe(variant=variant, out=str(out / variant), **common)
    # Two passes of every update, with masks of their own.
    patches = {"patch": (2,), "batch_size": BATCH // 2, "accumulate": 2, "pictures_every": 5, "warmup_epochs": 1}
    yield mae, mae.Recipe(out=str(out / "mae"), epochs=EPOCHS, base_rate=1e-3, **patches, **VIT)
    regular = {"dropout": 0.1, "input_dropout": 0.1, "drop_path": 0.2, "label_smoothing": 0.1, "mixup": 0.5}
    tuned = {"run": str(out / "mae"), "out": str(out / "finetune"), "scratch": False}
    yield finetune, finetune.Recipe(**tuned, **regular, **LABELLED)


def main(out, names):
    with devices.scope(names):
        for pipeline, recipe in recipes(Path(out)):
            pipeline.run(recipe)


if __name__ == "__main__":
    main(*sys.argv[1:])
