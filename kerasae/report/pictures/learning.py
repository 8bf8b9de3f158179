"""Draw how a model learned: examples above what it made of them after more and more epochs."""

import numpy as np

from kerasae import plots, runs
from kerasae.report.pictures.rendering import Picture, picture


def epochs(path) -> Picture | None:
    """Draw the originals and the reconstructions that a run kept, an epoch to a row; None without any."""
    original, made = runs.read_snapshots(path)
    if not made or original.shape[1:] == (2,):  # points of the plane: `plane_manifold` shows them
        return None
    rows = {"original": original} | {f"epoch {epoch}": images for epoch, images in made.items()}
    figure = plots.rows({name: np.nan_to_num(images) for name, images in rows.items()})
    caption = "Originals, and what the model made of them from their codes after more and more epochs."
    return picture("Epochs", caption, figure, 0.7)
