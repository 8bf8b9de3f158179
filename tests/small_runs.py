"""Train small runs one after the other; run by `test_distributed.py` in separate processes."""

from pathlib import Path

from kerasae.training import devices
from pipelines import finetune, mae, train

BATCH = 256  # five steps of the 1,437 digits make an epoch, also without a tenth for validation
VIT = {"width": 16, "depth": 2, "heads": 2, "decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
LABELLED = {"labels": 100, "finetune_batch": 50, "finetune_min_steps": 5, "holdout": 0.2}


ALL = ("denoising", "variational", "adversarial", "mae", "finetune")


def recipes(out, epochs):
    """Yield name, pipeline and recipe of every run."""
    # Not "dense": one device compiles those by XLA, which draws other random numbers.
    common = {"network": "conv", "filters": (6,), "epochs": epochs, "batch_size": BATCH, "holdout": 0.1}
    for variant in ("denoising", "variational", "adversarial"):
        yield variant, train, train.Recipe(variant=variant, out=str(out / variant), **common)
    # Two passes per update, with different masks.
    patches = {"patch": (2,), "batch_size": BATCH // 2, "accumulate": 2, "pictures_every": 5, "warmup_epochs": 1}
    yield "mae", mae, mae.Recipe(out=str(out / "mae"), epochs=epochs, base_rate=1e-3, **patches, **VIT)
    regular = {"dropout": 0.1, "input_dropout": 0.1, "drop_path": 0.2, "label_smoothing": 0.1, "mixup": 0.5}
    labelled = {**LABELLED, "finetune_epochs": epochs}
    tuned = {"run": str(out / "mae"), "out": str(out / "finetune"), "scratch": False, "baselines": False}
    yield "finetune", finetune, finetune.Recipe(**tuned, **regular, **labelled)


def main(out, words, names, epochs):
    with devices.scope(words):
        for name, pipeline, recipe in recipes(Path(out), epochs):
            if name in names:
                pipeline.run(recipe)
