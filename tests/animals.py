"""Make a folder of pictures of two classes, an autoencoder and a classifier trained on it, and an export."""

import numpy as np
from PIL import Image

import kerasae
from pipelines import export
from pipelines.command_line import main as cli

TRAIN = "train plain --data folder:data --out run --epochs 1 --widths 8 --code 3 --holdout 0"
TUNE = "finetune run --out run/tuned --finetune-epochs 1 --finetune-min-steps 1 --no-scratch --no-baselines"


def picture(path, seed, side=6, channels=3, **options):
    """Write a picture of noise and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, channels), "uint8")
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path, **options)
    return pixels


def make(place):
    """Write `data`, `run`, `run/tuned` and `saved` into the working directory `place`."""
    for number, name in enumerate(("cat", "dog")):
        for i in range(8):
            picture(place / "data" / ("train" if i < 6 else "test") / name / f"{i}.png", 100 * number + i)
    assert cli.main(TRAIN.split()) == cli.main(TUNE.split()) == 0
    model = kerasae.runs.load_model("run/tuned")
    info = kerasae.data.load("folder:data").info
    kerasae.export.save(model, "saved", card=export.card(export.Recipe(run="run/tuned"), info))


def pixels_of(files):
    """Read the pixels [N, H, W, C] of files by Pillow."""
    return np.stack([np.asarray(Image.open(file)) for file in files])
